"""Cases of the kernels of layers for kernel_cases.py: convolution, pooling, normalization, noise, warping."""

from __future__ import annotations

from itertools import product
from typing import Any

import array_api_compat.numpy as npx
import numpy as np

from backends.reference import Kernels

Case = dict[str, Any]
BATCHES = (0, 1, 3)
EVEN, ODD = ((0, 0), (0, 0)), ((1, 1), (1, 1))
# (H, W), window, strides, padding: odd sizes, unused rows, asymmetric padding, strides above the window, a
# window as large as the image, a window of one pixel.
GEOMETRIES = [
    ((5, 6), (3, 2), (1, 1), EVEN),
    ((7, 5), (3, 3), (2, 1), ODD),
    ((6, 5), (2, 3), (2, 2), ((0, 1), (1, 1))),
    ((7, 8), (1, 2), (3, 3), ((0, 0), (0, 1))),
    ((4, 4), (4, 4), (1, 1), EVEN),
    ((3, 4), (1, 1), (2, 1), EVEN),
]
CHANNELS = ((1, 4), (3, 2), (2, 1), (1, 1))  # (n_in, n_out); also a single filter


# Strided 1x1 filters with unused rows and columns, also with padding; and a single window along an axis.
STRIDED_GEOMETRIES = [
    ((7, 6), (1, 1), (2, 4), EVEN),
    ((8, 5), (1, 1), (3, 1), EVEN),
    ((5, 6), (1, 1), (2, 2), ((1, 0), (2, 1))),
    ((7, 6), (1, 3), (2, 1), ODD),
    ((7, 8), (2, 3), (1, 6), EVEN),
]
STRIDED_CHANNELS = (1, 3, 4, 7, 8, 9)
# Entire windows lie in the border.
WIDE_BORDER = ((4, 1), (5, 3), (3, 2), ((9, 9), (9, 9)))


def windows_of(image, size, strides, padding):
    rows, columns = (
        (n + sum(p) - k) // s + 1 for n, k, s, p in zip(image, size, strides, padding, strict=True)
    )
    return rows, columns


def conv2d_cases(num):
    large = (8, ((40, 40), (3, 3), (1, 1), ODD), (3, 8))  # more than one block of NumPy's
    strided = product((0, 5), STRIDED_GEOMETRIES, zip(STRIDED_CHANNELS, (8, 1, 3, 4, 9, 2), strict=True))
    border = product((2,), [WIDE_BORDER], ((3, 4), (1, 2)))
    for batch, geometry, (n_in, n_out) in (
        *product(BATCHES, GEOMETRIES, CHANNELS), large, *strided, *border
    ):  # fmt: skip
        image, size, strides, padding = geometry
        lift = 2.0 if n_out == 1 else 0.0  # with few outputs a single cancelling sum would determine eta
        yield {
            "x": num.normal(batch, *image, n_in) + lift,
            "W": num.finite(*size, n_in, n_out) + lift,  # inf times padding is undefined
            "b": num.finite(n_out),
            "strides": strides,
            "padding": padding,
            "z": num.garbage(batch, *windows_of(*geometry), n_out),
        }


def grouped_conv2d_cases(num):
    dilated = product(
        BATCHES, ((1, 1), (2, 1), (2, 3)), ((4, 6, 2), (3, 3, 3), (2, 4, 1)),
        [((9, 8), (3, 2), (1, 2), ((1, 0), (2, 2)))],
    )  # fmt: skip
    strided = product((5,), ((1, 1), (1, 2)), ((4, 6, 2), (7, 7, 7), (9, 3, 3)), STRIDED_GEOMETRIES)
    border = product((2,), ((1, 1), (1, 4), (3, 2)), ((4, 6, 2), (2, 4, 1)), [WIDE_BORDER])
    for batch, dilation, (n_in, n_out, groups), geometry in (*dilated, *strided, *border):
        image, size, strides, padding = geometry
        reach = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
        yield {
            "x": num.finite(batch, *image, n_in),
            "W": num.finite(*size, n_in // groups, n_out),
            "b": num.finite(n_out),
            "strides": strides,
            "padding": padding,
            "dilation": dilation,
            "z": num.garbage(batch, *windows_of(image, reach, strides, padding), n_out),
        }


def grouped_conv2d_backward_cases(num):
    return _conv_backward_cases(num, grouped_conv2d_cases(num))


def conv2d_backward_cases(num):
    return _conv_backward_cases(num, conv2d_cases(num))


def _conv_backward_cases(num, forwards):
    for forward in forwards:
        for first in (False, True):
            yield {
                # Mostly positive: if a sum cancels, eta measures that instead of the kernel.
                "dz": num.finite(*forward["z"].shape) + 2,
                "x": forward["x"] + 2,
                "W": forward["W"],
                **{k: forward[k] for k in ("strides", "padding", "dilation") if k in forward},
                "gradients": (
                    num.garbage(*forward["W"].shape),
                    num.garbage(*forward["b"].shape),
                    None if first else num.garbage(*forward["x"].shape),
                ),
            }


def max_pool2d_cases(num):
    for batch in BATCHES:
        for image, size, strides, padding in GEOMETRIES:
            x = num.normal(batch, *image, 3)
            for pixels in (x, np.round(x), x[..., :1].copy()):  # np.round: equal pixels; last: one channel
                shape = (batch, *windows_of(image, size, strides, padding), pixels.shape[3])
                geometry = {"size": size, "strides": strides, "padding": padding}
                yield {"x": pixels, **geometry, "y": num.garbage(*shape), "index": np.full(shape, -1)}


def max_pool2d_backward_cases(num):
    for forward in max_pool2d_cases(num):
        with np.errstate(all="ignore"):
            Kernels(npx).max_pool2d(*forward.values())
        yield {
            "dy": num.normal(*forward["y"].shape),
            "index": forward["index"],
            **{k: forward[k] for k in ("size", "strides", "padding")},
            "dx": num.garbage(*forward["x"].shape),
        }


def average_pool2d_cases(num):
    for forward in max_pool2d_cases(num):
        yield {k: v for k, v in forward.items() if k != "index"}


def average_pool2d_backward_cases(num):
    for forward in max_pool2d_backward_cases(num):
        yield {k: v for k, v in forward.items() if k != "index"}


def _scales(num, n):
    return {"gamma": num.finite(n), "beta": num.finite(n)}


def batch_norm_cases(num):
    for rows in (2, 3, 7, 100):  # one row has no variance
        for n in (1, 5, 33):
            yield {
                # Finite: the mean of a column with infinity may be infinity or NaN.
                "x": 2 * num.finite(rows, n) + 1,
                **_scales(num, n),
                "running": (num.finite(n), num.finite(n) ** 2),
                "settings": (0.1, 1e-5),
                "stats": (num.garbage(n), num.garbage(n)),
                "y": num.garbage(rows, n),
            }


def layer_norm_cases(num):
    for rows in (0, 1, 3, 100):
        for n in (2, 5, 33):
            yield {
                "x": 2 * num.finite(rows, n) + 1,
                **_scales(num, n),
                "epsilon": 1e-5,
                "stats": (num.garbage(rows), num.garbage(rows)),
                "y": num.garbage(rows, n),
            }


def _norm_backward_cases(num, forward, kernel):
    for case in forward(num):
        getattr(Kernels(npx), kernel)(*case.values())
        rows, n = case["x"].shape
        if (rows if kernel == "batch_norm" else n) < 5:
            continue  # with two numbers x^ is -1 and 1, and dx is 0 except for rounding
        for first in (False, True):
            dx = None if first else num.garbage(*case["x"].shape)
            yield {
                "dy": num.finite(*case["x"].shape) + 2,
                "x": case["x"],
                "stats": case["stats"],
                "gamma": case["gamma"],
                "gradients": (num.garbage(n), num.garbage(n), dx),
            }


def batch_norm_backward_cases(num):
    return _norm_backward_cases(num, batch_norm_cases, "batch_norm")


def layer_norm_backward_cases(num):
    return _norm_backward_cases(num, layer_norm_cases, "layer_norm")


def _noise_cases(num, setting, *written):
    for batch in (0, 1, 7):
        for n in (1, 5, 8):
            bits = num.rng.integers(0, 2**63 - 1, (batch, (n + 1) // 2))
            arrays = {name: num.garbage(batch, n) for name in written}
            yield {"bits": bits, "x": num.normal(batch, n), **setting, **arrays}


def dropout_cases(num):
    return _noise_cases(num, {"rate": 0.3}, "mask", "y")


def gaussian_noise_cases(num):
    return _noise_cases(num, {"deviation": 0.5}, "y")


def smooth_moves_cases(num):
    for batch, (height, width) in product(BATCHES, ((1, 3), (5, 6), (9, 8))):
        shares = [np.floor(num.rng.random((n, n)) * 4096 / n).astype(num.dtype) for n in (height, width)]
        yield {
            "bits": num.rng.integers(0, 2**63 - 1, (batch, -(-2 * height * width // 7))),
            "rows": shares[0],
            "columns": shares[1],
            "strength": 30.0,
            "moves": num.garbage(batch, 2, height, width),
        }


def warp_images_cases(num):
    for batch, (height, width), channels in product(BATCHES, ((1, 3), (5, 6), (9, 8)), (1, 3)):
        shape = (batch, height, width, channels)
        for far in (0.0, 1.0, 100.0):
            matrix = np.eye(2, dtype=num.dtype) + (far > 0.0) * 0.3 * num.finite(batch, 2, 2)
            moves = far * num.finite(batch, 2, height, width)
            yield {"x": num.normal(*shape), "matrix": matrix, "moves": moves, "y": num.garbage(*shape)}
