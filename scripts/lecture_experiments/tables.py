"""The tables of the lecture's pages, the README and the pages of measurements, as CSV files and as Markdown.

A table stands between two markers of a page. Every other line of the page is written by hand.

    <!-- table: depth -->
    | tried | ... |
    <!-- end -->
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backends import InputError
from backends.errors import refusing
from dnn.io.atomic_files import write_atomically
from lecture_experiments.experiments import EXPERIMENTS, STEPS
from lecture_experiments.run import Outcome

Grid = list[list[str]]
"""A table: headings, then rows of cells. The first cell of a row is its name."""
Words = Callable[[str], str]
"""A cell in the language of a page."""
NOTHING = "-"


def per_cent(share: float, digits: int = 1) -> str:
    """
    >>> per_cent(0.12345, 2)
    '12.35 %'
    """
    return f"{100 * share:.{digits}f} %"


def number(cell: str) -> float:
    """The number in a cell, in per cent if it is one; NaN for NOTHING."""
    return float("nan" if cell == NOTHING else cell.removesuffix(" %"))


def chinese(cell: str) -> str:
    """The cell in Chinese; names and numbers stay as they are."""
    text = (Path(__file__).parent / "chinese.csv").read_text(encoding="utf-8")
    return dict(csv.reader(text.splitlines())).get(cell, cell)


# ----- files and pages

COLUMNS = [
    "experiment", "hidden", "activation", "goal", "search", "batch",
    "updates", "training loss", "accuracy", "loss",
    "backend", "dataset", "examples", "epochs", "seed",
]  # fmt: skip
"""Headings of lecture.csv. It has no seconds: the same command writes the same file."""
FIGURES = slice(6, 10)
"""The numbers among them."""
LECTURES: Mapping[str, Words] = {"lecture.md": str, "lecture.zh.md": chinese}
PAGES: Mapping[str, Words] = {
    **LECTURES, "../README.md": str, "README.zh.md": chinese, "agreement.md": str, "speed.md": str,
}  # fmt: skip
"""Path from the folder of the figures -> language."""
MEASURED = "defaults", "agreement", "accuracy", "speed"
"""Tables of other pages than the lecture's: of README.md, agreement.md and speed.md."""


def csv_file(folder: Path, name: str) -> Path:
    """The file of a table; "experiments" is lecture.csv."""
    if name == "experiments":
        return folder / "lecture.csv"
    return folder / f"{'measured' if name in MEASURED else 'lecture'}-{name}.csv"


def read(path: Path) -> Grid:
    """The table in a CSV file; [] if there is none. Raises InputError: it cannot be read."""
    if not path.exists():
        return []
    with refusing(
        (OSError, ValueError, csv.Error), f"figures {path} cannot be read", cure="choose another folder"
    ):
        heading, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
        experiments = path.name == "lecture.csv"
        if {len(row) for row in rows} != {len(heading)} or (experiments and heading != COLUMNS):
            raise ValueError("other columns")
        for row in rows:
            for cell in row[FIGURES] if experiments else row[1:]:
                number(cell)
    return [heading, *rows]


def as_csv(grid: Grid) -> str:
    """The table as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(grid)
    return text.getvalue()


def join(old: Grid, new: Grid, names: Sequence[str] = ()) -> Grid:
    """New rows in place of old ones of the same name, in the order of ``names``, others last."""
    if not new or (old and old[0] != new[0]):
        heading, *rows = new or old or [[]]
    else:
        heading, *rows = [new[0], *{row[0]: row for row in old[1:] + new[1:]}.values()]
    return [heading, *sorted(rows, key=lambda row: names.index(row[0]) if row[0] in names else len(names))]


def join_files(new: Mapping[str, Grid], folder: Path, names: Sequence[str]) -> dict[str, Grid]:
    """Each table joined to the one in the folder's file, without empty tables."""
    joined = {name: join(read(csv_file(folder, name)), grid, names) for name, grid in new.items()}
    return {name: grid for name, grid in joined.items() if grid[1:]}


def markdown(grid: Grid, words: Words = str) -> str:
    """The table as it stands on a page."""
    lines = [grid[0], ["---"] * len(grid[0]), *grid[1:]]
    return "".join("| " + " | ".join(map(words, line)) + " |\n" for line in lines)


def fill(page: str, tables: Mapping[str, str]) -> str:
    """The page with these tables between their markers; a marker without an end or a table is left alone."""
    between = re.compile(r"(<!-- table: (\w+) -->\n)((?:(?!<!--).)*)(?=<!-- end -->)", re.DOTALL)
    return between.sub(lambda found: found[1] + tables.get(found[2], found[3]), page)


def write(grids: Mapping[str, Grid], folder: Path) -> Path:
    """Write the CSV files, and the tables into the folder's pages or, without pages, into tables.md.

    Returns the first file with tables.
    """
    for name, grid in grids.items():
        write_atomically(csv_file(folder, name), as_csv(grid).encode())
    shown = experiment_tables(grids.get("experiments", []))
    shown.update((name, grid) for name, grid in grids.items() if name != "experiments")
    known = PAGES if (folder / next(iter(PAGES))).exists() else LECTURES  # no other folder's README
    pages = {folder / name: words for name, words in known.items() if (folder / name).exists()}
    for path, words in pages.items():
        tables = {name: markdown(grid, words) for name, grid in shown.items()}
        write_atomically(path, fill(path.read_text(encoding="utf-8"), tables).encode())
    if pages:
        return next(iter(pages))
    text = "\n".join(
        f"<!-- table: {name} -->\n{markdown(grid)}<!-- end -->\n" for name, grid in shown.items()
    )
    write_atomically(folder / "tables.md", text.encode())
    return folder / "tables.md"


# ----- experiments

GOALS = {"categorical_crossentropy": "cross-entropy", "mean_squared_error": "squared error"}
TABLES = {
    "steps": STEPS,
    "depth": tuple(name for name in EXPERIMENTS if name.startswith("depth-")),
    "width": tuple(name for name in EXPERIMENTS if name.startswith("width-")),
    "batch": ("lecture", *(name for name in EXPERIMENTS if name.startswith("batch-"))),
    "features": ("linear", *(name for name in EXPERIMENTS if name.startswith("features-")), "lecture"),
}
"""Table -> its experiments."""


def experiments_grid(outcomes: Sequence[Outcome]) -> Grid:
    """The table of lecture.csv. The training loss is that of the last epoch."""
    grid = [COLUMNS]
    for outcome in outcomes:
        experiment = EXPERIMENTS[outcome.name]
        losses = outcome.history.get("loss") or [float("nan")]
        grid.append([
            experiment.name,
            "-".join(map(str, experiment.hidden)) or "none",
            experiment.activation if experiment.hidden else "",
            GOALS[experiment.loss],
            "L-BFGS" if experiment.optimizer is None else experiment.optimizer.name,
            str(experiment.batch or "all"),
            str(outcome.updates),
            *(f"{value:.4f}" for value in (losses[-1], outcome.test_accuracy, outcome.test_loss)),
            *(str(getattr(outcome, name)) for name in COLUMNS[FIGURES.stop :]),
        ])  # fmt: skip
    return grid


def require_same(folder: Path, same: Mapping[str, Any]) -> None:
    """Raises InputError: the folder's lecture.csv is of other data, passes or another seed."""
    path = csv_file(folder, "experiments")
    for row in read(path)[1:]:
        for key, wanted in same.items():
            if (found := row[COLUMNS.index(key)]) != str(wanted):
                raise InputError(f"figures {path} have {key} {found}", str(wanted), "choose another folder")


def experiment_tables(grid: Grid) -> dict[str, Grid]:
    """The tables of a page from lecture.csv: those with a row of their own, which is not in "steps" too."""
    rows = {row[0]: row for row in grid[1:]}
    tables = {}
    for table, names in TABLES.items():
        if rows.keys() & set(names).difference(() if table == "steps" else STEPS):
            shown = [["tried", "updates", "training loss", "test accuracy", "reported elsewhere"]]
            for name in names:
                if name in rows:
                    cells = *rows[name][6:8], per_cent(float(rows[name][8]), 2)
                    shown.append([EXPERIMENTS[name].about, *cells, EXPERIMENTS[name].reported or NOTHING])
            tables[table] = [row[: 5 if table == "steps" else 4] for row in shown]
    return tables
