"""Mistakes in layers, activations and normalisations."""

from typing import Any

import numpy as np

from backends.reference.signatures import Array, Arrays, Numbers
from dnn.agreement.mutants.mutant import (
    Change,
    Function,
    Mutant,
    edit_after,
    edit_argument,
    edit_arguments,
    restore_view,
    wrap_call,
)


def round_tf32(a: Array) -> Array:
    """Round float32 to TF32: 10 bits of mantissa, ties to even."""
    bits = np.ascontiguousarray(a, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(13)) & np.uint32(1)
    return ((bits + np.uint32(0x0FFF) + odd) & np.uint32(0xFFFFE000)).view(np.float32).astype(a.dtype)


def round_float16(a: Array) -> Array:
    return a.astype(np.float16).astype(a.dtype)


PRODUCT_KERNELS = "dense,conv2d,dense_backward,conv2d_backward"


def round_products(round_factor: Function) -> tuple[Change, ...]:
    """Round every factor of every product with ``round_factor``."""

    def backward(
        kernel: Function, activation: str, dy: Array, x: Array, y: Array, W: Array, *rest: Any
    ) -> None:
        dy[...] = round_factor(dy)  # in place, since dz may be the same array as dy
        kernel(activation, dy, round_factor(x), y, round_factor(W), *rest)

    forward = edit_arguments(round_factor, 1, 2)
    conv = edit_arguments(round_factor, 0, 1)
    return forward, conv, wrap_call(backward), edit_arguments(round_factor, 0, 1, 2)


def flip_kernel(W: Array) -> Array:
    return np.ascontiguousarray(W[::-1, ::-1])


def flip_backward(kernel: Function, dz: Array, x: Array, W: Array, *rest: Any) -> None:
    kernel(dz, x, flip_kernel(W), *rest)
    dW = rest[-1][0]
    dW[...] = flip_kernel(dW)


def drop_last_rows(
    activation: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
) -> None:
    n = len(x) // 4 * 4
    gradients[0][...] -= x[n:].T @ dz[n:]


def drop_channels(x: Array) -> Array:
    kept = x.copy()
    kept[..., x.shape[-1] // 8 * 8 or 8 :] = 0.0
    return kept


def skip_zeros(dense: Function, activation: str, x: Array, W: Array, b: Array, y: Array) -> None:
    used = (x != 0).any(axis=0)
    dense(activation, np.array(x[:, used]), np.array(W[used]), b, y)


def add_64(name: str, z: Array, y: Array) -> None:
    if name == "softmax":
        y /= y[:, :64].sum(axis=1)[:, None]


def bias_variance(
    normalise: Function, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, *rest: Any
) -> None:
    old = (1.0 - settings[0]) * running[1]
    normalise(x, gamma, beta, running, settings, *rest)
    running[1][...] = old + (running[1] - old) * (len(x) - 1) / len(x)


def naive_variance(x: Array, gamma: Array, beta: Array, *rest: Any) -> None:
    """Compute the variance of columns as E[x^2] - E[x]^2."""
    settings, (mean, inverse), y = rest[-3:]
    variance = np.maximum(np.mean(x * x, axis=0) - mean**2, 0.0)
    inverse[...] = 1.0 / np.sqrt(variance + settings[1])
    y[...] = (x - mean) * inverse * gamma + beta


def read_in_order(W: Array) -> Array:
    """Return as many numbers as W has from its start on, as if it were contiguous."""
    steps = np.empty(W.shape, W.dtype).strides
    return np.lib.stride_tricks.as_strided(W, W.shape, steps)


def keep_padding(conv2d: Function) -> Function:
    kept: dict[Any, Any] = {}

    def wrong(x: Array, W: Array, b: Array, strides: Any, padding: Any, z: Array) -> None:
        conv2d(x, W, b, strides, kept.setdefault((x.shape, W.shape, strides, z.shape), padding), z)

    return wrong


def keep_images() -> tuple[Change, Change]:
    kept: dict[Any, Array] = {}
    forward = edit_after(lambda x, *_: kept.update({x.shape: x.copy()}))
    return forward, edit_argument(1, lambda x: kept.get(x.shape, x))


LAYER_MUTANTS: tuple[Mutant, ...] = (
    Mutant("tf32", "factors of products rounded to 10 bits, as tensor cores may", "L1",
           PRODUCT_KERNELS, *round_products(round_tf32)),
    Mutant("float16", "factors of products cast to float16 and back", "L1",
           PRODUCT_KERNELS, *round_products(round_float16)),
    Mutant("transposed-weight",
           "dx = dz W instead of dz W^T if W is square, so that the shapes fit", "L1",
           "dense_backward", edit_argument(4, lambda W: np.array(W.T) if W.shape[0] == W.shape[1] else W)),
    Mutant("rows-beyond-a-multiple-of-4-lost", "the last rows of a batch are missing in dW", "L0",
           "dense_backward", edit_after(drop_last_rows)),
    Mutant("argmax-takes-last", "argmax takes the last of equal numbers", "L4",
           "xp.argmax", wrap_call(
               lambda argmax, a, axis, **rest:
               a.shape[axis] - 1 - argmax(np.flip(a, axis), axis=axis, **rest)
           )),
    Mutant("flipped-kernel",
           "a convolution's kernel flipped, forward and backward, which no gradient check detects", "L0",
           "conv2d,conv2d_backward", edit_argument(1, flip_kernel), wrap_call(flip_backward)),
    Mutant("biased-variance", "the running variance divided by N, as in Keras", "L0",
           "batch_norm", wrap_call(bias_variance)),
    Mutant("naive-variance", "E[x^2] - E[x]^2 in batch normalisation", "L1",
           "batch_norm", edit_after(naive_variance)),
    Mutant("dropout-limit-off-by-one",
           "dropout's limit off by one in the first number of a pair, upwards", "L0",
           "dropout", edit_argument(0, lambda bits: bits + 2**32)),
    Mutant("rates-clipped", "dropout's rate clipped to 0.1 and 0.9", "L0",
           "dropout", edit_argument(2, lambda rate: min(max(rate, 0.1), 0.9))),
    Mutant("row-beyond-2048", "a dense layer leaves rows from the 2049th on unwritten", "L0",
           "dense", restore_view(lambda activation, x, W, b, y: y[2048:])),
    Mutant("inputs-beyond-4096-lost", "a dense layer ignores inputs from the 4097th on", "L0",
           "dense", wrap_call(
               lambda dense, activation, x, W, b, y: dense(activation, np.array(x[:, :4096]), W[:4096], b, y)
           )),
    Mutant("zero-times-nan-is-0", "a dense layer skips inputs that are 0 in all rows", "L0",
           "dense", wrap_call(skip_zeros)),
    Mutant("relu-hides-nan", "a dense layer with relu turns NaN into 0", "L0",
           "dense", edit_after(
               lambda activation, x, W, b, y: np.copyto(y, 0.0, where=np.isnan(y) & (activation == "relu"))
           )),
    Mutant("softmax-of-64", "softmax of more than 64 numbers adds only the first 64", "L0",
           "activation", edit_after(add_64)),
    Mutant("ninth-channel-lost", "a convolution ignores channels beyond a multiple of 8", "L0",
           "conv2d,conv2d_backward", edit_argument(0, drop_channels), edit_argument(1, drop_channels)),
    Mutant("index-of-minus-infinity", "max pooling of a window of -inf points to pixel 0", "L0",
           "max_pool2d", edit_after(lambda *a: np.copyto(a[-1], 0, where=np.isneginf(a[-2])))),
    Mutant("half-precision-in-float64", "a convolution computes float64 in float32", "L0",
           "conv2d", edit_after(lambda *a: np.copyto(a[-1], a[-1].astype(np.float32)))),
    Mutant("contiguous-weights-only", "dx of strided weights takes the numbers between them", "L0",
           "dense_backward", edit_argument(4, read_in_order)),
    Mutant("epsilon-0-is-1e-5", "layer normalisation takes its default for an epsilon of 0", "L0",
           "layer_norm", edit_argument(3, lambda epsilon: epsilon or 1e-5)),
    Mutant("padding-kept", "a convolution takes the padding of the first call with these shapes", "L0",
           "conv2d", keep_padding),
    Mutant("images-kept", "a convolution's gradient takes the images of the last forward pass", "L0",
           "conv2d,conv2d_backward", *keep_images()),
)  # fmt: skip
