"""CuPy's convolution as one product for all windows, and batch normalization in few launches."""

from collections.abc import Iterator
from typing import Any

from backends.cupy import compilation
from backends.cupy.sources import FUSED_ACTIVATIONS
from backends.reference import Kernels
from backends.reference.signatures import Array, Arrays, Numbers
from backends.reference.sums import sum_rows
from backends.reference.windows import Padding, Pair

MAX_UNFOLDED_NUMBERS = 1 << 26  # of a block: 256 MB in float32


def _geometry(images: Array, W: Array, windows: Pair, strides: Pair, padding: Padding) -> tuple[int, ...]:
    """Return the integer arguments of the kernels "unfold" and "fold"."""
    (top, _), (left, _) = padding
    return (*images.shape[1:], *W.shape[:2], *windows, *strides, top, left)


def _unfold(xp: Any, x: Array, windows: Pair, length: int, geometry: Any) -> Iterator[tuple[slice, Array]]:
    """Yield (slice of images, their unfolded windows (n rows columns, length)); length is h w n_in."""
    batch = x.shape[0]
    numbers = windows[0] * windows[1]
    step = max(1, MAX_UNFOLDED_NUMBERS // max(1, numbers * length))
    for start in range(0, batch, step):
        part = slice(start, min(start + step, batch))
        unfolded = xp.empty((numbers * (part.stop - start), length), dtype=x.dtype)
        compilation.elementwise("unfold")(xp.ascontiguousarray(x[part]), *geometry, unfolded)
        yield part, unfolded


class CupyImages(Kernels):
    """Convolution and batch normalization."""

    def conv2d(self, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, z: Array) -> None:
        xp = self.xp
        n_out = W.shape[3]
        windows = z.shape[1:3]
        geometry = _geometry(x, W, windows, strides, padding)
        flat = xp.reshape(W, (-1, n_out))
        for part, unfolded in _unfold(xp, x, windows, flat.shape[0], geometry):
            out = xp.reshape(z[part], (-1, n_out))
            xp.matmul(unfolded, flat, out=out)
            compilation.elementwise("bias_activation")(FUSED_ACTIVATIONS.index("linear"), b, out)

    def conv2d_backward(
        self, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, gradients: Arrays
    ) -> None:
        xp = self.xp
        dW, db, dx = gradients
        n_out = W.shape[3]
        windows = dz.shape[1:3]
        geometry = _geometry(x, W, windows, strides, padding)
        flat = xp.reshape(W, (-1, n_out))
        total = xp.zeros(flat.shape, dtype=W.dtype)
        db[...] = 0.0
        for part, unfolded in _unfold(xp, x, windows, flat.shape[0], geometry):
            d = xp.reshape(dz[part], (-1, n_out))
            total += xp.matmul(unfolded.T, d)
            db += sum_rows(xp, d)
            if dx is not None:
                xp.matmul(d, flat.T, out=unfolded)
                compilation.elementwise("fold")(unfolded, *geometry, dx[part])
        dW[...] = xp.reshape(total, W.shape)

    def batch_norm(
        self, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, stats: Arrays, y: Array
    ) -> None:
        n = x.shape[0]
        total = sum_rows(self.xp, x)
        compilation.elementwise("centred_square")(x, total, n, y)
        square = sum_rows(self.xp, y)
        compilation.elementwise("batch_statistics")(total, square, n, *settings, *stats, *running)
        compilation.elementwise("batch_normalized")(x, *stats, gamma, beta, y)

    def batch_norm_backward(
        self, dy: Array, x: Array, stats: Arrays, gamma: Array, gradients: Arrays
    ) -> None:
        xp = self.xp
        dgamma, dbeta, dx = gradients
        along = xp.empty(x.shape, dtype=x.dtype)
        compilation.elementwise("batch_along")(dy, x, *stats, along)
        dgamma[...] = sum_rows(xp, along)
        dbeta[...] = sum_rows(xp, dy)
        if dx is not None:
            compilation.elementwise("batch_backward")(dy, x, *stats, gamma, dgamma, dbeta, x.shape[0], dx)
