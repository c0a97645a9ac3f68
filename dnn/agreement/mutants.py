"""Mutants: NumPy with one thing wrong. Each must be rejected, or the bounds prove nothing.

A mutant is a contender like any other. What is wrong is some kernels of its backend: a table of their names
and, for each, a function from the kernel to the wrong one in its place.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backends import Backend, get_backend
from backends.dispatch import Kernel
from backends.reference.signatures import Array, Arrays, Numbers
from backends.table import Table
from dnn.agreement.ours import BackendContender
from dnn.agreement.wrong_steps import (
    adam_epsilon,
    late_bias,
    negative_variance,
    short_count,
    stale_momentum,
)
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS
from dnn.validation.settings import look_up

Wrong = Mapping[str, Callable[[Kernel], Kernel]]
"""Kernel, or "KERNEL KIND" -> (the right one) -> a wrong one."""


def _round_tf32(a: Array) -> Array:
    """Float32 with 10 bits behind the point, to nearest even, as tensor cores read it."""
    bits = np.ascontiguousarray(a, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(13)) & np.uint32(1)
    return ((bits + np.uint32(0x0FFF) + odd) & np.uint32(0xFFFFE000)).view(np.float32).astype(a.dtype)


def _round_float16(a: Array) -> Array:
    return a.astype(np.float16).astype(a.dtype)


def _products(reduce: Callable[[Array], Array]) -> Wrong:
    """Every factor of every product is rounded before it."""

    def forward(kernel: Kernel) -> Kernel:
        return lambda x, W, *rest: kernel(reduce(x), reduce(W), *rest)

    def backward(kernel: Kernel) -> Kernel:
        def wrong(dy: Array, x: Array, y: Array, W: Array, *rest: Any) -> None:
            dy[...] = reduce(dy)
            kernel(dy, reduce(x), y, reduce(W), *rest)

        return wrong

    def conv_backward(kernel: Kernel) -> Kernel:
        return lambda dz, x, W, *rest: kernel(reduce(dz), reduce(x), reduce(W), *rest)

    return {
        "dense": forward, "conv2d": forward, "dense_backward": backward, "conv2d_backward": conv_backward
    }  # fmt: skip


def _losses(change: Callable[[Kernel], Kernel]) -> Wrong:
    return {loss.kernel: change for loss in LOSSES.values()}


def _scaled_gradient(factor: Callable[[int], float]) -> Wrong:
    """Losses whose gradient is too long by a factor of the batch size."""

    def change(kernel: Kernel) -> Kernel:
        def loss(outputs: Array, targets: Array, losses: Array, dy: Array) -> None:
            kernel(outputs, targets, losses, dy)
            dy *= factor(dy.shape[0])

        return loss

    return _losses(change)


def _transposed_weight(kernel: Kernel) -> Kernel:
    def backward(dy: Array, x: Array, y: Array, W: Array, *rest: Any) -> None:
        square = W.shape[0] == W.shape[1]
        kernel(dy, x, y, np.ascontiguousarray(W.T) if square else W, *rest)

    return backward


def _swapped_label(kernel: Kernel) -> Kernel:
    def swap(targets: Array) -> Array:
        if targets.ndim == 2:
            first, second = np.argsort(-targets.sum(axis=0))[:2]
            order = np.arange(targets.shape[1])
            order[[first, second]] = second, first
            return np.ascontiguousarray(targets[:, order])
        first, second = np.argsort(-np.bincount(targets, minlength=2))[:2]
        return np.where(targets == first, second, np.where(targets == second, first, targets))

    return lambda outputs, targets, *rest: kernel(outputs, swap(targets), *rest)


def _flip(W: Array) -> Array:
    return np.ascontiguousarray(W[::-1, ::-1])


def _flipped_backward(kernel: Kernel) -> Kernel:
    def backward(dz: Array, x: Array, W: Array, strides: Any, padding: Any, gradients: Arrays) -> None:
        kernel(dz, x, _flip(W), strides, padding, gradients)
        gradients[0][...] = _flip(gradients[0])

    return backward


def _biased_variance(kernel: Kernel) -> Kernel:
    def normalise(
        x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, *rest: Any
    ) -> None:
        variance, n = running[1], x.shape[0]
        kept = (1.0 - settings[0]) * variance
        kernel(x, gamma, beta, running, settings, *rest)
        variance[...] = kept + (variance - kept) * ((n - 1) / n)

    return normalise


def _rate_before(kernel: Kernel) -> Kernel:
    def gather(rows: Array, index: Array, *rest: Any) -> None:
        rates = rows.ndim == 1 and rows.dtype.kind == "f"
        kernel(rows, np.maximum(index - 1, 0) if rates else index, *rest)

    return gather


def _short_batch(kernel: Kernel) -> Kernel:
    largest = [0]

    def loss(outputs: Array, targets: Array, losses: Array, dy: Array) -> None:
        kernel(outputs, targets, losses, dy)
        largest[0] = max(largest[0], len(dy))
        dy *= len(dy) / largest[0]

    return loss


def _sign_of_zero(kernel: Kernel) -> Kernel:
    def loss(outputs: Array, targets: Array, losses: Array, dy: Array) -> None:
        kernel(outputs, targets, losses, dy)
        dy[dy == 0] = 1.0 / dy.size

    return loss


def _unshifted(kernel: Kernel) -> Kernel:
    def loss(outputs: Array, targets: Array, losses: Array, dy: Array) -> None:
        kernel(outputs, targets, losses, dy)
        if targets.ndim == 1:
            e = np.exp(outputs)
            losses[...] = np.log(e.sum(axis=1)) - outputs[np.arange(len(outputs)), targets]

    return loss


def _lost_nan(kernel: Kernel) -> Kernel:
    def dense(*arguments: Any) -> None:
        kernel(*arguments)
        np.nan_to_num(arguments[-1], copy=False, posinf=np.inf, neginf=-np.inf)

    return dense


def _naive_variance(kernel: Kernel) -> Kernel:
    def normalise(
        x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, kept: Arrays, y: Array
    ) -> None:
        kernel(x, gamma, beta, running, settings, kept, y)
        variance = np.maximum(np.mean(x * x, axis=0) - kept[0] ** 2, 0.0)
        kept[1][...] = 1.0 / np.sqrt(variance + settings[1])
        y[...] = (x - kept[0]) * (kept[1] * gamma) + beta

    return normalise


def _unshifted_softmax(kernel: Kernel) -> Kernel:
    def softmax(z: Array, y: Array) -> None:
        e = np.exp(z)
        y[...] = e / e.sum(axis=-1, keepdims=True)

    return softmax


def _one_field(kernel: Kernel) -> Kernel:
    def smooth(*arguments: Any) -> None:
        kernel(*arguments)
        arguments[-1][:, 1, ...] = arguments[-1][:, 0, ...]

    return smooth


MUTANTS: Table[Wrong] = Table("mutant", {
    # Products of TF32-rounded factors, as torch and CuPy may do on a GPU when told so.
    "tf32": _products(_round_tf32),
    # A cast to float16 and back before every product.
    "float16": _products(_round_float16),
    # Adam's epsilon beside sqrt(v) before the bias correction ("epsilon hat", as in Keras).
    "adam-epsilon": {"adam": adam_epsilon},
    # The gradient of the batch's sum instead of its mean: 1/B forgotten.
    "dropped-mean": _scaled_gradient(float),
    # dx = dz W instead of dz W^T where W is square, so that the shapes do not tell.
    "transposed-weight": {"dense_backward": _transposed_weight},
    # After an update the first state vector is what it was before: the old moment is used again.
    "stale-momentum": {name: stale_momentum for name, optimizer in OPTIMIZERS.items() if optimizer.slots},
    # B - 1 instead of B under the mean over the batch.
    "ddof1": _scaled_gradient(lambda batch: batch / max(batch - 1.0, 1.0)),
    # Two classes' labels exchanged: the two that the batch holds most of.
    "swapped-label": _losses(_swapped_label),
    # A convolution as mathematicians write it, forward and backward: no check of gradients sees it.
    "flipped-kernel": {
        "conv2d": lambda kernel: lambda x, W, *rest: kernel(x, _flip(W), *rest),
        "conv2d_backward": _flipped_backward,
    },
    # Batch normalisation's running variance divided by N instead of N - 1, as in Keras: seen in evaluation.
    "biased-variance": {"batch_norm": _biased_variance},
    # Adam without the second bias correction, from update 1000 on.
    "late-bias": {"adam": late_bias},
    # A count of updates that ends at 32767.
    "short-count": {name: short_count for name in OPTIMIZERS},
    # The variance of gradients where rounding left it below 0: its absolute value.
    "negative-variance": {"rmsprop_centered": negative_variance},
    # A setting built in: beta1 is 0.9 whatever was asked for.
    "fixed-beta": {"adam": lambda kernel: lambda *a: kernel(*a[:4], (0.9, *a[4][1:]))},
    # l2 w instead of 2 l2 w, as torch's weight_decay.
    "half-penalty": {"penalty": lambda kernel: lambda w, g, l1, l2: kernel(w, g, l1, l2 / 2)},
    # A schedule's rate of the update before.
    "rate-before": {"gather_rows": _rate_before},
    # Pixels divided by 256.
    "pixel-256": {"gather_rows": lambda kernel: lambda *a: kernel(*a[:3], 1.0 if a[3] == 1.0 else 1 / 256)},
    # The last, short batch's gradient divided by the size of the others.
    "short-batch": _losses(_short_batch),
    # The same mask of dropout, and the same order of rows, in each step.
    "repeated-mask": {"threefry": lambda kernel: lambda key, high, *rest: kernel(key, 0 * high, *rest)},
    # Running averages that keep 0.9 whatever the momentum is: seen in evaluation.
    "fixed-momentum": {"batch_norm": lambda kernel: lambda *a: kernel(*a[:4], (0.1, a[4][1]), *a[5:])},
    # sign(0) = 1.
    "sign-of-zero": {"mean_absolute_error": _sign_of_zero},
    # e^z without the largest z taken off first.
    "unshifted": {"softmax_cross_entropy": _unshifted},
    # A NaN becomes 0.
    "lost-nan": {"dense": _lost_nan},
    # Of rows that have one number the last one is kept, instead of their sum: an embedding's gradient.
    "lost-duplicates": {"scatter_rows": lambda _: lambda rows, index, out: out.__setitem__(index, rows)},
    # Softmax of outputs without the largest z taken off first.
    "unshifted-softmax": {"activation softmax": _unshifted_softmax},
    # Images distorted down and across by the same noise.
    "one-field": {"smooth_moves": _one_field},
    # The nearest pixel's number instead of one between four.
    "nearest-pixel": {
        "warp_images": lambda kernel: lambda x, matrix, moves, y: kernel(x, matrix, np.rint(moves), y)
    },
    # The mean of squares minus the square of the mean.
    "naive-variance": {"batch_norm": _naive_variance},
})  # fmt: skip


def get_mutant(name: str) -> BackendContender:
    """The contender "numpy!NAME". Raises InputError: an unknown name."""
    wrong = look_up("mutant", name, MUTANTS)

    def change(name: str, kind: str | None, kernel: Kernel) -> Kernel:
        made = wrong.get(name) or wrong.get(f"{name} {kind}")
        return made(kernel) if made else kernel

    def open_backend(dtype: str) -> Backend:
        return get_backend("numpy", dtype=dtype).wrapped(change)

    return BackendContender(f"numpy!{name}", open_backend)
