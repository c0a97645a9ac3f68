"""Adding rows up by their numbers: the gradient of picking rows of a table."""

from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array

ONE_HOT = 256
"""Rows of the result that are made at a time."""


@kernel(writes=("out",))
def scatter_rows(xp: Any, rows: Array, index: Array, out: Array) -> None:
    """``out[k] = sum of the rows[i] with index[i] = k``, 0 where there is none.

    As products with one-hot rows, a few at a time: the standard has no addition by index. Reads rows (B, n)
    and index (B,) int64 in [0, N); writes out (N, n).
    """
    for start in range(0, out.shape[0], ONE_HOT):
        stop = min(start + ONE_HOT, out.shape[0])
        numbers = xp.arange(start, stop, dtype=index.dtype, device=index.device)
        chosen = xp.astype(numbers[:, None] == index[None, :], rows.dtype)
        out[start:stop, ...] = xp.matmul(chosen, rows)
