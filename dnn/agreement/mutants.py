"""Mutants: NumPy with one thing wrong. Each must be rejected, or the bounds prove nothing.

A mutant is a contender like any other. What is wrong is some kernels of its backend: each function here is
given (name, kind, kernel) and returns the kernel, or a wrong one in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from backends import Backend, get_backend
from backends.backend import Wrap
from backends.dispatch import Kernel
from backends.reference.signatures import Arrays, Numbers
from dnn.agreement.ours import BackendContender
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS
from dnn.validation.settings import look_up

Array = Any


def _round_tf32(a: Array) -> Array:
    """Float32 with 10 bits behind the point, to nearest even, as tensor cores read it."""
    bits = np.ascontiguousarray(a, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(13)) & np.uint32(1)
    return ((bits + np.uint32(0x0FFF) + odd) & np.uint32(0xFFFFE000)).view(np.float32).astype(a.dtype)


def _round_float16(a: Array) -> Array:
    return a.astype(np.float16).astype(a.dtype)


def _products(name: str, kernel: Kernel, reduce: Callable[[Array], Array]) -> Kernel:
    """Every factor of every product is rounded before it."""

    def forward(x: Array, W: Array, *rest: Any) -> None:
        kernel(reduce(x), reduce(W), *rest)

    def backward(dy: Array, x: Array, y: Array, W: Array, *rest: Any) -> None:
        dy[...] = reduce(dy)
        kernel(dy, reduce(x), y, reduce(W), *rest)

    def conv_backward(dz: Array, x: Array, W: Array, *rest: Any) -> None:
        kernel(reduce(dz), reduce(x), reduce(W), *rest)

    wrong: dict[str, Kernel] = {
        "dense": forward,
        "conv2d": forward,
        "dense_backward": backward,
        "conv2d_backward": conv_backward,
    }
    return wrong.get(name, kernel)


def _tf32(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """Products of TF32-rounded factors, as torch and CuPy may do on a GPU when told so."""
    return _products(name, kernel, _round_tf32)


def _float16(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """A cast to float16 and back before every product."""
    return _products(name, kernel, _round_float16)


def _adam_epsilon(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """Adam's epsilon beside sqrt(v) before the bias correction ("epsilon hat", as in Keras)."""

    def adam(p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        (m, v), (beta1, beta2, epsilon) = slots, settings
        control[1] = beta1 * control[1] + (1.0 - beta1)
        control[2] = beta2 * control[2] + (1.0 - beta2)
        control[3] += 1.0
        m[...] = beta1 * m + (1.0 - beta1) * g
        v[...] = beta2 * v + (1.0 - beta2) * g * g
        p -= control[0] * np.sqrt(control[2]) / control[1] * m / (np.sqrt(v) + epsilon)

    return adam if name == "adam" else kernel


def _is_loss(name: str) -> bool:
    return name in {loss.kernel for loss in LOSSES.values()}


def _scaled_gradient(name: str, kernel: Kernel, factor: Callable[[int], float]) -> Kernel:
    """A loss whose gradient is too long by a factor of the batch size."""

    def loss(outputs: Array, targets: Array, losses: Array, dy: Array) -> None:
        kernel(outputs, targets, losses, dy)
        dy *= factor(dy.shape[0])

    return loss if _is_loss(name) else kernel


def _dropped_mean(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """The gradient of the batch's sum instead of its mean: 1/B forgotten."""
    return _scaled_gradient(name, kernel, lambda batch: float(batch))


def _ddof1(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """B - 1 instead of B under the mean over the batch."""
    return _scaled_gradient(name, kernel, lambda batch: batch / (batch - 1.0))


def _transposed_weight(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """dx = dz W instead of dz W^T where W is square, so that the shapes do not tell."""

    def backward(dy: Array, x: Array, y: Array, W: Array, *rest: Any) -> None:
        square = W.shape[0] == W.shape[1]
        kernel(dy, x, y, np.ascontiguousarray(W.T) if square else W, *rest)

    return backward if name == "dense_backward" else kernel


def _stale_momentum(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """After an update the first state vector is what it was before: the old moment is used again."""

    def step(p: Array, g: Array, slots: Arrays, *rest: Any) -> None:
        old = slots[0].copy()
        kernel(p, g, slots, *rest)
        slots[0][...] = old

    return step if name in OPTIMIZERS and OPTIMIZERS[name].slots else kernel


def _swapped_label(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """Two classes' labels exchanged: the two that the batch holds most of."""

    def swap(targets: Array) -> Array:
        if targets.ndim == 2:
            first, second = np.argsort(-targets.sum(axis=0), kind="stable")[:2]
            order = np.arange(targets.shape[1])
            order[[first, second]] = second, first
            return np.ascontiguousarray(targets[:, order])
        first, second = np.argsort(-np.bincount(targets, minlength=2), kind="stable")[:2]
        return np.where(targets == first, second, np.where(targets == second, first, targets))

    def loss(outputs: Array, targets: Array, *rest: Array) -> None:
        kernel(outputs, swap(targets), *rest)

    return loss if _is_loss(name) else kernel


def _flipped_kernel(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """A convolution as mathematicians write it, forward and backward: no check of gradients sees it."""

    def flip(W: Array) -> Array:
        return np.ascontiguousarray(W[::-1, ::-1])

    def forward(x: Array, W: Array, *rest: Any) -> None:
        kernel(x, flip(W), *rest)

    def backward(dz: Array, x: Array, W: Array, strides: Any, padding: Any, gradients: Arrays) -> None:
        kernel(dz, x, flip(W), strides, padding, gradients)
        gradients[0][...] = flip(gradients[0])

    wrong: dict[str, Kernel] = {"conv2d": forward, "conv2d_backward": backward}
    return wrong.get(name, kernel)


def _biased_variance(name: str, kind: str | None, kernel: Kernel) -> Kernel:
    """Batch normalisation's running variance divided by N instead of N - 1, as in Keras: only evaluation
    sees it.
    """

    def normalise(
        x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, *rest: Any
    ) -> None:
        variance, n = running[1], x.shape[0]
        kept = (1.0 - settings[0]) * variance
        kernel(x, gamma, beta, running, settings, *rest)
        variance[...] = kept + (variance - kept) * ((n - 1) / n)

    return normalise if name == "batch_norm" else kernel


MUTANTS: Mapping[str, Wrap] = MappingProxyType(
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
"""Name -> which kernels it replaces, for ``Backend.wrapped``; the docstring says what is wrong."""


def get_mutant(name: str) -> BackendContender:
    """The contender "numpy!NAME".

    Raises:
        InputError: an unknown name.
    """
    break_it = look_up("mutant", name, MUTANTS)

    def open_backend(dtype: str) -> Backend:
        return get_backend("numpy", dtype=dtype).wrapped(break_it)

    return BackendContender(f"numpy!{name}", open_backend)
