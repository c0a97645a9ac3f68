"""NumPy on the CPU: the same formulas as the reference, written into the arrays that are there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backends.backend import Backend
from backends.dispatch import Override
from backends.errors import InputError, shown
from backends.numpy import images as numpy_images
from backends.numpy import normalization as numpy_normalization
from backends.numpy import random as numpy_random
from backends.numpy.optimizers import OPTIMIZER_OVERRIDES

Array = np.ndarray


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if rows.dtype == out.dtype:
        rows.take(index, axis=0, out=out, mode="clip")
    else:
        np.copyto(out, rows.take(index, axis=0, mode="clip"), casting="unsafe")
    if scale != 1.0:
        out *= scale


def _sigmoid(z: Array, y: Array) -> None:
    np.negative(z, out=y)
    with np.errstate(over="ignore"):  # exp(-z) = inf gives the right limit, 0
        np.exp(y, out=y)
    y += 1.0
    np.reciprocal(y, out=y)


def _softmax(z: Array, y: Array) -> None:
    np.subtract(z, z.max(axis=-1, keepdims=True), out=y)
    np.exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)


_FORWARD = {
    "linear": lambda z, y: None if y is z else np.copyto(y, z),
    "sigmoid": _sigmoid,
    "tanh": lambda z, y: np.tanh(z, out=y),
    "relu": lambda z, y: np.maximum(z, 0.0, out=y),
    "softmax": _softmax,
}


def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    _FORWARD[kind](z, y)


def _sigmoid_backward(dy: Array, z: Array, y: Array, dz: Array) -> None:
    slope = np.subtract(1.0, y)
    slope *= y
    np.multiply(dy, slope, out=dz)


def _tanh_backward(dy: Array, z: Array, y: Array, dz: Array) -> None:
    slope = np.multiply(y, y)
    np.subtract(1.0, slope, out=slope)
    np.multiply(dy, slope, out=dz)


def _relu_backward(dy: Array, z: Array, y: Array, dz: Array) -> None:
    if dz is not dy:
        np.copyto(dz, dy)
    dz[z <= 0] = 0.0  # not a product with the mask: 0 * inf would be NaN


def _softmax_backward(dy: Array, z: Array, y: Array, dz: Array) -> None:
    inner = np.einsum("...i,...i->...", dy, y)[..., None]
    np.subtract(dy, inner, out=dz)
    dz *= y


_BACKWARD = {
    "linear": lambda dy, z, y, dz: None if dz is dy else np.copyto(dz, dy),
    "sigmoid": _sigmoid_backward,
    "tanh": _tanh_backward,
    "relu": _relu_backward,
    "softmax": _softmax_backward,
}


def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    _BACKWARD[kind](dy, z, y, dz)


def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    np.matmul(x, W, out=y)
    y += b
    _FORWARD[kind](y, y)


def dense_backward(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    _BACKWARD[kind](dy, y, y, dz)
    products_backward(x, W, dz, dW, db, dx)


def products_backward(x: Array, W: Array, dz: Array, dW: Array, db: Array, dx: Array | None) -> None:
    """What is left of ``dense_backward`` when dz is there."""
    np.matmul(x.T, dz, out=dW)
    # A product with ones: BLAS is faster than sum(axis=0), and its partial sums round less.
    np.matmul(np.ones(dz.shape[0], dtype=dz.dtype), dz, out=db)
    if dx is not None:
        np.matmul(dz, W.T, out=dx)


def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    rows = np.arange(logits.shape[0])
    np.subtract(logits, logits.max(axis=1, keepdims=True), out=dlogits)
    picked = dlogits[rows, targets]
    np.exp(dlogits, out=dlogits)
    total = dlogits.sum(axis=1, keepdims=True)
    np.subtract(np.log(total[:, 0]), picked, out=losses)
    dlogits /= total
    dlogits[rows, targets] -= 1.0
    dlogits /= logits.shape[0]


@dataclass(frozen=True, eq=False)
class NumpyBackend(Backend):
    """NumPy. Arrays start on a 64-byte boundary, so that results do not depend on where they lie."""

    OVERRIDES: ClassVar[Mapping[str, Override]] = {
        "gather_rows": Override(gather_rows),
        "activation": Override(activation, kinds=tuple(_FORWARD)),
        "activation_backward": Override(activation_backward, kinds=tuple(_BACKWARD)),
        "dense": Override(dense),
        "dense_backward": Override(dense_backward),
        "conv2d": Override(numpy_images.conv2d),
        "conv2d_backward": Override(numpy_images.conv2d_backward),
        "max_pool2d": Override(numpy_images.max_pool2d),
        "max_pool2d_backward": Override(numpy_images.max_pool2d_backward),
        "batch_norm": Override(numpy_normalization.batch_norm),
        "batch_norm_backward": Override(numpy_normalization.batch_norm_backward),
        "threefry": Override(numpy_random.threefry),
        "softmax_cross_entropy": Override(softmax_cross_entropy, kinds=("integer",)),
        **OPTIMIZER_OVERRIDES,
    }

    def zeros(self, shape: int | tuple[int, ...], dtype: Any = None) -> Array:
        dtype = np.dtype(dtype or self.dtype)
        shape = (shape,) if isinstance(shape, int) else shape
        size = int(np.prod(shape)) * dtype.itemsize
        raw = np.zeros(size + 64, dtype=np.uint8)
        start = -raw.ctypes.data % 64
        aligned: Array = raw[start : start + size].view(dtype).reshape(shape)
        return aligned

    def owns(self, array: Any) -> bool:
        return type(array) in (np.ndarray, np.memmap)  # a masked array's mask would be ignored

    def describe_library(self) -> dict[str, Any]:
        try:
            from threadpoolctl import threadpool_info
        except ImportError:
            return {"threads": os.cpu_count()}
        pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
        mine = next((p for p in pools if "numpy" in p["filepath"]), pools[0] if pools else None)
        if mine is None:
            return {"threads": os.cpu_count()}
        return {
            "threads": mine["num_threads"],
            "blas": f"{mine['internal_api']} {mine['version']} ({mine.get('architecture', '?')})",
        }


def make(device: Any, dtype: str, fused: bool) -> NumpyBackend:
    """The factory that ``get_backend("numpy")`` calls."""
    import array_api_compat.numpy as xp

    if device not in (None, "cpu"):
        raise InputError(f"device is {shown(device)}, expected 'cpu' or None for the backend 'numpy'")
    return NumpyBackend("numpy", xp, "cpu", dtype, fused)
