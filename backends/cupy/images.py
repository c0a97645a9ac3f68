"""CuPy's convolution as one product for all windows, and batch normalization in few launches."""

from collections.abc import Iterator
from typing import Any

from backends.cupy import compilation
from backends.reference import Kernels
from backends.reference.arithmetic import blocks, sum_rows
from backends.reference.convolution import channel_groups
from backends.reference.signatures import Array, Arrays, Numbers
from backends.reference.windows import Padding, Pair

MAX_UNFOLDED_NUMBERS = 1 << 26  # of a block: 256 MB in float32


def _geometry(
    x: Array, W: Array, windows: Pair, strides: Pair, padding: Padding, dilation: Pair
) -> tuple[int, ...]:
    """Return the integer arguments of the kernels "unfold" and "fold", for one group of channels."""
    (top, _), (left, _) = padding
    return (*x.shape[1:3], W.shape[2], *W.shape[:2], *windows, *strides, *dilation, top, left)


def _unfold(xp: Any, x: Array, windows: Pair, length: int, geometry: Any) -> Iterator[tuple[slice, Array]]:
    """Yield (slice of images, their unfolded windows (n rows columns, length)); length is h w n_in."""
    numbers = windows[0] * windows[1]
    for part in blocks(x.shape[0], MAX_UNFOLDED_NUMBERS // max(1, numbers * length)):
        images = xp.ascontiguousarray(x[part])
        unfolded = xp.empty((numbers * images.shape[0], length), dtype=x.dtype)
        compilation.elementwise("unfold")(images, *geometry, unfolded)
        yield part, unfolded


class CupyImages(Kernels):
    """Convolution and batch normalization."""

    def conv2d(
        self, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, dilation: Pair, z: Array
    ) -> None:
        xp = self.xp
        windows = z.shape[1:3]
        geometry = _geometry(x, W, windows, strides, padding, dilation)
        for inputs, outputs in channel_groups(x, W):
            flat = xp.reshape(W[..., outputs], (-1, outputs.stop - outputs.start))
            for part, unfolded in _unfold(xp, x[..., inputs], windows, flat.shape[0], geometry):
                out = z[part, :, :, outputs]
                xp.add(xp.reshape(xp.matmul(unfolded, flat), out.shape), b[outputs], out=out)

    def conv2d_backward(
        self, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, dilation: Pair,
        gradients: Arrays,
    ) -> None:  # fmt: skip
        xp = self.xp
        dW, db, dx = gradients
        windows = dz.shape[1:3]
        geometry = _geometry(x, W, windows, strides, padding, dilation)
        db[...] = 0.0
        for inputs, outputs in channel_groups(x, W):
            n_out = outputs.stop - outputs.start
            flat = xp.reshape(W[..., outputs], (-1, n_out))
            total = xp.zeros(flat.shape, dtype=W.dtype)
            for part, unfolded in _unfold(xp, x[..., inputs], windows, flat.shape[0], geometry):
                d = xp.reshape(dz[part, :, :, outputs], (-1, n_out))
                total += xp.matmul(unfolded.T, d)
                db[outputs] += sum_rows(xp, d)
                if dx is not None:
                    xp.matmul(d, flat.T, out=unfolded)
                    compilation.elementwise("fold")(unfolded, *geometry, dx[part, :, :, inputs])
            dW[..., outputs] = xp.reshape(total, (*W.shape[:3], n_out))

    def batch_norm(
        self, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, stats: Arrays, y: Array
    ) -> None:
        n = x.shape[0]
        total = sum_rows(self.xp, x)
        square = sum_rows(self.xp, self.xp.square(x - total / n))
        compilation.elementwise("batch_statistics")(total, square, n, *settings, *stats, *running)
        compilation.elementwise("batch_normalized")(x, *stats, gamma, beta, y)

    def batch_norm_backward(
        self, dy: Array, x: Array, stats: Arrays, gamma: Array, gradients: Arrays
    ) -> None:
        xp = self.xp
        dgamma, dbeta, dx = gradients
        mean, inverse = stats
        dgamma[...] = sum_rows(xp, dy * ((x - mean) * inverse))
        dbeta[...] = sum_rows(xp, dy)
        if dx is not None:
            compilation.elementwise("batch_backward")(dy, x, *stats, gamma, dgamma, dbeta, x.shape[0], dx)
