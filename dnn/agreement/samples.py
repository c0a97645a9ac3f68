"""A few instances of every layer that exists, made with the settings of its ``examples``.

So a new layer is measured as soon as it is in ``dnn.layers.LAYERS``. A layer that takes an activation is made
once with each.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import signature
from math import prod
from typing import Any

import numpy as np

from backends import InputError, get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement.bounds import norm
from dnn.layers import (
    LAYERS,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    LayerNormalization,
    MaxPooling2D,
)
from dnn.layers.augmentation import Warp
from dnn.layers.normalization import Normalization

# The first makes Dense(24) square: a transposed W then fits. Of 7 x 8 pixels "same" pads one side more.
# 8 channels, since of 3 numbers some are nearly equal, and LayerNormalization magnifies their rounding.
SAMPLE_SHAPES: tuple[tuple[int, ...], ...] = ((24,), (40,), (7, 8, 8))
SEQUENCE_SHAPE: tuple[int, ...] = (9, 8)
"""For what fits none of them."""

UNUSUAL_SAMPLES: tuple[tuple[str, Callable[[], Layer], tuple[int, ...]], ...] = (
    ("Dense 13 tanh", partial(Dense, 13, "tanh"), (17,)),
    ("Dense 5 relu", partial(Dense, 5, "relu"), (3,)),
    ("Dense 1", partial(Dense, 1), (9,)),
    ("Conv2D 3 2x3 softplus", partial(Conv2D, 3, (2, 3), "softplus", padding=1), (6, 5, 3)),
    ("Conv2D 5 1x1 strides", partial(Conv2D, 5, 1, strides=(3, 2)), (7, 5, 7)),
    ("MaxPooling2D 2x3 strides", partial(MaxPooling2D, (2, 3), strides=(1, 2)), (6, 7, 3)),
    ("AveragePooling2D 3x2 strides", partial(AveragePooling2D, (3, 2), strides=(2, 1), padding=1), (6, 7, 3)),
    ("BatchNormalization unusual", partial(BatchNormalization, momentum=0.3, epsilon=0.01), (13,)),
    ("BatchNormalization images", partial(BatchNormalization, momentum=0.25), (3, 5, 11)),
    ("LayerNormalization unusual", partial(LayerNormalization, epsilon=0.01), (13,)),
    ("Dropout unusual", partial(Dropout, 0.6), (13,)),
    ("GaussianNoise unusual", partial(GaussianNoise, 0.2), (13,)),
)
"""Sizes that no power of two divides, and settings that a kernel might have built in otherwise."""


def _settings(layer_class: type[Layer]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what is special about them, settings) for each instance."""
    first, *others = layer_class.examples
    special: list[dict[str, Any]] = [{}]
    if "activation" in signature(layer_class).parameters:
        special = [{"activation": activation} for activation in ACTIVATIONS]
    special += [{**special[-1], **{k: v for k, v in more.items() if k not in first}} for more in others]
    for more in special:
        yield " ".join(str(v) for v in more.values()), {**first, **more}


def _fits(layer: Layer, shape: tuple[int, ...]) -> bool:
    try:
        layer.build(shape, get_backend("numpy"), "layer", first=layer.must_precede_trained)
    except InputError:
        return False
    return True


def samples() -> Iterator[tuple[str, Callable[[], Layer], tuple[int, ...]]]:
    """Every (name, function that makes a new layer, input shape that fits it).

    Raises InputError: a layer fits none of SAMPLE_SHAPES.
    """
    for name, layer_class in LAYERS.items():
        for special, settings in _settings(layer_class):
            make = partial(layer_class, **settings)
            fitting = [shape for shape in SAMPLE_SHAPES if _fits(make(), shape)]
            if not fitting and not _fits(make(), SEQUENCE_SHAPE):
                raise InputError(
                    f"layer {name} fits none of the shapes {SAMPLE_SHAPES}, expected it to fit one"
                )
            for shape in fitting or [SEQUENCE_SHAPE]:
                yield " ".join(w for w in (name, special, "x".join(map(str, shape))) if w), make, shape
    yield from UNUSUAL_SAMPLES


def sum_lengths(layer: Layer, batch: int) -> tuple[int, int, int]:
    """Numbers added up in one element of y, of dx and of dW, for a built layer.

    From the shape (..., n_in, n_out) of its largest parameter; leading axes are a receptive field. A layer
    that mixes examples has the mean of all rows in each element.
    """
    rows = batch * prod(layer.output_shape[:-1])
    if layer.uses_batch_statistics:
        return rows, rows, rows
    if layer.n_categories is not None:  # rows of a table, of which each is picked about as often
        return 1, 1, -(-rows // layer.n_categories)
    shapes = [s for s in layer.parameter_shapes().values() if len(s) > 1]
    shape = max(shapes, key=prod, default=(1, 1))
    return prod(shape[:-1]), prod(shape) // shape[-2], rows


def condition(layer: Layer, x: np.ndarray) -> float:
    """How much a layer magnifies a relative error of its input x (B, ...) beyond a product's: 1 or more.

    2 for softmax, whose derivative is a difference of dy and a mean. Normalisation subtracts a mean, whose
    rounding has the size of x, and divides by the standard deviation: sqrt(mean x^2) / sqrt(variance +
    epsilon) of a column or row, and of these the root mean square. In training a view of an image takes its
    pixels from places up to H / 2 and W / 2 from the middle; a place off by a pixel takes another one.
    """
    if isinstance(layer, Warp):
        return sum(layer.input_shape[:2]) / 2
    if not isinstance(layer, Normalization):
        return 2.0 if layer.activation == "softmax" else 1.0
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    axis = 0 if layer.uses_batch_statistics else 1
    spread = np.var(rows, axis=axis) + layer.epsilon
    return max(1.0, float(np.sqrt(np.mean(np.mean(rows * rows, axis=axis) / spread))))


def evaluation_conditions(
    layer: BatchNormalization, x: np.ndarray, running: Mapping[str, np.ndarray]
) -> tuple[float, float]:
    """How much batch normalisation magnifies in evaluation a relative error of its running mean, and of x."""
    root = np.sqrt(running["running_variance"] + layer.epsilon)
    size = norm((x - running["running_mean"]) / root)
    means = np.broadcast_to(running["running_mean"] / root, x.shape)
    return norm(means) / size, max(1.0, norm(x / root) / size)
