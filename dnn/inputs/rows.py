"""Rows: examples that stay on the disk or sparse; each batch is read or made dense when it is needed."""

import mmap
from collections.abc import Iterator
from math import prod
from typing import Any, Self

import numpy as np

from backends.plan import Compressed

CHUNK_BYTES = 1 << 21  # size of the chunks in which a pass over all examples reads them
MAPPED_ROWS = 3  # rows of a file that are read at a time; each may map 2 MB, a large page, since Linux 6.18


class Rows:
    """N examples on the host that are converted to plain arrays batch by batch.

    Args:
        source: a sparse matrix, or another object with ``shape``, ``dtype`` and indexing by row numbers.
        dtype: of the batches, NumPy's name.
        kept: rows of the source; None: all.
    """

    def __init__(self, source: Any, dtype: str, kept: range | None = None) -> None:
        self.source = source
        self.dtype = np.dtype(dtype)
        self._kept = range(source.shape[0]) if kept is None else kept
        self.shape = (len(self._kept), *source.shape[1:])  # (N, *shape of one example)

    def __getitem__(self, key: tuple[slice, Any]) -> Self:
        """Return ``rows[start:stop, ...]`` without reading anything."""
        return type(self)(self.source, self.dtype.name, self._kept[key[0]])

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the examples at these indices, (B,) int64, as an array (B, *shape of one)."""
        return np.ascontiguousarray(self.take_sparse(index, self.dtype).toarray())

    def take_sparse(self, index: np.ndarray, dtype: Any) -> Any:
        """Return the examples at these indices as a CSR matrix."""
        return self.source[index + self._kept.start].astype(dtype, copy=False)

    def as_compressed(self) -> Compressed | None:
        """Return the rows in CSR form, cast to ``dtype``; None if the matrix is not in canonical CSR form."""
        x = self.source
        if self.dtype == np.uint8 or not x.has_canonical_format or x.indices.dtype != np.int32:
            return None
        starts = x.indptr[self._kept.start : self._kept.stop + 1].astype(np.int64)
        return Compressed(x.data.astype(self.dtype, copy=False), x.indices, starts, self.shape)

    def chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (slice, examples) for all examples, CHUNK_BYTES at a time."""
        n = max(1, CHUNK_BYTES // (prod(self.shape[1:]) * self.source.dtype.itemsize))
        for start in range(0, self.shape[0], n):
            stop = min(start + n, self.shape[0])
            yield slice(start, stop), self.take(np.arange(start, stop))


class OnDisk(Rows):
    """Rows of a ``numpy.memmap``; pages are released right after reading, so that memory use stays small."""

    def as_compressed(self) -> None:
        """Return None: the rows are dense."""

    def take(self, index: np.ndarray) -> np.ndarray:
        plain = np.asarray(self.source)
        out = np.empty((len(index), *self.shape[1:]), dtype=self.dtype)
        for start in range(0, len(index), MAPPED_ROWS):
            chunk = slice(start, start + MAPPED_ROWS)
            out[chunk] = plain[index[chunk] + self._kept.start]
            # In mode "c" the pages contain changes by the user; some systems cannot release pages.
            if self.source.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
                self.source._mmap.madvise(mmap.MADV_DONTNEED)
        return out


def as_rows(x: Any, dtype: str) -> Rows | None:
    """Return ``Rows`` of a sparse matrix, converted to CSR, or of a memory map; None for other objects.

    Batches of uint8 stay uint8; all others are cast to ``dtype``.
    """
    if hasattr(x, "tocsr") and not isinstance(x, type):
        x = x.tocsr()
        kind = Rows
    elif isinstance(x, np.memmap) and x.ndim and getattr(x, "_mmap", None) is not None:
        kind = OnDisk
    else:
        return None
    return kind(x, "uint8" if x.dtype == np.uint8 else dtype)
