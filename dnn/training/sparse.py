"""Sparse batches: on the host the first Dense layer takes rows of a sparse matrix as they are."""

from typing import Any

import numpy as np

from backends import Array
from dnn.layers import Dense
from dnn.network import Network
from dnn.validation.rows import OnDisk, Rows

DENSE_SHARE = 0.2
"""Share of nonzeros from which a dense product is faster."""


def takes_sparse(network: Network, x: Any) -> bool:
    """Whether batches of x stay sparse: kernels that take them, a first Dense layer and few nonzeros."""
    if not isinstance(x, Rows) or isinstance(x, OnDisk) or not network.backend.kernels.takes_sparse:
        return False
    rows, columns = x.source.shape
    return type(network.called_layers[0]) is Dense and x.source.nnz < DENSE_SHARE * rows * columns


def sparse_rows(network: Network, x: Rows, index: Array) -> Any:
    """Return a batch of sparse rows (B, n), multiplied by ``Network.scale``."""
    batch = x.take_sparse(np.asarray(index), network.backend.dtype_name)
    return batch if network.scale == 1.0 else batch * network.scale
