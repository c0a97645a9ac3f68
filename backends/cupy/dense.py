"""CuPy's kernels of dense networks and of the random generator, with few launches each."""

import numpy as np

from backends.cupy import compilation
from backends.cupy.sources import FUSED_ACTIVATIONS
from backends.reference import Kernels
from backends.reference.signatures import Array, Arrays, Key

ROWS_PER_BLOCK = 4  # one warp per row


class CupyDense(Kernels):
    """Dense layers, activations, cross-entropy and the generator."""

    def activation(self, name: str, z: Array, y: Array) -> None:
        if name not in FUSED_ACTIVATIONS:
            return super().activation(name, z, y)
        compilation.elementwise("activation")(FUSED_ACTIVATIONS.index(name), z, y)

    def activation_backward(self, name: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
        if name not in FUSED_ACTIVATIONS:
            return super().activation_backward(name, dy, z, y, dz)
        compilation.elementwise("activation_backward")(FUSED_ACTIVATIONS.index(name), dy, y, dz)

    def dense(self, x: Array, W: Array, b: Array, z: Array) -> None:
        self.xp.matmul(x, W, out=z)
        z += b

    def dense_backward(self, dz: Array, x: Array, W: Array, gradients: Arrays) -> None:
        xp = self.xp
        dW, db, dx = gradients
        xp.sum(dz, axis=0, out=db)
        xp.matmul(x.T, dz, out=dW)
        if dx is not None:
            xp.matmul(dz, W.T, out=dx)

    def softmax_cross_entropy(self, logits: Array, targets: Array, losses: Array, dlogits: Array) -> None:
        if targets.ndim == 2 or not all(a.flags.c_contiguous for a in (losses, dlogits)):
            return super().softmax_cross_entropy(logits, targets, losses, dlogits)
        batch = logits.shape[0]
        if batch == 0:  # CUDA rejects an empty grid
            return
        blocks = (-(-batch // ROWS_PER_BLOCK),)
        reads = (self.xp.ascontiguousarray(a) for a in (logits, targets))
        launch = compilation.bind_launch(
            "softmax_cross_entropy", blocks, (32, ROWS_PER_BLOCK), *reads, *logits.shape, losses, dlogits
        )
        launch()

    def threefry(self, key: Key, high: Array, low: Array, out: Array) -> None:
        compilation.elementwise("threefry")(np.uint32(key[0]), np.uint32(key[1]), high, low, out)
