"""Picking a batch, or the rows of a table; and adding rows up by their numbers, the gradient of that."""

from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array

ONE_HOT = 256  # rows of the result of ``scatter_rows`` that are made at a time


@kernel(writes=("out",))
def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    """``out[i] = rows[index[i]] * scale`` in the dtype of ``out``.

    Reads rows (N, ...) of any dtype and index (B,) int64; writes out (B, ...).
    """
    picked = xp.astype(xp.take(rows, index, axis=0), out.dtype)
    out[...] = picked if scale == 1.0 else picked * scale


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
