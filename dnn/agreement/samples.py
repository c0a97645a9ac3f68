"""Sample instances of every registered layer, with the settings of its ``examples``.

A new layer is compared as soon as it is in ``dnn.layers.LAYERS``. A layer with an activation gets one sample
for each activation.
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
    BatchNormalization,
    Layer,
)
from dnn.layers.augmentation import Warp
from dnn.layers.normalization import Normalization

# (24,) makes Dense(24) square, so that a transposed W fits. 7 x 8 pixels make "same" padding asymmetric.
# There are 8 channels, since 3 may be nearly equal, and LayerNormalization would magnify their rounding.
SAMPLE_SHAPES: tuple[tuple[int, ...], ...] = ((24,), (40,), (7, 8, 8))
SEQUENCE_SHAPE: tuple[int, ...] = (9, 8)
"""Input shape for layers that fit none of SAMPLE_SHAPES."""


def _settings(layer_class: type[Layer]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (label, settings) for each sample of a layer class."""
    first, *others = layer_class.examples
    special: list[dict[str, Any]] = [{}]
    if "activation" in signature(layer_class).parameters:
        special = [{"activation": activation} for activation in ACTIVATIONS]
    special += [{**special[-1], **{k: v for k, v in more.items() if k not in first}} for more in others]
    for more in special:
        yield " ".join(str(v) for v in more.values()), {**first, **more}


def fits(layer: Layer, shape: tuple[int, ...]) -> bool:
    try:
        layer.build(shape, get_backend("numpy"), "layer", first=layer.must_precede_trained)
    except InputError:
        return False
    return True


def samples() -> Iterator[tuple[str, Callable[[], Layer], tuple[int, ...]]]:
    """Yield (name, function that makes a new layer, input shape) for every sample.

    Raises InputError: a layer fits none of SAMPLE_SHAPES.
    """
    for name, layer_class in LAYERS.items():
        for special, settings in _settings(layer_class):
            make = partial(layer_class, **settings)
            fitting = [shape for shape in SAMPLE_SHAPES if fits(make(), shape)]
            if not fitting and not fits(make(), SEQUENCE_SHAPE):
                raise InputError(
                    f"layer {name} fits none of the shapes {SAMPLE_SHAPES}, expected it to fit one"
                )
            for shape in fitting or [SEQUENCE_SHAPE]:
                yield " ".join(w for w in (name, special, "x".join(map(str, shape))) if w), make, shape


def sum_lengths(layer: Layer, batch: int) -> tuple[int, int, int]:
    """Return the number of terms in one element of y, dx and dW of a built layer.

    They follow from the shape (..., n_in, n_out) of its largest parameter; leading axes are the receptive
    field. With batch statistics each element depends on all rows.
    """
    rows = batch * prod(layer.output_shape[:-1])
    if layer.uses_batch_statistics:
        return rows, rows, rows
    if layer.n_categories is not None:  # rows of a table, each looked up about equally often
        return 1, 1, -(-rows // layer.n_categories)
    shapes = [s for s in layer.parameter_shapes().values() if len(s) > 1]
    shape = max(shapes, key=prod, default=(1, 1))
    return prod(shape[:-1]), prod(shape) // shape[-2], rows


def condition(layer: Layer, x: np.ndarray) -> float:
    """Return the factor, at least 1, by which a layer magnifies a relative error of its input x (B, ...).

    - Softmax: 2, since its derivative is a difference of dy and a mean.
    - Normalisation: it subtracts a mean with a rounding of the size of x, and divides by the standard
      deviation. The factor is the root mean square over columns (batch) or rows (layer normalisation) of
      sqrt(mean x^2) / sqrt(variance + epsilon).
    - Random rotation and distortion in training: (H + W) / 2, since source coordinates are up to H / 2 and
      W / 2 from the centre.
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
    """Return the factors by which batch normalisation in evaluation magnifies relative errors of its running
    mean and of x.
    """
    root = np.sqrt(running["running_variance"] + layer.epsilon)
    size = norm((x - running["running_mean"]) / root)
    means = np.broadcast_to(running["running_mean"] / root, x.shape)
    return norm(means) / size, max(1.0, norm(x / root) / size)
