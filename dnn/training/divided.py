"""Dense layers on several blocks of a batch at once, with the bits that each block has by itself."""

from collections.abc import Iterable, Sequence
from functools import partial
from operator import iadd

from backends import Array, Backend
from backends.dispatch import Kernel
from backends.reference.signatures import Arrays
from dnn.layers.dense import Dense
from dnn.layers.layer import Layer
from dnn.workers.tree import add_up

FEW = 64
"""Columns of a product up to which a BLAS may take another kernel where there are more rows."""


def divisible(leaves: Iterable[Layer]) -> bool:
    """Whether all that is trained in these layers are Dense layers, and none mixes examples."""
    return not any(leaf.mixes or (leaf.value and type(leaf) is not Dense) for leaf in leaves)


class Divided:
    """Kernels of dense layers for a batch of blocks.

    A row of a product does not depend on the rows beside it (whoever relies on it compares the bits), so one
    product serves all blocks. Each block's dW and db are products of their own, added up in the tree's order:
    the second of a pair as it is computed.

    Attributes:
        backend: the same backend with these kernels.
        cut: the rows of a power of two of blocks; to be set before each batch.
    """

    cut: Sequence[slice] = ()

    def __init__(self, backend: Backend) -> None:
        self._original, self.backend = backend, backend.wrapped(self._wrap)
        self._add = backend.kernel("add_product")
        self._room: dict[tuple[tuple[int, ...], int], Array] = {}

    def _wrap(self, name: str, kind: str | None, kernel: Kernel) -> Kernel:
        if name == "dense":
            return partial(self._forward, kernel)
        if name == "dense_backward":
            return partial(self._backward, self._original.kernel("activation_backward", kind))
        return kernel

    def _zeros(self, shape: tuple[int, ...], which: int = 0) -> Array:
        """Room that all layers share; that of number 0 is only read."""
        if (shape, which) not in self._room:
            self._room[shape, which] = self._original.zeros(shape)
        return self._room[shape, which]

    def _forward(self, dense: Kernel, x: Array, W: Array, b: Array, y: Array) -> None:
        for rows in self.cut if W.shape[1] < FEW else (slice(None),):
            dense(x[rows, ...], W, b, y[rows, ...])

    def _backward(
        self, slope: Kernel, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
    ) -> None:
        product, product_backward = self._original.kernels("dense", "linear")
        dW, db, dx = gradients
        slope(dy, y, y, dz)
        weights: list[Array] = []
        biases: list[Array] = []
        for i, rows in enumerate(self.cut):
            x_, dz_, columns = x[rows, ...], dz[rows, ...], W.shape[0]
            biases.append(self._zeros(db.shape, i) if i else db)
            if i % 2 == 1 and W.shape[1] >= FEW:
                self._add(x_.T, dz_, weights[-1])
                columns = 0  # of x; db alone is left
            else:
                weights.append(self._zeros(W.shape, i) if i else dW)
            made = weights[-1][:columns, ...], biases[-1], None
            product_backward(dz_, x_[:, :columns], y[rows, ...], W[:columns, ...], dz_, made)
        for sums in (weights, biases):
            add_up(sums, iadd)
        if dx is not None:
            product(dz, W.T, self._zeros(W.shape[:1]), dx)
