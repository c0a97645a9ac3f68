"""Shared code of the examples: import path, options, training and the table of results."""

import runpy
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

# An example is run by its path, so Python searches only this folder.
runpy.run_path(str(Path(__file__).resolve().parents[1] / "checkout.py"))

from dnn.commands import command_line, options  # noqa: E402
from dnn.io.tables import format_columns  # noqa: E402

run = command_line.run


def parser(description: str | None, epochs: int) -> command_line.Parser:
    """Return a parser with --epochs, --seeds and the backend options."""
    parser = command_line.Parser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs, help="training epochs (default: %(default)s)")
    more = "number of seeds for the mean and standard error (default: %(default)s)"
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help=more)
    options.add_backend_arguments(parser)
    return parser


def open_backend(arguments: Namespace) -> Any:
    """Validate --epochs and --seeds, and return the requested backend.

    Raises InputError: one of them is not positive, or scikit-learn is missing.
    """
    from backends.errors import install_command, reraise
    from dnn.validation.settings import positive_integer

    positive_integer("epochs", arguments.epochs)
    positive_integer("seeds", arguments.seeds)
    got = "the baselines need scikit-learn, which cannot be imported"
    with reraise(ImportError, got, cure=install_command("apps")):
        import sklearn  # noqa: F401
    return options.open_backend(arguments)


def train_network(
    x: Any,
    y: Any,
    units: list[tuple[int, str]],
    arguments: Namespace,
    backend: Any,
    *,
    rate: float,
    batch: int,
    seed: int,
    loss: str = "categorical_crossentropy",
) -> Any:
    """Train a network of Dense layers by Adam with a learning rate that falls linearly to 0.

    Args:
        x: (n, n_in).
        y: (n,) classes, or (n, n_out) for another loss.
        units: (units, activation) of each layer.
        batch: batch size.
    """
    from dnn import Adam, Dense, LinearDecay, Sequential

    updates = arguments.epochs * -(-x.shape[0] // batch)
    layers = [Dense(count, activation) for count, activation in units]
    model = Sequential(layers, input_shape=x.shape[1:], backend=backend, seed=seed)
    model.compile(loss, Adam(LinearDecay(rate, updates)))
    model.fit(x, y, batch_size=batch, epochs=arguments.epochs, verbose=0)
    return model


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
    print(about)
    print(format_columns(rows))
