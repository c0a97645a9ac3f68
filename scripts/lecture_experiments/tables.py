"""Tables of the experiments for the lecture's pages."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from _pages import Grid, write_table

from lecture_experiments.experiments import EXPERIMENTS, STEP_NAMES
from lecture_experiments.run import Outcome

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


def experiment_tables(outcomes: Mapping[str, Outcome]) -> dict[str, Grid]:
    """Return the tables of the finished experiments. The training loss is that of the last epoch."""
    tables: dict[str, Grid] = {}
    for table, names in PAGE_TABLES.items():
        grid = [["setting", "updates", "training loss", "test accuracy", "reported elsewhere"]]
        for name in [name for name in names if name in outcomes]:
            outcome = outcomes[name]
            experiment = EXPERIMENTS[name]
            loss = f"{outcome.history['loss'][-1]:.4f}"
            accuracy = format_percent(outcome.test_accuracy, 2)
            grid.append([experiment.about, str(outcome.updates), loss, accuracy, experiment.reported or "-"])
        tables[table] = [row[: 5 if table == "steps" else 4] for row in grid]
    return tables


def publish(shown: dict[str, Grid], folder: Path, pages: Path) -> None:
    """Write the tables into lecture.md and lecture.zh.md, and copy the pictures beside them.

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
    for path in folder.glob("lecture-*.png"):
        shutil.copy(path, pages)
