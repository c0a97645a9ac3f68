"""Mutants: NumPy with one thing wrong. Each must be rejected, or the bounds prove nothing.

A mutant is a contender like any other. What is wrong is one kernel of its backend, replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from backends import Backend, get_backend
from backends.dispatch import Kernel, KernelKey
from dnn.agreement.ours import BackendContender
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS
from dnn.validation.settings import look_up

Array = Any
Kernels = dict[KernelKey, Kernel]


def _round_tf32(a: Array) -> Array:
    """Float32 with 10 bits behind the point, to nearest even, as tensor cores read it."""
    bits = np.ascontiguousarray(a, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(13)) & np.uint32(1)
    return ((bits + np.uint32(0x0FFF) + odd) & np.uint32(0xFFFFE000)).view(np.float32).astype(a.dtype)


def _round_float16(a: Array) -> Array:
    return a.astype(np.float16).astype(a.dtype)


def _products(kernels: Kernels, reduce: Callable[[Array], Array]) -> None:
    """Every factor of every product is rounded before it."""
    for (name, kind), kernel in list(kernels.items()):
        if name in ("dense", "conv2d"):

            def forward(x: Array, W: Array, *rest: Any, kernel: Kernel = kernel) -> None:
                kernel(reduce(x), reduce(W), *rest)

            kernels[name, kind] = forward
        if name == "dense_backward":

            def backward(
                dy: Array, x: Array, y: Array, W: Array, *rest: Array, kernel: Kernel = kernel
            ) -> None:
                dy[...] = reduce(dy)
                kernel(dy, reduce(x), y, reduce(W), *rest)

            kernels[name, kind] = backward
        if name == "conv2d_backward":

            def conv_backward(dz: Array, x: Array, W: Array, *rest: Any, kernel: Kernel = kernel) -> None:
                kernel(reduce(dz), reduce(x), reduce(W), *rest)

            kernels[name, kind] = conv_backward


def _tf32(kernels: Kernels) -> None:
    """Products of TF32-rounded factors, as torch and CuPy may do on a GPU when told so."""
    _products(kernels, _round_tf32)


def _float16(kernels: Kernels) -> None:
    """A cast to float16 and back before every product."""
    _products(kernels, _round_float16)


def _adam_epsilon(kernels: Kernels) -> None:
    """Adam's epsilon beside sqrt(v) before the bias correction ("epsilon hat", as in Keras)."""

    def adam(
        p: Array, g: Array, m: Array, v: Array, control: Array, beta1: float, beta2: float, epsilon: float
    ) -> None:
        control[1] = beta1 * control[1] + (1.0 - beta1)
        control[2] = beta2 * control[2] + (1.0 - beta2)
        control[3] += 1.0
        m[...] = beta1 * m + (1.0 - beta1) * g
        v[...] = beta2 * v + (1.0 - beta2) * g * g
        p -= control[0] * np.sqrt(control[2]) / control[1] * m / (np.sqrt(v) + epsilon)

    kernels["adam", None] = adam


def _loss_keys(kernels: Kernels) -> list[KernelKey]:
    names = {loss.kernel for loss in LOSSES.values()}  # two losses may share one
    return [key for key in kernels if key[0] in names]


def _after_losses(kernels: Kernels, change: Callable[[Array], None]) -> None:
    for key in _loss_keys(kernels):

        def loss(
            outputs: Array, targets: Array, losses: Array, dy: Array, kernel: Kernel = kernels[key]
        ) -> None:
            kernel(outputs, targets, losses, dy)
            change(dy)

        kernels[key] = loss


def _times(dy: Array, factor: Callable[[int], float]) -> None:
    dy *= factor(dy.shape[0])


def _dropped_mean(kernels: Kernels) -> None:
    """The gradient of the batch's sum instead of its mean: 1/B forgotten."""
    _after_losses(kernels, partial(_times, factor=lambda batch: float(batch)))


def _ddof1(kernels: Kernels) -> None:
    """B - 1 instead of B under the mean over the batch."""
    _after_losses(kernels, partial(_times, factor=lambda batch: batch / (batch - 1.0)))


def _transposed_weight(kernels: Kernels) -> None:
    """dx = dz W instead of dz W^T where W is square, so that the shapes do not tell."""
    for (name, kind), kernel in list(kernels.items()):
        if name == "dense_backward":

            def backward(
                dy: Array, x: Array, y: Array, W: Array, *rest: Array, kernel: Kernel = kernel
            ) -> None:
                square = W.shape[0] == W.shape[1]
                kernel(dy, x, y, np.ascontiguousarray(W.T) if square else W, *rest)

            kernels[name, kind] = backward


def _stale_momentum(kernels: Kernels) -> None:
    """After an update the first state vector is what it was before: the old moment is used again."""
    for name, kind in OPTIMIZERS.items():
        if not kind.slots:
            continue

        def step(p: Array, g: Array, moment: Array, *rest: Any, kernel: Kernel = kernels[name, None]) -> None:
            old = moment.copy()
            kernel(p, g, moment, *rest)
            moment[...] = old

        kernels[name, None] = step


def _swapped_label(kernels: Kernels) -> None:
    """Two classes' labels exchanged: the two that the batch holds most of."""

    def swap(targets: Array) -> Array:
        if targets.ndim == 2:
            first, second = np.argsort(-targets.sum(axis=0), kind="stable")[:2]
            order = np.arange(targets.shape[1])
            order[[first, second]] = second, first
            return np.ascontiguousarray(targets[:, order])
        first, second = np.argsort(-np.bincount(targets, minlength=2), kind="stable")[:2]
        return np.where(targets == first, second, np.where(targets == second, first, targets))

    for key in _loss_keys(kernels):

        def loss(outputs: Array, targets: Array, *rest: Array, kernel: Kernel = kernels[key]) -> None:
            kernel(outputs, swap(targets), *rest)

        kernels[key] = loss


def _flipped_kernel(kernels: Kernels) -> None:
    """A convolution as mathematicians write it, forward and backward: no check of gradients sees it."""

    def flip(W: Array) -> Array:
        return np.ascontiguousarray(W[::-1, ::-1])

    def forward(x: Array, W: Array, *rest: Any, kernel: Kernel = kernels["conv2d", None]) -> None:
        kernel(x, flip(W), *rest)

    def backward(
        dz: Array, x: Array, W: Array, strides: Any, padding: Any, dW: Array, *rest: Any,
        kernel: Kernel = kernels["conv2d_backward", None],
    ) -> None:  # fmt: skip
        kernel(dz, x, flip(W), strides, padding, dW, *rest)
        dW[...] = flip(dW)

    kernels["conv2d", None], kernels["conv2d_backward", None] = forward, backward


def _biased_variance(kernels: Kernels) -> None:
    """Batch normalisation's running variance divided by N instead of N - 1, as in Keras: only evaluation
    sees it.
    """

    def normalise(
        x: Array, gamma: Array, beta: Array, running_mean: Array, running_variance: Array, momentum: float,
        *rest: Any, kernel: Kernel = kernels["batch_norm", None],
    ) -> None:  # fmt: skip
        kept = (1.0 - momentum) * running_variance
        kernel(x, gamma, beta, running_mean, running_variance, momentum, *rest)
        n = x.shape[0]
        running_variance[...] = kept + (running_variance - kept) * ((n - 1) / n)

    kernels["batch_norm", None] = normalise


MUTANTS: Mapping[str, Callable[[Kernels], None]] = MappingProxyType(
    {
        "tf32": _tf32,
        "float16": _float16,
        "adam-epsilon": _adam_epsilon,
        "dropped-mean": _dropped_mean,
        "transposed-weight": _transposed_weight,
        "stale-momentum": _stale_momentum,
        "ddof1": _ddof1,
        "swapped-label": _swapped_label,
        "flipped-kernel": _flipped_kernel,
        "biased-variance": _biased_variance,
    }
)
"""Name -> what it does to the table of kernels; the docstring says what is wrong."""


def get_mutant(name: str) -> BackendContender:
    """The contender "numpy!NAME".

    Raises:
        InputError: an unknown name.
    """
    break_it = look_up("mutant", name, MUTANTS)

    def open_backend(dtype: str) -> Backend:
        backend = get_backend("numpy", dtype=dtype)
        kernels = dict(backend._kernels)
        break_it(kernels)
        object.__setattr__(backend, "_kernels", kernels)  # frozen for everyone else
        return backend

    return BackendContender(f"numpy!{name}", open_backend)
