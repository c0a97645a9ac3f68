"""The experiments' figures as files: CSV, and Markdown tables between the markers of a page.

    <!-- table: depth -->
    | tried | ... |
    <!-- end -->

Every other line of the page is written by hand and left alone.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from _tables import columns

from backends import InputError
from dnn.io.atomic_files import write_atomically
from lecture_experiments import grids
from lecture_experiments.chinese import chinese
from lecture_experiments.experiments import EXPERIMENTS, STEPS
from lecture_experiments.grids import Grid, Words
from lecture_experiments.run import Outcome

Row = Mapping[str, str]  # one experiment, by the names in SHOWN and COLUMNS
SHOWN = (
    "experiment", "hidden", "activation", "goal", "search",
    "batch", "updates", "training loss", "accuracy", "loss", "s",
)  # fmt: skip
COLUMNS = (*SHOWN[:-1], "backend", "dataset", "examples", "epochs", "seed")
"""Of the CSV file: without the seconds, so that the same command gives the same file."""
GOALS = {"categorical_crossentropy": "cross-entropy", "mean_squared_error": "squared error"}
TABLES = {
    "steps": STEPS,
    "depth": tuple(name for name in EXPERIMENTS if name.startswith("depth-")),
    "width": tuple(name for name in EXPERIMENTS if name.startswith("width-")),
    "batch": ("lecture", *(name for name in EXPERIMENTS if name.startswith("batch-"))),
    "features": ("linear", *(name for name in EXPERIMENTS if name.startswith("features-")), "lecture"),
}
"""Table -> its experiments."""
OWN = {table: set(names) - (set(STEPS) if table != "steps" else set()) for table, names in TABLES.items()}
"""Table -> those that stand in it alone."""
LECTURES: Mapping[str, Words] = {"lecture.md": str, "lecture.zh.md": chinese}
PAGES: Mapping[str, Words] = {**LECTURES, "../README.md": str, "README.zh.md": chinese}
"""From the folder of the figures, with their language."""
README = "defaults", "agreement", "accuracy", "speed"
"""Tables that stand in the README alone."""
ALONE = "tables.md"


def row(outcome: Outcome) -> Row:
    """One experiment's figures as they are printed; the losses are the last epoch's and that of the test."""
    experiment, losses = EXPERIMENTS[outcome.name], outcome.history.get("loss")
    return {
        "experiment": experiment.name,
        "hidden": "-".join(map(str, experiment.hidden)) or "none",
        "activation": experiment.activation if experiment.hidden else "",
        "goal": GOALS[experiment.loss],
        "search": "L-BFGS" if experiment.optimizer is None else experiment.optimizer.name,
        "batch": str(experiment.batch or "all"),
        "updates": str(outcome.updates),
        "training loss": f"{losses[-1] if losses else float('nan'):.4f}",
        "accuracy": f"{outcome.test_accuracy:.4f}",
        "loss": f"{outcome.test_loss:.4f}",
        "s": f"{outcome.seconds:.0f}",
        **{name: str(getattr(outcome, name)) for name in COLUMNS[-5:]},
    }


def kept(folder: Path, same: Mapping[str, Any]) -> dict[str, Row]:
    """Experiment -> its row in the folder's lecture.csv, where there is one.

    Raises InputError: the file is unreadable, or of other data, passes or another seed.
    """
    path = folder / "lecture.csv"
    if not path.exists():
        return {}
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), COLUMNS))
        if tuple(rows.pop(0).values()) != COLUMNS or any(float(row["accuracy"]) > 1 for row in rows):
            raise ValueError("other columns")
    except (OSError, ValueError, TypeError, IndexError, csv.Error) as error:
        raise InputError(f"figures {path} cannot be read ({error}); choose another folder") from None
    for key, wanted in same.items():
        for other in {row[key] for row in rows} - {str(wanted)}:
            raise InputError(f"figures {path} have {key} {other}, expected {wanted}; choose another folder")
    return {row["experiment"]: row for row in rows if row["experiment"] in EXPERIMENTS}


def merged(kept: Mapping[str, Row], outcomes: Mapping[str, Outcome]) -> list[Row]:
    """The rows of all experiments that are known, in their order; a new outcome replaces what was kept."""
    rows = {**kept, **{name: row(outcome) for name, outcome in outcomes.items()}}
    return [rows[name] for name in EXPERIMENTS if name in rows]


def as_text(rows: Iterable[Row]) -> str:
    """All rows for a terminal."""
    return columns(SHOWN, [[row.get(name, "") for name in SHOWN] for row in rows], left=5)


def as_csv(rows: Iterable[Row]) -> str:
    """All rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown(rows: Iterable[Row], words: Words = str) -> dict[str, str]:
    """Table -> its text, of the tables that have rows of their own: not only what they are compared with."""
    found = {row["experiment"]: row for row in rows}
    here = {table: [found[name] for name in names if name in found] for table, names in TABLES.items()}
    own = {table for table, some in here.items() for row in some if row["experiment"] in OWN[table]}
    return {table: _markdown(here[table], table == "steps", words) for table in TABLES if table in own}


def _markdown(rows: Sequence[Row], reported: bool, words: Words) -> str:
    """What was tried, what came out, and what is reported elsewhere if that is asked for."""
    lines = [["tried", "updates", "training loss", "test accuracy", *["reported elsewhere"] * reported]]
    for row in rows:
        experiment, accuracy = EXPERIMENTS[row["experiment"]], f"{100 * float(row['accuracy']):.2f} %"
        cells = [experiment.about, row["updates"], row["training loss"], accuracy]
        lines.append(cells + [experiment.reported or "-"] * reported)
    return grids.markdown(lines, words)


def fill(page: str, tables: Mapping[str, str]) -> str:
    """The page with these tables between their markers; a marker without an end or a table is left alone."""
    between = re.compile(r"(<!-- table: (\w+) -->\n)((?:(?!<!--).)*)(?=<!-- end -->)", re.DOTALL)
    return between.sub(lambda found: found[1] + tables.get(found[2], found[3]), page)


def write(rows: Sequence[Row], more: Mapping[str, Grid], folder: Path) -> Path:
    """The CSV files and the tables: on the pages, or alone where there are none; returns their file."""
    write_atomically(folder / "lecture.csv", as_csv(rows).encode())
    return write_grids(more, folder, rows)


def write_grids(more: Mapping[str, Grid], folder: Path, rows: Sequence[Row] = ()) -> Path:
    """The same of grids alone, without lecture.csv."""
    for name, grid in more.items():
        write_atomically(grid_file(folder, name), grids.as_csv(grid).encode())

    def tables(words: Words) -> dict[str, str]:
        return markdown(rows, words) | {name: grids.markdown(grid, words) for name, grid in more.items()}

    known = PAGES if (folder / next(iter(PAGES))).exists() else LECTURES  # no other folder's README
    pages = {folder / name: words for name, words in known.items() if (folder / name).exists()}
    for path, words in pages.items():
        write_atomically(path, fill(path.read_text(encoding="utf-8"), tables(words)).encode())
    if pages:
        return next(iter(pages))
    page = "\n".join(f"<!-- table: {name} -->\n<!-- end -->\n" for name in tables(str))
    write_atomically(folder / ALONE, fill(page, tables(str)).encode())
    return folder / ALONE


def grid_file(folder: Path, name: str) -> Path:
    """Where a grid stands as CSV."""
    return folder / f"{'readme' if name in README else 'lecture'}-{name}.csv"


def with_kept(new: Mapping[str, Grid], folder: Path) -> dict[str, Grid]:
    """Grids with the rows that stand in the folder's files and are not made anew; without empty ones."""
    found = {name: grids.joined(grids.read(grid_file(folder, name)), grid) for name, grid in new.items()}
    return {name: grid for name, grid in found.items() if grid}
