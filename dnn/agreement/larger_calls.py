"""L0 and L3 at larger sizes: calls whose rows, columns, channels or parameters are repeated.

Results are then repeated too, sums grow with the number of copies, and means do not; the oracle makes the
same call. In a second form all copies but the last one are masked: logits of -inf, whose targets are 0. So a
kernel that ignores one of its classes is noticed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dnn.agreement.calls.call import MEASURED, Call, map_arrays
from dnn.agreement.contenders.oracle import make_disturbed_oracle, measure_condition
from dnn.agreement.setup import Setup
from dnn.typing import HostArrays

LENGTHS = (4096, 2048, 1024, 512)
"""Numbers of rows, columns, ... that the larger calls have just more than."""
LOGITS = "z", "logits"
MAX_NUMBERS = 1 << 17
"""Largest size of an array in a call with such a length."""
Axes = tuple[tuple[str, int], ...]
"""(array, axis) pairs that are repeated together."""


def repeat_call(call: Call, axes: Mapping[str, int], copies: int, mask: bool = False) -> Call:
    """Return a call with copies of these axes (array -> axis).

    Args:
        mask: whether copies of logits are -inf, except the last.
    """
    arrays = call.arrays

    def repeat(name: str, array: np.ndarray) -> np.ndarray:
        if name not in axes:  # an index points to the last copy
            points = name == "targets" or (name == "index" and axes.get("rows") == 0)
            return array + n * (copies - 1) if points and array.dtype.kind == "i" else array
        many = np.take(array, np.resize(np.arange(n), n * copies), axes[name])
        if mask and array.dtype.kind == "f":
            fill = -np.inf if name in LOGITS else 0.0
            np.moveaxis(many, axes[name], 0)[: n * (copies - 1)] = fill
        return np.asarray(many)

    first, axis = next(iter(axes.items()))
    n = arrays[first].shape[axis]
    # Of an array with two names the first one counts: what is read, if a kernel works in place.
    made = {id(array): repeat(name, array) for name, array in reversed(arrays.items())}
    return call._replace(arguments=map_arrays(lambda array: made[id(array)], call.arguments))


def widen(
    call: Call, length: int, copies: int, axes: Mapping[str, int], before: HostArrays, after: HostArrays
) -> Call:
    """Return a repeated call with the bound of its sums.

    Args:
        length: of the repeated axes. before, after: the results without and with copies.
    """
    terms = floor = 1.0
    for name in call.outputs - {"control"}:
        y, last = before[name], after[name]
        if name in axes:
            last = np.take(last, range(-y.shape[axes[name]], 0), axes[name])
        if name not in axes or not np.allclose(last, y, 1e-9, 1e-12, equal_nan=True):
            # Equal numbers round the same way, so the error of a long sum grows with its length.
            terms = float(copies) ** (1 + (length > 1000))
            if (np.abs(last) < 0.9 * np.abs(y)).any():
                floor = float(copies)
    return call._replace(n_terms=call.n_terms * terms, floor=call.floor / floor)


def can_repeat(arrays: HostArrays, axes: Axes) -> bool:
    """Return whether the axes are no rows and columns of one array, of a window, or of an image."""
    first, axis = axes[0]
    is_outer = axis in (0, arrays[first].ndim - 1) and axes[0] not in (("W", 0), ("bits", 1))
    return is_outer and len(dict(axes)) == len(axes)


class LargerCalls:
    """Chooses calls with many copies: each axis of a kernel gets each of LENGTHS, and each kernel once more
    numbers than ``sizes.large``.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.done: set[Any] = set()

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
            wanted[kernel] = self.setup.sizes.large // largest + 1
        wanted = {key: times for key, times in wanted.items() if key not in self.done}
        if not wanted:
            return
        oracle = self.setup.oracle.kernel
        before = oracle(call)
        if call.condition == MEASURED and call.n_terms:
            disturbed = make_disturbed_oracle(self.setup.seed).kernel(call)
            call = call._replace(condition=max(measure_condition([disturbed], before).values()))
        if not all(np.isfinite(before[name]).mean() > 0.5 for name in call.outputs):
            wanted.pop(kernel, None)
        for key, copies in wanted.items():
            repeated = repeat_call(call, dict(axes), copies, mask)
            try:
                after = oracle(repeated)
            except (ValueError, IndexError):  # the arrays no longer fit together
                return
            results = {name: after[name] for name in call.outputs}
            sums = [y for y in results.values() if y.dtype.kind == "f"]
            # Without an allowed error, sums must be exact in float32.
            if call.n_terms or not any((np.abs(y) >= 2**24).any() for y in sums):
                self.done.add(key)
                yield widen(repeated, n * copies, copies, dict(axes), before, after), results
