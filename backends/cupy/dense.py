"""CuPy overrides for dense networks and the random generator, with few launches each."""

from typing import Any

import numpy as np

from backends.cupy import compilation
from backends.cupy.sources import FUSED_KINDS as KINDS
from backends.dispatch import override
from backends.reference import losses as reference_losses
from backends.reference.signatures import Array, Arrays


@override(kinds=KINDS)
def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    compilation.elementwise("activation")(KINDS.index(kind), z, y)


@override(kinds=KINDS)
def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    compilation.elementwise("activation_backward")(KINDS.index(kind), dy, y, dz)


@override(kinds=KINDS)
def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    xp.matmul(x, W, out=y)
    compilation.elementwise("bias_activation")(KINDS.index(kind), b, y)


@override(kinds=KINDS)
def dense_backward(
    xp: Any, kind: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
) -> None:
    dW, db, dx = gradients
    compilation.elementwise("activation_backward")(KINDS.index(kind), dy, y, dz)
    xp.sum(dz, axis=0, out=db)
    xp.matmul(x.T, dz, out=dW)
    if dx is not None:
        xp.matmul(dz, W.T, out=dx)


ROWS_PER_BLOCK = 4  # one warp per row


@override(kinds=("integer",))
def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    if not all(a.flags.c_contiguous for a in (losses, dlogits)):
        reference_losses.softmax_cross_entropy(xp, kind, logits, targets, losses, dlogits)
        return
    batch = logits.shape[0]
    if batch == 0:  # CUDA rejects an empty grid
        return
    blocks = (-(-batch // ROWS_PER_BLOCK),)
    reads = (xp.ascontiguousarray(a) for a in (logits, targets))
    block = (32, ROWS_PER_BLOCK)
    compilation.launch("softmax_cross_entropy", blocks, block, *reads, *logits.shape, losses, dlogits)


def threefry(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    compilation.elementwise("threefry")(np.uint32(key[0]), np.uint32(key[1]), high, low, out)
