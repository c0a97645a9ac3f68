"""Dense layers on several blocks of a batch at once, with the bits that each block has by itself."""

from collections.abc import Iterable
from functools import cache, partial
from operator import iadd

from backends import Array, Backend
from backends.dispatch import Kernel
from backends.reference.signatures import Arrays
from dnn.layers import Activation, Dense, Dropout, Flatten, Layer, RandomTranslation, Rescaling, Reshape
from dnn.losses import Loss
from dnn.workers.tree import add_rows, add_up

FEW = 64
"""Columns of a product up to which a BLAS may take another kernel where there are more rows."""
ALIKE = "linear", "relu", "leaky_relu", "softmax"
"""Activations whose bits of a row do not depend on other rows, nor on threads. Of others, what is left over
after a block's last full register may be computed in another way: they are computed block by block.
"""
_KNOWN = Dense, Activation, Dropout, Flatten, RandomTranslation, Rescaling, Reshape


def divisible(leaves: Iterable[Layer], loss: Loss) -> bool:
    """Whether rows beside a row do not change what these layers and the loss compute of it."""
    return not loss.elementwise and all(type(leaf) in _KNOWN for leaf in leaves)


def alike(leaves: Iterable[Layer]) -> bool:
    """Whether divisible layers have such activations alone: then threads may share what they compute."""
    return all(leaf.activation in ALIKE for leaf in leaves if isinstance(leaf, Dense | Activation))


class Divided:
    """Kernels of dense layers for a batch of blocks.

    A row of a product does not depend on the rows beside it (whoever relies on it compares the bits), so one
    product serves all blocks. Each block's dW and db are sums of their own, added up in the tree's order: dW
    of the second of a pair as it is computed.

    Attributes:
        backend: the same backend with these kernels.
        blocks: a power of two, all of one size; to be set before each batch.
    """

    blocks = 1

    def __init__(self, backend: Backend) -> None:
        self._original, self.backend = backend, backend.wrapped(self._wrap)
        self._product, self._sums = backend.kernel("matmul"), backend.kernel("column_sums")
        self._zeros = cache(lambda shape, which: backend.zeros(shape))  # room that all layers share

    def _wrap(self, name: str, kind: str | None, kernel: Kernel) -> Kernel:
        if name == "dense":
            return partial(self._forward, kernel, kind in ALIKE)
        if name == "dense_backward":
            slope = self._original.kernel("activation_backward", kind)
            return partial(self._backward, slope if kind in ALIKE else partial(self._each, slope))
        if name in ("activation", "activation_backward") and kind not in ALIKE:
            return partial(self._each, kernel)
        return kernel

    def _each(self, kernel: Kernel, *arrays: Array) -> None:
        """Block by block; all arrays have a row for each example."""
        for block in zip(*map(self._apart, arrays), strict=True):
            kernel(*block)

    def _apart(self, rows: Array) -> list[Array]:
        n = rows.shape[0] // self.blocks
        return [rows[i * n : (i + 1) * n, ...] for i in range(self.blocks)]

    def _forward(self, dense: Kernel, whole: bool, x: Array, W: Array, b: Array, y: Array) -> None:
        if whole and W.shape[1] >= FEW:
            dense(x, W, b, y)
        else:
            self._each(lambda x, y: dense(x, W, b, y), x, y)

    def _backward(
        self, slope: Kernel, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
    ) -> None:
        dW, db, dx = gradients
        slope(dy, y, y, dz)
        xp, k = self._original.xp, self.blocks
        z_, sums = xp.reshape(dz, (k, -1, *db.shape)), self._zeros((k, *db.shape), 0)
        if W.shape[1] < FEW:
            x_ = xp.reshape(x, (k, -1, W.shape[0]))
            dW[...] = add_rows(xp.matmul(xp.matrix_transpose(x_), z_))
        else:
            weights = [self._zeros(W.shape, i) if i else dW for i in range((k + 1) // 2)]
            for i, (rows, dz_) in enumerate(zip(self._apart(x), self._apart(dz), strict=True)):
                self._product(rows.T, dz_, weights[i // 2], i % 2 == 1)
            add_up(weights, iadd)
        self._sums(z_, sums)
        db[...] = add_rows(sums)
        if dx is not None:
            self._product(dz, W.T, dx, False)
