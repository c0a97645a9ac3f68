"""Load batches: rows of the examples, multiplied by ``Network.scale``."""

from typing import Any

import numpy as np

from backends import Array
from dnn.inputs.rows import Rows
from dnn.layers import Dense
from dnn.network import Network

DENSE_SHARE = 0.2
"""Share of nonzeros from which a dense product is faster."""


class BatchLoader:
    """Loads batches into one array on the device, which the next batch overwrites.

    Rows of a sparse matrix stay sparse on the host, if the first layer is Dense and takes them.

    Args:
        x: the examples, or others with the same dtype and shape of one.
        size: of the largest batch.
        sparse: whether rows may stay sparse.
    """

    def __init__(self, network: Network, x: Array | Rows, size: int, sparse: bool = True) -> None:
        self.backend = network.backend
        self.scale = network.scale
        self.is_sparse = False
        if sparse and type(x) is Rows and network.backend.kernels.takes_sparse:
            rows, columns = x.source.shape
            is_dense = type(network.called_layers[0]) is Dense
            self.is_sparse = is_dense and x.source.nnz < DENSE_SHARE * rows * columns
        self._batch: Array = None if self.is_sparse else self.backend.zeros((size, *x.shape[1:]))

    def load(self, x: Any, index: Array) -> Any:
        """Return the examples at these indices, (B,) int64, as a batch for ``Network.forward``."""
        backend = self.backend
        if self.is_sparse:
            rows = x.take_sparse(np.asarray(index), backend.dtype_name)
            return rows if self.scale == 1.0 else rows * self.scale
        batch = self._batch[: index.shape[0], ...]
        if isinstance(x, Rows):
            x = backend.from_host(x.take(backend.to_host(index)))
            index = backend.indices(0, x.shape[0])
        backend.kernels.gather_rows(x, index, batch, self.scale)
        return batch
