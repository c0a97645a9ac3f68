"""Call: a call of a kernel as data, and the arrays that calls are made of.

Inputs are small integers or simple fractions, so most results are exact in any order of summation. Arrays
that a kernel only writes begin as NaN or -1, so that elements it leaves unwritten are noticed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dnn.agreement import textbook

Draw = Callable[..., np.ndarray]


class Call(NamedTuple):
    """A call of a kernel. Its bound is 0, ``ulp`` ULPs, or that of a layer with these terms and condition."""

    kernel: str
    what: str
    arguments: tuple[Any, ...]
    kind: str | None = None
    n_terms: float = 0.0  # of a sum
    ulp: float = 0.0
    condition: float = 1.0  # as in ``bounds.layer``
    floor: float = 0.0  # if above 0, errors are relative to this plus abs(x), element by element


def make_draw(seed: int) -> Draw:
    """Return a function of a shape that draws integers from -4 to 4."""
    numbers = textbook.random_bits(seed, "agreement kernels", 0, 0, 70001) % 9 - 4.0
    start = 0

    def draw(*shape: int) -> np.ndarray:
        nonlocal start
        start = (start + 8191) % numbers.size
        return np.resize(np.roll(numbers, start), shape)

    return draw


def output_array(*shape: int, dtype: Any = float) -> np.ndarray:
    """Return an array that the kernel must fill."""
    return np.full(shape, np.nan if dtype is float else -1, dtype=dtype)


def single(a: np.ndarray) -> np.ndarray:
    """Round to float32, so that all contenders get equal numbers."""
    return a.astype(np.float32).astype(np.float64)
