"""The closed set of kernels, each in standard array API: the definition of correct.

Everything that a backend may replace by something faster is here, and nothing else is. A kernel takes
the array namespace ``xp`` first, reads some arrays and writes others *in place*; it returns nothing.
Which are written is stated in each docstring; every other array is left as it was. Kernels with a
*kind* (an activation, a form of target) take it second and are bound once for each kind.

Symbols: B batch size, n_in and n_out widths, x input, W and b weights and bias, z = x W + b, y output,
dy the gradient of the loss with respect to y. Derivatives at kinks: relu'(0) = 0. NaN passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from backends.reference.activations import ACTIVATIONS, DENSE_KINDS, activation, activation_backward
from backends.reference.clipping import NORM_FLOOR, clip_norm, clip_value
from backends.reference.convolution import conv2d, conv2d_backward
from backends.reference.dense_layer import dense, dense_backward
from backends.reference.gather import gather_rows
from backends.reference.losses import (
    TARGETS,
    hinge,
    mean_absolute_error,
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from backends.reference.noise import dropout, gaussian_noise
from backends.reference.normalization import (
    batch_norm,
    batch_norm_backward,
    layer_norm,
    layer_norm_backward,
)
from backends.reference.optimizers import (
    FLUSH_EVERY,
    MOMENT_FLOOR,
    adagrad,
    adam,
    adamw,
    rmsprop,
    sgd,
)
from backends.reference.penalty import penalty
from backends.reference.pooling import (
    average_pool2d,
    average_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from backends.reference.random import threefry

KERNELS: Mapping[str, tuple[Callable[..., None], tuple[str, ...]]] = MappingProxyType(
    {
        "gather_rows": (gather_rows, ()),
        "activation": (activation, ACTIVATIONS),
        "activation_backward": (activation_backward, ACTIVATIONS),
        "dense": (dense, DENSE_KINDS),
        "dense_backward": (dense_backward, DENSE_KINDS),
        "conv2d": (conv2d, ()),
        "conv2d_backward": (conv2d_backward, ()),
        "max_pool2d": (max_pool2d, ()),
        "max_pool2d_backward": (max_pool2d_backward, ()),
        "average_pool2d": (average_pool2d, ()),
        "average_pool2d_backward": (average_pool2d_backward, ()),
        "batch_norm": (batch_norm, ()),
        "batch_norm_backward": (batch_norm_backward, ()),
        "layer_norm": (layer_norm, ()),
        "layer_norm_backward": (layer_norm_backward, ()),
        "dropout": (dropout, ()),
        "gaussian_noise": (gaussian_noise, ()),
        "softmax_cross_entropy": (softmax_cross_entropy, TARGETS),
        "sigmoid_cross_entropy": (sigmoid_cross_entropy, TARGETS),
        "mean_squared_error": (mean_squared_error, TARGETS),
        "mean_absolute_error": (mean_absolute_error, TARGETS),
        "hinge": (hinge, TARGETS),
        "sgd": (sgd, ()),
        "penalty": (penalty, ()),
        "clip_norm": (clip_norm, ()),
        "clip_value": (clip_value, ()),
        "adagrad": (adagrad, ()),
        "rmsprop": (rmsprop, ()),
        "adam": (adam, ()),
        "adamw": (adamw, ()),
        "threefry": (threefry, ()),
    }
)
"""Name -> (reference, kinds it is bound for; none: bound once, without a kind)."""

__all__ = [
    "ACTIVATIONS",
    "DENSE_KINDS",
    "FLUSH_EVERY",
    "KERNELS",
    "MOMENT_FLOOR",
    "NORM_FLOOR",
    "TARGETS",
    "activation",
    "activation_backward",
    "adagrad",
    "adam",
    "adamw",
    "average_pool2d",
    "average_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "clip_norm",
    "clip_value",
    "conv2d",
    "conv2d_backward",
    "dense",
    "dense_backward",
    "dropout",
    "gather_rows",
    "gaussian_noise",
    "hinge",
    "layer_norm",
    "layer_norm_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mean_absolute_error",
    "mean_squared_error",
    "penalty",
    "rmsprop",
    "sgd",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "threefry",
]
