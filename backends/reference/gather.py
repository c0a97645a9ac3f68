"""Gather rows by index (a batch, an embedding), and its gradient: sum rows by index."""

from backends.reference.arithmetic import blocks
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array

ONE_HOT_ROWS = 256  # rows of the result that ``scatter_rows`` computes at a time


class GatherKernels(KernelBase):
    """Rows by index, and their gradient."""

    @kernel(writes=("out",))
    def gather_rows(self, rows: Array, index: Array, out: Array, scale: float) -> None:
        """``out[i] = rows[index[i]] * scale`` in the dtype of ``out``.

        Reads rows (N, ...) of any dtype and index (B,) int64; writes out (B, ...).
        """
        batch = self.xp.astype(self.xp.take(rows, index, axis=0), out.dtype)
        out[...] = batch if scale == 1.0 else batch * scale

    @kernel(writes=("out",))
    def scatter_rows(self, rows: Array, index: Array, out: Array) -> None:
        """``out[k] = sum of rows[i] over all i with index[i] = k``; 0 if there is no such i.

        Computed as products with one-hot rows: the array API has no indexed addition. Reads rows (B, n)
        and index (B,) int64 in [0, N); writes out (N, n).
        """
        xp = self.xp
        for part in blocks(out.shape[0], ONE_HOT_ROWS):
            numbers = xp.arange(part.start, part.stop, dtype=index.dtype, device=index.device)
            one_hot = xp.astype(numbers[:, None] == index[None, :], rows.dtype)
            out[part, ...] = xp.matmul(one_hot, rows)
