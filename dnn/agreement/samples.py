"""Sample instances of every registered layer, with the settings of its ``examples``.

A new layer is compared as soon as it is in ``dnn.layers.LAYERS``. A layer with an activation gets one sample
for each activation.
"""

from collections.abc import Callable, Iterator
from functools import partial
from inspect import signature
from math import prod
from typing import Any

from backends import InputError, get_backend
from backends.reference import ACTIVATIONS
from dnn.layers import LAYERS, Layer

# (24,) makes Dense(24) square, so that a transposed W fits. 7 x 8 pixels make "same" padding asymmetric.
# There are 8 channels, since 3 may be nearly equal, and LayerNormalization would magnify their rounding.
SAMPLE_SHAPES: tuple[tuple[int, ...], ...] = ((24,), (40,), (7, 8, 8), (9, 8))


def _settings(layer_class: type[Layer]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (label, settings) for each sample of a layer class."""
    first, *others = layer_class.examples
    kinds = ACTIVATIONS if "activation" in signature(layer_class).parameters else ()
    samples: list[dict[str, Any]] = [{**first, "activation": kind} for kind in kinds] or [{**first}]
    samples += [{**samples[-1], **more} for more in others]
    for settings in samples:
        yield " ".join(f"{k}={v}" for k, v in settings.items() if first.get(k) != v), settings


def fits(layer: Layer, shape: tuple[int, ...]) -> bool:
    try:
        layer.build(shape, get_backend("numpy"), "layer", needs_dx=not layer.must_precede_trained)
    except InputError:
        return False
    return True


def samples() -> Iterator[tuple[str, Callable[..., Layer], tuple[int, ...]]]:
    """Yield (name, function that makes a new layer, input shape) for every sample.

    Raises InputError: a layer fits none of SAMPLE_SHAPES.
    """
    for name, layer_class in LAYERS.items():
        for special, settings in _settings(layer_class):
            make = partial(layer_class, **settings)
            fitting = [shape for shape in SAMPLE_SHAPES if fits(make(), shape)]
            if not fitting:
                raise InputError(f"layer {name} fits none of the shapes {SAMPLE_SHAPES}", "it to fit one")
            for shape in fitting:
                yield " ".join([name, *special.split(), "x".join(map(str, shape))]), make, shape


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
