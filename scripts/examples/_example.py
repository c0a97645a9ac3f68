"""What the examples share: where ``_command`` lies, the options of all of them, and the table at the end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# An example is run by its path: Python then knows this folder only.
sys.path.append(str(Path(__file__).resolve().parent.parent))

import _command

if TYPE_CHECKING:
    from backends import Backend
    from dnn import Sequential

run = _command.run


def parser(description: str | None, epochs: int) -> _command.Parser:
    """A parser with --epochs, --seed and the backend's options."""
    parser = _command.Parser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs, help="of the network (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, shuffles and splits")
    _command.add_backend_arguments(parser)
    return parser


def open_backend(arguments: argparse.Namespace) -> Backend:
    """The backend that was asked for; a bad seed, or no scikit-learn for the baselines, is refused before."""
    from backends import InputError

    if not 0 <= arguments.seed < 2**31:
        raise InputError(f"seed is {arguments.seed}, expected an integer from 0 to 2**31 - 1")
    backend = _command.open_backend(arguments)
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"the baselines need scikit-learn, which cannot be imported ({error}); "
            'pip install "array-api-dnn[apps]"'
        ) from None
    return backend


def network(
    units: Sequence[tuple[int, str]],
    inputs: int,
    loss: str,
    backend: Backend,
    seed: int,
    rate: float,
    updates: int,
) -> Sequential:
    """A network of Dense layers (units, activation), to be trained by Adam with a rate that falls to 0.

    Args:
        rate: of the first update; updates: after so many it is 0.
    """
    from dnn import Adam, Dense, LinearDecay, Sequential

    layers = [Dense(count, activation) for count, activation in units]
    model = Sequential(layers, input_shape=(inputs,), backend=backend, seed=seed)
    model.compile(loss, Adam(LinearDecay(rate, updates)))
    return model


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns: the first to the left, numbers to the right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        cells = [f"{line[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join(cells))
