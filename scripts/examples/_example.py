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
    """Return a parser with --epochs, --seed, --seeds and the backend options."""
    parser = command_line.Parser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs, help="training epochs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="first seed of weights, shuffles and splits")
    more = "number of seeds for the mean and standard error (default: %(default)s)"
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help=more)
    options.add_backend_arguments(parser)
    return parser


def open_backend(arguments: Namespace, *counts: str) -> Any:
    """Validate the shared options and return the requested backend.

    Args:
        counts: more options that must be positive, like --epochs and --seeds.
    Raises InputError: one of them is not positive, the seed is out of range, or scikit-learn is missing.
    """
    from backends.errors import InputError, install_command, reraise
    from dnn.validation.settings import positive_integer

    for name in ("epochs", "seeds", *counts):
        positive_integer(name, getattr(arguments, name))
    if not 0 <= arguments.seed <= 2**31 - arguments.seeds:
        raise InputError(f"seed is {arguments.seed}", "seeds from 0 to 2**31 - 1")
    backend = options.open_backend(arguments)
    got = "the baselines need scikit-learn, which cannot be imported"
    with reraise(ImportError, got, cure=install_command("apps")):
        import sklearn  # noqa: F401
    return backend


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


def mean_over_seeds(arguments: Namespace, scores: Callable[[int], Any]) -> list[str]:
    """Return table cells with the mean and standard error of each score over the seeds.

    Args:
        scores: seed -> tuple of scores.
    """
    import numpy as np

    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    values = np.asarray([scores(seed) for seed in seeds])
    if len(seeds) == 1:
        return [f"{mean:.4f}" for mean in values[0]]
    errors = values.std(axis=0, ddof=1) / np.sqrt(len(seeds))
    return [f"{mean:.4f} +- {error:.4f}" for mean, error in zip(values.mean(axis=0), errors, strict=True)]


def compare(
    arguments: Namespace,
    about: str,
    headings: tuple[str, ...],
    methods: dict[str, Callable[[int], Any]],
) -> None:
    """Print a line about the data, then a table with the scores of each method over the seeds.

    Args:
        methods: name -> function from a seed to a tuple of scores.
    """
    rows = [(name, *mean_over_seeds(arguments, scores)) for name, scores in methods.items()]
    print(about)
    print(format_columns([headings, *rows]))
