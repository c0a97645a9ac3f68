"""Call: a call of a kernel or an optimizer's step as data, and the arrays that calls are made of.

Inputs are small integers or simple fractions, so most results are exact in any order of summation. Arrays
that a kernel only writes begin as NaN or -1, so that elements it leaves unwritten are noticed.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from backends.reference import Declaration, Kernels, declarations
from dnn.optimizers import Optimizer

Draw = Callable[..., np.ndarray]
"""See ``make_draw``."""
MEASURED = 0.0
"""Condition of a call for which it is measured."""


class Call(NamedTuple):
    """A call of a kernel.

    The bound of its error is ``bounds.layer(n_terms, condition=condition)``. Without n_terms it is 0.
    """

    kernel: str
    arguments: tuple[Any, ...]
    n_terms: float = 0.0  # of a sum
    condition: float = MEASURED  # as in ``bounds.layer``
    floor: float = 0.0  # if above 0, errors are relative to this plus abs(x), element by element
    optimizer: Optimizer | None = None  # of a step, which it binds; ``kernel`` is then its name
    repeat: int = 1  # number of calls with the same arrays

    @property
    def label(self) -> str:
        """The kernel and its arguments by name: the shapes of arrays, but the numbers of short vectors."""
        named = dict(zip(declaration_of(self.kernel).arguments, self.arguments, strict=True))
        if "control" in named:
            named |= zip(("rate", "bias 1", "bias 2", "updates"), named.pop("control"), strict=True)

        def show(argument: Any) -> str:
            if isinstance(argument, tuple):
                return f"({', '.join(map(show, argument))})"
            if not isinstance(argument, np.ndarray):
                return str(argument)
            is_short = argument.ndim == 1 and argument.size < 5
            return str(argument.tolist()) if is_short else "x".join(map(str, argument.shape))

        return " ".join([self.kernel, *(f"{name}={show(value)}" for name, value in named.items())])

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Argument name -> array; the second slot is "slots 1"."""
        found: dict[str, np.ndarray] = {}
        for name, argument in zip(declaration_of(self.kernel).arguments, self.arguments, strict=True):
            parts = argument if isinstance(argument, tuple) else (argument,)
            for i, part in enumerate(parts):
                if isinstance(part, np.ndarray):
                    found[f"{name} {i}" if len(parts) > 1 else name] = part
        return found

    def for_float64(self) -> "Call":
        """Return the call with numbers in its first array that float32 cannot hold; exact sums stay exact."""
        inputs = (a for a in self.arrays.values() if a.dtype.kind == "f" and not np.isnan(a).all())
        first = next(inputs, None)
        if first is None or self.kernel == "displacements":  # whose weights are integers
            return self
        finer = first * (1.0 + 2.0**-26)
        return self._replace(arguments=map_arrays(lambda a: finer if a is first else a, self.arguments))

    @property
    def outputs(self) -> set[str]:
        """Names of the arrays that the kernel writes; some may be the same array."""
        arrays = self.arrays
        writes = declaration_of(self.kernel).writes
        ids = {id(array) for name, array in arrays.items() if name.split()[0] in writes}
        return {name for name, array in arrays.items() if id(array) in ids}


def map_arrays(function: Callable[[np.ndarray], Any], argument: Any) -> Any:
    """Return a kernel's argument with ``function`` applied to each array in it."""
    if isinstance(argument, tuple):
        return tuple(map_arrays(function, part) for part in argument)
    return function(argument) if isinstance(argument, np.ndarray) else argument


@cache
def declaration_of(kernel: str) -> Declaration:
    """Return a kernel's declaration; an optimizer's name stands for any step."""
    known = declarations(Kernels)
    return known.get(kernel, known["sgd"])


def make_draw(seed: int) -> Draw:
    """Return a function of a shape that draws integers: floats from -4 to 4, or int64 below ``below``."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, below: int | None = None) -> np.ndarray:
        return rng.integers(below, size=shape) if below else rng.integers(-4, 5, shape) * 1.0

    return draw


def output_array(*shape: int, dtype: Any = float) -> np.ndarray:
    """Return an array that the kernel must fill."""
    return np.full(shape, np.nan if dtype is float else -1, dtype=dtype)


def single(a: np.ndarray) -> np.ndarray:
    """Round to float32, so that all contenders get equal numbers."""
    return a.astype(np.float32).astype(np.float64)
