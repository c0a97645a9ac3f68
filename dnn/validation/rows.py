"""Examples that stay where they are: on the disk, or sparse. A batch is made of them when it is wanted."""

import mmap
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, Self

import numpy as np

from backends import Array, Backend
from backends.plan import Compressed

BLOCK_BYTES = 1 << 21  # bytes of numbers that are read at a time where all are read
MAX_MAPPED_BYTES = 3 << 21  # bytes of a file that may be in memory at a time
PAGE_BYTES = 1 << 21
"""Bytes that the system may map where one row of a file is touched (Linux 6.18 takes a whole large page)."""


class Rows:
    """N examples on the host, start to stop of ``source``, of which rows are picked as plain arrays of this
    dtype (NumPy's name). The source has a ``shape``, a ``dtype`` and rows by a list of numbers.
    """

    def __init__(self, source: Any, dtype: str, start: int = 0, stop: int | None = None) -> None:
        self.source = source
        self.dtype = np.dtype(dtype)
        self._start = start
        self._stop = source.shape[0] if stop is None else stop
        self.shape = (self._stop - self._start, *source.shape[1:])  # (N, *shape of one)

    def __getitem__(self, key: tuple[slice, Any]) -> Self:
        """``rows[start:stop, ...]``: nothing is read."""
        start, stop, _ = key[0].indices(self.shape[0])
        return type(self)(self.source, self.dtype.name, self._start + start, self._start + stop)

    def take(self, index: np.ndarray) -> np.ndarray:
        """The examples with these numbers, (B,) int64, as a plain array (B, *shape of one)."""
        with np.errstate(over="ignore"):
            return self._pick(index + self._start)

    def _pick(self, index: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.source[index].astype(self.dtype).toarray())

    def as_compressed(self) -> Compressed | None:
        """The same as arrays, with values as they are picked; None: they are not in the usual order."""
        x = self.source
        if self.dtype == np.uint8 or not x.has_canonical_format or x.indices.dtype != np.int32:
            return None
        starts = x.indptr[self._start : self._stop + 1].astype(np.int64)
        if starts[0] < 0 or starts[-1] > x.indices.size or np.any(np.diff(starts) < 0):
            return None
        return Compressed(x.data.astype(self.dtype, copy=False), x.indices, starts, self.shape)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """All of them, a few megabytes at a time, and where they are."""
        step = max(1, BLOCK_BYTES // (prod(self.shape[1:]) * self.source.dtype.itemsize))
        for start in range(0, self.shape[0], step):
            stop = min(start + step, self.shape[0])
            yield slice(start, stop), self.take(np.arange(start, stop))


class OnDisk(Rows):
    """Rows of a ``numpy.memmap``. What was read is given back at once, so that it never counts as memory."""

    def as_compressed(self) -> None:
        """It is not."""

    def _pick(self, index: np.ndarray) -> np.ndarray:
        plain = np.asarray(self.source)
        out = np.empty((len(index), *self.shape[1:]), dtype=self.dtype)
        row = prod(self.shape[1:]) * plain.dtype.itemsize
        touched = min(int(np.ptp(index) + 1) * row, len(index) * max(PAGE_BYTES, row))
        step = -(-len(index) // -(-touched // MAX_MAPPED_BYTES))
        for start in range(0, len(index), step):
            out[start : start + step] = plain[index[start : start + step]]
            # In mode "c" the pages hold what the user wrote; some systems cannot give pages back.
            if self.source.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
                self.source._mmap.madvise(mmap.MADV_DONTNEED)
        return out


def as_rows(x: Any, dtype: str) -> Rows | None:
    """Rows of a sparse matrix, which becomes CSR, or of a map of a file; None: it is neither.
    uint8 stays uint8; all else is picked as ``dtype``.
    """
    if hasattr(x, "tocsr") and not isinstance(x, type):
        x = x.tocsr()
        kind = Rows
    elif isinstance(x, np.memmap) and x.ndim and getattr(x, "_mmap", None) is not None:
        kind = OnDisk
    else:
        return None
    return kind(x, "uint8" if x.dtype == np.uint8 else dtype)


def row_gatherer(backend: Backend, x: Array) -> Callable[[Array, Array, Array, float], None]:
    """The kernel ``gather_rows``, or what does the same for rows on the host."""
    gather = backend.kernel("gather_rows")

    def gather_from_host(rows: Rows, index: Array, out: Array, scale: float) -> None:
        picked = backend.from_host(rows.take(backend.to_host(index)))
        every = backend.xp.arange(picked.shape[0], dtype=backend.xp.int64, device=backend.device)
        gather(picked, every, out, scale)

    return gather_from_host if isinstance(x, Rows) else gather
