"""Call: a call of a kernel or an optimizer's step as data, and the arrays that calls are made of.

Inputs are small integers or simple fractions, so most results are exact in any order of summation. Arrays
that a kernel only writes begin as NaN or -1, so that elements it leaves unwritten are noticed.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from backends.reference import KERNELS
from dnn.agreement import textbook
from dnn.optimizers import Optimizer

Draw = Callable[..., np.ndarray]


class Call(NamedTuple):
    """A call of a kernel.

    The bound of its error is ``bounds.layer(n_terms, condition=condition)``, or ``ulp`` ULPs if n_terms is 0.
    """

    kernel: str
    what: str
    arguments: tuple[Any, ...]
    kind: str | None = None
    n_terms: float = 0.0  # of a sum
    ulp: float = 0.0
    condition: float = 1.0  # as in ``bounds.layer``
    floor: float = 0.0  # if above 0, errors are relative to this plus abs(x), element by element
    optimizer: Optimizer | None = None  # of a step; the kernel is the one that it binds
    repeat: int = 1  # number of calls with the same arrays

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Argument name -> array; the second slot is "slots 1"."""
        found: dict[str, np.ndarray] = {}
        for name, argument in zip(parameter_names(self.kernel), self.arguments, strict=True):
            parts = argument if isinstance(argument, tuple) else (argument,)
            for i, part in enumerate(parts):
                if isinstance(part, np.ndarray):
                    found[f"{name} {i}" if len(parts) > 1 else name] = part
        return found

    @property
    def outputs(self) -> set[str]:
        """Names of the arrays that the kernel writes; some may be the same array."""
        arrays = self.arrays
        writes = KERNELS.get(self.kernel, KERNELS["sgd"]).writes
        ids = {id(array) for name, array in arrays.items() if name.split()[0] in writes}
        return {name for name, array in arrays.items() if id(array) in ids}


def parameter_names(kernel: str) -> list[str]:
    """Return the names of a kernel's arguments; a step without a kernel has those of every step."""
    function = KERNELS.get(kernel, KERNELS["sgd"]).function
    return [name for name in signature(function).parameters if name not in ("xp", "kind")]


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
