"""L0 and L3 at sizes that are too large for the oracle, by laws of repeated numbers.

If the rows, columns, channels or parameters of a call are repeated, so are its results, and a sum grows with
the number of copies. The oracle makes the call with one, two and three copies. Each result y for which
y = a + c copies^power holds there must hold with many copies, too.

A second law masks all copies but the last one: logits of -inf, whose targets are 0. So a kernel that
ignores one of its classes is noticed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dnn.agreement.call import MEASURED, Call, map_arrays
from dnn.agreement.oracle import make_disturbed_oracle, measure_condition
from dnn.agreement.setup import Setup
from dnn.typing import HostArrays

LENGTHS = (4096, 2048, 1024, 512)
"""Numbers of rows, columns, ... that the larger calls have just more than."""
LOGITS = "z", "logits"
POWERS = (1.0, -1.0, -0.5)
MAX_NUMBERS = 1 << 17
"""Largest size of an array in a call with such a length."""
LARGE = 1 << 20
MAX_REFUSED = 8
"""Calls without a law after which no further call of the form is tried."""
Axes = tuple[tuple[str, int], ...]
"""(array, axis) pairs that are repeated together."""


class RepeatedCall:
    """A call with copies of some axes, and the law of its results.

    Args:
        oracle: call -> its arrays afterwards.
        mask: whether copies of logits are -inf, except the last.
    Raises ArithmeticError or ValueError: no result follows a law.
    """

    def __init__(
        self, call: Call, axes: Axes, oracle: Callable[[Call], HostArrays], mask: bool = False
    ) -> None:
        self.call = call
        self.axes = dict(axes)
        self.n = call.arrays[axes[0][0]].shape[axes[0][1]]
        self.mask = mask
        self.laws: dict[str, tuple[np.ndarray, np.ndarray, float]] = {}
        few = [oracle(self.make(copies)) for copies in (1, 2, 3)]
        for name in call.outputs:
            self._find_law(name, [after[name] for after in few])
        if not self.laws:
            raise ArithmeticError("no result follows a law")

    def _find_law(self, name: str, y: Sequence[np.ndarray]) -> None:
        """Find a, c and the power of a result, from those of one, two and three copies."""
        last = [self._last(name, values) for values in y]
        same = (last[0] == last[1]) | np.isnan(last[0])
        for power in POWERS:
            c = np.where(same, 0.0, last[1] - last[0]) / (2.0**power - 1.0)
            law = (last[0] - c, c, power) if c.any() else (last[0], c, power)  # integers stay exact
            if all(np.allclose(self._result(name, law, i), y[i - 1], 1e-9, 1e-12, True) for i in (1, 2, 3)):
                self.laws[name] = law
                return

    def _last(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the numbers of the last copy."""
        return np.take(values, range(-self.n, 0), self.axes[name]) if name in self.axes else values

    def _result(self, name: str, law: tuple[np.ndarray, np.ndarray, float], copies: int) -> np.ndarray:
        a, c, power = law
        return self._repeat(name, a + c * copies**power if c.any() else a, copies, 0.0)

    def _repeat(self, name: str, array: np.ndarray, copies: int, fill: float) -> np.ndarray:
        """Repeat an array along its axes. Without one, an index points to the last copy."""
        if name not in self.axes:
            points = name == "targets" or (name == "index" and self.axes.get("rows") == 0)
            return array + self.n * (copies - 1) if points and array.dtype.kind == "i" else array
        axis = self.axes[name]
        short: Any = array.astype(np.float32) if copies > 3 and array.dtype == np.float64 else array
        many = np.take(short, np.resize(np.arange(self.n), self.n * copies), axis)
        if self.mask and array.dtype.kind == "f":
            np.moveaxis(many, axis, 0)[: self.n * (copies - 1)] = fill
        return np.asarray(many)

    def make(self, copies: int) -> Call:
        """Return the call with this number of copies."""
        made = {
            id(array): self._repeat(name, array, copies, -np.inf if name in LOGITS else 0.0)
            for name, array in self.call.arrays.items()
        }
        arguments = map_arrays(lambda array: made[id(array)], self.call.arguments)
        repeated = {"control", *self.axes}
        sums = any(name not in repeated or c.any() for name, (_, c, _) in self.laws.items())
        # Equal numbers round the same way, so the error of a long sum grows with its length.
        terms = float(copies) ** (1 + (self.n * copies > 1000)) if sums else 1.0
        floor = copies if any(c.any() and power < 0.0 for _, c, power in self.laws.values()) else 1.0
        call = self.call
        return call._replace(arguments=arguments, n_terms=call.n_terms * terms, floor=call.floor / floor)

    @property
    def is_complete(self) -> bool:
        """Whether all results follow a law, and most numbers are finite."""
        parts = [a for a, _, _ in self.laws.values()]
        return len(parts) == len(self.call.outputs) and all(np.isfinite(a).mean() > 0.5 for a in parts)

    def results(self, copies: int) -> HostArrays:
        return {name: self._result(name, law, copies) for name, law in self.laws.items()}


def can_repeat(arrays: HostArrays, axes: Axes) -> bool:
    """Return whether the axes are no rows and columns of one array, of a window, or of an image."""
    first, axis = axes[0]
    is_outer = axis in (0, arrays[first].ndim - 1) and axes[0] not in (("W", 0), ("bits", 1))
    return is_outer and len(dict(axes)) == len(axes)


class LargerCalls:
    """Chooses calls with many copies: each axis of a kernel gets each of LENGTHS, and each kernel once more
    numbers than LARGE.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.done: set[Any] = set()
        self.refused: Counter[Any] = Counter()

    def repeat(self, call: Call) -> Iterator[tuple[Call, HostArrays]]:
        """Yield calls that repeat the arrays of this one, and the correct results."""
        arrays = call.arrays
        if not all(a.size for a in arrays.values()):
            return
        for n in dict.fromkeys(n for a in arrays.values() for n in a.shape if n % 2 and 1 < n < 300):
            axes = tuple((name, i) for name, a in arrays.items() for i, m in enumerate(a.shape) if m == n)
            if can_repeat(arrays, axes):
                yield from self._repeat(call, axes, n, mask=False)
                if any(name in LOGITS for name, _ in axes):
                    yield from self._repeat(call, axes, n, mask=True)

    def _repeat(self, call: Call, axes: Axes, n: int, mask: bool) -> Iterator[tuple[Call, HostArrays]]:
        """Yield calls that repeat these axes of length n, with the lengths and sizes that are missing."""
        kernel = call.kernel, len(call.arrays)
        kind = *kernel, *(a for a in call.arguments if isinstance(a, str))
        largest = max(call.arrays[name].size for name, _ in axes)
        wanted: dict[Any, int] = {
            (kind if length == LENGTHS[0] else kernel, axes, mask, length): length // n + 1
            for length in LENGTHS if (length // n + 1) * largest <= MAX_NUMBERS
        }  # fmt: skip
        if not mask:
            wanted[kernel] = LARGE // largest + 1
        wanted = {key: times for key, times in wanted.items() if key not in self.done}
        form = kind, axes, mask
        if not wanted or self.refused[form] > MAX_REFUSED:
            return
        try:
            repeated = RepeatedCall(self.measure(call), axes, self.setup.oracle.kernel, mask)
        except (ArithmeticError, ValueError, IndexError):
            self.refused[form] += 1
            return
        if not repeated.is_complete:
            wanted.pop(kernel, None)
        for key, times in wanted.items():
            results = repeated.results(times)
            sums = [y for y in results.values() if y.dtype.kind == "f"]
            # Without an allowed error, sums must be exact in float32.
            if call.n_terms or not any((np.abs(y) >= 2**24).any() for y in sums):
                self.done.add(key)
                yield repeated.make(times), results

    def measure(self, call: Call) -> Call:
        """Return the call with its largest condition, if that is to be measured."""
        if call.condition != MEASURED or not call.n_terms:
            return call
        disturbed = make_disturbed_oracle(self.setup.seed).kernel(call)
        condition = measure_condition([disturbed], self.setup.oracle.kernel(call))
        return call._replace(condition=max(condition.values()))
