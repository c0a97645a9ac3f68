"""Shared code of the examples: import path, options and the table of results."""

import runpy
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

# An example is run by its path, so Python searches only this folder.
runpy.run_path(str(Path(__file__).resolve().parents[1] / "checkout.py"))

from dnn.commands import command_line  # noqa: E402
from dnn.io.tables import format_columns  # noqa: E402


def run(main: Callable[[Namespace], None], about: str | None) -> None:
    """Run an example with --seeds and --backend. Also without scikit-learn, an error is one sentence."""

    def parse() -> Namespace:
        parser = command_line.Parser(description=about)
        more = "number of seeds for the mean and standard error (default: %(default)s)"
        parser.add_argument("--seeds", type=int, default=3, metavar="N", help=more)
        names = "numpy, numba, torch, ... (default: %(default)s)"
        parser.add_argument("--backend", default="numpy", metavar="NAME", help=names)
        return parser.parse_args()

    def run_main(arguments: Namespace) -> None:
        from backends.errors import install_command, reraise
        from dnn.settings.checks import positive_integer

        positive_integer("seeds", arguments.seeds)
        with reraise(ImportError, "the examples need scikit-learn:", cure=install_command("apps")):
            main(arguments)

    command_line.run(run_main, parse)


def compare(
    n_seeds: int,
    about: str,
    headings: tuple[str, ...],
    methods: dict[str, Callable[[int], Any]],
) -> None:
    """Print a line about the data, then a table with the mean and standard error of each method's scores.

    Args:
        methods: name -> function from a seed to a tuple of scores.
    """
    import numpy as np

    rows = [headings]
    for name, scores in methods.items():
        values = np.asarray([scores(seed) for seed in range(n_seeds)])
        cells = [f"{mean:.4f}" for mean in values.mean(axis=0)]
        if n_seeds > 1:
            errors = values.std(axis=0, ddof=1) / np.sqrt(n_seeds)
            cells = [f"{cell} +- {error:.4f}" for cell, error in zip(cells, errors, strict=True)]
        rows.append((name, *cells))
    command_line.print_result(f"{about}\n{format_columns(rows)}")
