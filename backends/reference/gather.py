"""Picking a batch, or the rows of a table."""

from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array


@kernel(writes=("out",))
def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    """``out[i] = rows[index[i]] * scale`` in the dtype of ``out``.

    Reads rows (N, ...) of any dtype and index (B,) int64; writes out (B, ...).
    """
    picked = xp.astype(xp.take(rows, index, axis=0), out.dtype)
    out[...] = picked if scale == 1.0 else picked * scale
