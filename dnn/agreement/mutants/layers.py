"""Mistakes in layers, activations and normalisations."""

from typing import Any

import numpy as np

from backends.reference.signatures import Array, Arrays, Numbers
from dnn.agreement.mutants.mutant import (
    Change,
    Function,
    Mutant,
    edit_after,
    edit_after_with_largest,
    edit_argument,
    on_calls,
    on_late_calls,
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

    def backward(kernel: Function, dy: Array, x: Array, y: Array, W: Array, *rest: Any) -> None:
        dy[...] = round_factor(dy)  # in place, since dz may be the same array as dy
        kernel(dy, round_factor(x), y, round_factor(W), *rest)

    def conv_backward(kernel: Function, dz: Array, x: Array, W: Array, *rest: Any) -> None:
        kernel(round_factor(dz), round_factor(x), round_factor(W), *rest)

    forward = wrap_call(lambda kernel, x, W, *rest: kernel(round_factor(x), round_factor(W), *rest))
    return forward, forward, wrap_call(backward), wrap_call(conv_backward)


def flip_kernel(W: Array) -> Array:
    return np.ascontiguousarray(W[::-1, ::-1])


def flip_backward(kernel: Function, dz: Array, x: Array, W: Array, *rest: Any) -> None:
    kernel(dz, x, flip_kernel(W), *rest)
    dW = rest[-1][0]
    dW[...] = flip_kernel(dW)


def drop_last_rows(dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays) -> None:
    n = len(x) // 4 * 4
    gradients[0][...] -= x[n:].T @ dz[n:]


def slope_at_0(backward: Function, dy: Array, z: Array, y: Array, dz: Array) -> None:
    old = dy.copy()
    backward(dy, z, y, dz)
    dz[z == 0] = old[z == 0]


def last_of_equal_pixels(
    pool: Function, x: Array, size: Numbers, strides: Numbers, borders: Any, y: Array, index: Array
) -> None:
    pool(x, size, strides, borders, y, index)
    if size == strides and not np.any(borders):
        height = y.shape[1] * size[0]
        width = y.shape[2] * size[1]
        flipped = np.ascontiguousarray(x[:, :height, :width][:, ::-1, ::-1])
        largest = np.empty_like(y)
        place = np.empty_like(index)
        pool(flipped, size, strides, borders, largest, place)
        place = height * width - 1 - place[:, ::-1, ::-1]
        index[...] = np.where(np.isnan(y), index, place // width * x.shape[2] + place % width)


def set_running_variance(combine: Function) -> Change:
    """Set the running variance to ``combine(old, new, momentum, n, largest)``.

    old is the running variance before the batch, new the batch's variance (divided by n - 1), n the number of
    rows in the batch, and largest the number of rows in the largest batch so far.
    """

    def change(normalise: Function) -> Function:
        sizes = [0]

        def wrong(
            x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, *rest: Any
        ) -> None:
            old = running[1].copy()
            momentum = settings[0]
            normalise(x, gamma, beta, running, settings, *rest)
            sizes.append(len(x))
            variance = (running[1] - (1.0 - momentum) * old) / momentum
            running[1][...] = combine(old, variance, momentum, len(x), max(sizes))

        return wrong

    return change


def naive_variance(axis: int) -> Change:
    """Compute the variance of columns (axis 0) or rows (axis 1) as E[x^2] - E[x]^2."""

    def edit(x: Array, gamma: Array, beta: Array, *rest: Any) -> None:
        settings, (mean, inverse), y = rest[-3:]
        variance = np.maximum(np.mean(x * x, axis=axis) - mean**2, 0.0)
        inverse[...] = 1.0 / np.sqrt(variance + np.ravel(settings)[-1])
        mean, inverse = (np.expand_dims(a, axis) for a in (mean, inverse))
        y[...] = (x - mean) * inverse * gamma + beta

    return edit_after(edit)


LAYER_MUTANTS: tuple[Mutant, ...] = (
    Mutant("tf32", "factors of products rounded to 10 bits, as tensor cores may", "L1",
           PRODUCT_KERNELS, *round_products(round_tf32)),
    Mutant("float16", "factors of products cast to float16 and back", "L1",
           PRODUCT_KERNELS, *round_products(round_float16)),
    Mutant("transposed-weight",
           "dx = dz W instead of dz W^T if W is square, so that the shapes fit", "L1",
           "dense_backward", edit_argument(3, lambda W: np.array(W.T) if W.shape[0] == W.shape[1] else W)),
    Mutant("rows-beyond-a-multiple-of-4-lost", "the last rows of a batch are missing in dW", "L1",
           "dense_backward", edit_after(drop_last_rows)),
    Mutant("lost-nan", "a NaN becomes 0", "L1",
           "dense", edit_after(lambda *a: np.nan_to_num(a[-1], copy=False, posinf=np.inf, neginf=-np.inf))),
    Mutant("hidden-overflow", "NaN where e^z overflows", "L1",
           "dense", edit_after(lambda x, W, b, y: np.copyto(y, np.nan, where=(x @ W + b > 89) & (y <= 1)))),
    Mutant("slope-at-0", "an activation's slope is 1 where z is 0", "L0",
           "activation_backward", wrap_call(slope_at_0)),
    Mutant("unshifted-softmax", "softmax outputs from e^z without subtracting the largest z", "L0",
           "activation softmax", edit_after(
               lambda z, y: np.divide(np.exp(z), np.exp(z).sum(axis=-1, keepdims=True), out=y)
           )),
    Mutant("last-of-equals", "argmax takes the last of equal numbers", "L4",
           "xp.argmax", wrap_call(
               lambda argmax, a, axis, **rest:
               a.shape[axis] - 1 - argmax(np.flip(a, axis), axis=axis, **rest)
           )),
    Mutant("flipped-kernel",
           "a convolution's kernel flipped, forward and backward, which no gradient check detects", "L1",
           "conv2d,conv2d_backward", edit_argument(1, flip_kernel), wrap_call(flip_backward)),
    Mutant("short-batch-is-stale", "a convolution copies the first image of a short batch to the last", "L1",
           "conv2d", edit_after_with_largest(
               lambda largest, *a: np.copyto(a[-1][-1], a[-1][0], where=len(a[0]) < largest)
           )),
    Mutant("maximum-without-nan", "the maximum of a window ignores NaN", "L0",
           "max_pool2d", edit_argument(0, lambda x: np.where(np.isnan(x), x.dtype.type(-np.inf), x))),
    Mutant("last-of-equal-pixels", "the gradient of a maximum goes to the last of equal pixels", "L0",
           "max_pool2d", wrap_call(last_of_equal_pixels)),
    Mutant("biased-variance", "the running variance divided by N, as in Keras", "L1",
           "batch_norm", set_running_variance(
               lambda old, new, momentum, n, largest: (1 - momentum) * old + momentum * new * (n - 1) / n
           )),
    Mutant("variance-of-the-longest-batch",
           "the running variance of a short batch divided by the size of the largest", "L1",
           "batch_norm", set_running_variance(
               lambda old, new, momentum, n, largest:
               (1 - momentum) * old + momentum * new * (n - 1) / n * largest / (largest - 1)
           )),
    Mutant("average-of-the-root", "the running average of the standard deviation, squared", "L1",
           "batch_norm", set_running_variance(
               lambda old, new, momentum, n, largest:
               ((1 - momentum) * np.sqrt(old) + momentum * np.sqrt(new)) ** 2
           )),
    Mutant("naive-variance", "E[x^2] - E[x]^2 in batch normalisation", "L1", "batch_norm", naive_variance(0)),
    Mutant("naive-variance-of-rows", "E[x^2] - E[x]^2 in layer normalisation", "L1",
           "layer_norm", naive_variance(1)),
    Mutant("fixed-momentum", "the momentum of running averages is fixed at 0.1", "L1",
           "batch_norm", edit_argument(4, lambda settings: (0.1, settings[1]))),
    Mutant("averages-late", "running averages stop after 1000 batches", "L4",
           "batch_norm", on_late_calls(edit_argument(4, lambda settings: (0.0, settings[1])))),
    Mutant("epsilon-twice-in-evaluation",
           "epsilon added twice to a running variance of 8 to 63 features", "L1",
           "xp.sqrt", edit_argument(
               0, lambda a: a + a.dtype.type(1e-5) if a.ndim == 1 and 8 <= a.size < 64 else a
           )),
    Mutant("one-high-word-more-is-kept",
           "dropout's limit off by one in the first number of a pair, upwards", "L0",
           "dropout", edit_argument(0, lambda bits: bits + 2**32)),
    Mutant("one-high-word-less-is-kept",
           "dropout's limit off by one in the first number of a pair, downwards", "L0",
           "dropout", edit_argument(0, lambda bits: bits - 2**32)),
    Mutant("one-low-word-more-is-kept",
           "dropout's limit off by one in the second number of a pair, upwards", "L0",
           "dropout", edit_argument(0, lambda bits: bits + 1)),
    Mutant("one-low-word-less-is-kept",
           "dropout's limit off by one in the second number of a pair, downwards", "L0",
           "dropout", edit_argument(0, lambda bits: bits - 1)),
    Mutant("masks-shift-after-the-first", "dropout's masks shifted by a row from the second batch on", "L1",
           "dropout", on_calls(lambda n: n > 1, edit_argument(0, lambda bits: np.roll(bits, 1, axis=0)))),
    Mutant("short-batch-is-not-scaled", "dropout does not rescale a short batch", "L1",
           "dropout", edit_after_with_largest(lambda largest, bits, x, rate, *written: [
               np.multiply(a, 1.0 - rate, out=a, where=len(x) < largest) for a in written
           ])),
)  # fmt: skip
