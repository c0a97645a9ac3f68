"""Tables of the experiments, as CSV files and as Markdown for the lecture's pages."""

import csv
import io
import shutil
from collections.abc import Iterable
from pathlib import Path

from _pages import write_table
from _tables import markdown

from dnn.io.atomic_files import write_atomically
from lecture_experiments.experiments import EXPERIMENTS, STEP_NAMES
from lecture_experiments.run import Outcome

Grid = list[list[str]]
"""A table: headings, then rows of cells. The first cell of a row is the row's name."""
CSV_COLUMNS = [
    "experiment", "hidden", "activation", "goal", "search", "batch",
    "updates", "training loss", "accuracy", "loss",
    "backend", "dataset", "examples", "epochs", "seed",
]  # fmt: skip
"""Headings of lecture.csv. It has no times, so the same command writes the same file."""
LOSS_NAMES = {"categorical_crossentropy": "cross-entropy", "mean_squared_error": "squared error"}
PAGE_TABLES = {
    "steps": STEP_NAMES,
    "depth": tuple(name for name in EXPERIMENTS if name.startswith("depth-")),
    "width": tuple(name for name in EXPERIMENTS if name.startswith("width-")),
    "batch": ("lecture", *(name for name in EXPERIMENTS if name.startswith("batch-"))),
    "features": ("linear", *(name for name in EXPERIMENTS if name.startswith("features-")), "lecture"),
}
"""Table -> names of its experiments."""


def format_percent(share: float, digits: int = 1) -> str:
    """
    >>> format_percent(0.12345, 2)
    '12.35 %'
    """
    return f"{100 * share:.{digits}f} %"


def experiments_grid(outcomes: Iterable[Outcome]) -> Grid:
    """Return the table of lecture.csv. The training loss is that of the last epoch."""
    grid = [CSV_COLUMNS]
    for outcome in outcomes:
        experiment = EXPERIMENTS[outcome.name]
        losses = outcome.history["loss"]
        grid.append([
            experiment.name,
            "-".join(map(str, experiment.hidden)) or "none",
            experiment.activation if experiment.hidden else "",
            LOSS_NAMES[experiment.loss],
            "L-BFGS" if experiment.optimizer is None else experiment.optimizer.name,
            str(experiment.batch or "all"),
            str(outcome.updates),
            *(f"{value:.4f}" for value in (losses[-1], outcome.test_accuracy, outcome.test_loss)),
            *(str(getattr(outcome, name)) for name in CSV_COLUMNS[10:]),
        ])  # fmt: skip
    return grid


def experiment_tables(grid: Grid) -> dict[str, Grid]:
    """Return the tables of a page, made from the table of lecture.csv."""
    rows = {row[0]: row for row in grid[1:]}
    tables = {}
    for table, names in PAGE_TABLES.items():
        shown = [["setting", "updates", "training loss", "test accuracy", "reported elsewhere"]]
        for name in names:
            if name in rows:
                cells = *rows[name][6:8], format_percent(float(rows[name][8]), 2)
                shown.append([EXPERIMENTS[name].about, *cells, EXPERIMENTS[name].reported or "-"])
        tables[table] = [row[: 5 if table == "steps" else 4] for row in shown]
    return tables


def write(grids: dict[str, Grid], folder: Path) -> dict[str, Grid]:
    """Write each table that is not empty to lecture-NAME.csv, and "experiments" to lecture.csv.

    Returns:
        The tables of the pages. tables.md contains them as Markdown.
    """
    for name, grid in grids.items():
        if grid[1:]:
            ending = "" if name == "experiments" else f"-{name}"
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(grid)
            write_atomically(folder / f"lecture{ending}.csv", text.getvalue().encode())
    shown = experiment_tables(grids["experiments"]) | grids
    del shown["experiments"]
    shown = {name: grid for name, grid in shown.items() if grid[1:]}
    texts = (f"{name}\n\n{markdown(grid)}" for name, grid in shown.items())
    write_atomically(folder / "tables.md", "\n".join(texts).encode())
    return shown


def publish(shown: dict[str, Grid], folder: Path, pages: Path) -> None:
    """Write the tables into lecture.md and lecture.zh.md, and copy CSV files and pictures beside them.

    A table with a picture of its name gets it below.
    """
    for page, about in (
        ("lecture.md", "test error and training loss of these networks"),
        ("lecture.zh.md", "上表中各网络的测试错误率和训练损失"),
    ):
        for name, grid in shown.items():
            picture = f"lecture-{name}{page.removeprefix('lecture').replace('.md', '.png')}"
            note = f"![{about}]({picture})" if (folder / picture).exists() else ""
            write_table(pages / page, name, grid, note)
    for path in (*folder.glob("lecture*.csv"), *folder.glob("lecture-*.png")):
        shutil.copy(path, pages)
