"""A few instances of every layer that exists, made from its signature.

So a new layer is measured as soon as it is in ``dnn.layers.LAYERS``. Required arguments get the numbers
of ARGUMENTS by name; a layer that takes an activation is made once with each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from types import MappingProxyType
from typing import Any

from backends import InputError, get_backend
from backends.reference import ACTIVATIONS
from dnn.layers import LAYERS, BatchNormalization, Layer
from dnn.layers.augmentation import Augmentation

ARGUMENTS: Mapping[str, Any] = MappingProxyType(
    {
        "units": 24,
        "filters": 6,
        "kernel_size": 3,
        "rate": 0.25,
        "stddev": 0.5,
        "target_shape": (4, 6),
    }
)
VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Conv2D": {"strides": (2, 1), "padding": "same"},
        "MaxPooling2D": {"pool_size": 3, "strides": 2, "padding": "same"},
        "AveragePooling2D": {"pool_size": 3, "strides": 2, "padding": 1},
    }
)
"""Settings with which a layer is made once more."""
# The first makes Dense(24) square: a transposed W then fits. Of 7 x 8 pixels "same" pads one side more.
# 8 channels, since of 3 numbers some are nearly equal, and LayerNormalization magnifies their rounding.
SHAPES = ((24,), (40,), (7, 8, 8))


def samples() -> Iterator[tuple[str, Callable[[], Layer], tuple[int, ...]]]:
    """Every (name, function that makes a new layer, input shape that fits it).

    Raises:
        InputError: a layer has a required argument without a number here, or fits none of SHAPES.
    """
    numpy = get_backend("numpy")
    for name, kind in LAYERS.items():
        if issubclass(kind, Augmentation):
            continue  # it passes no gradient back; its pictures are compared by its own test
        parameters = inspect.signature(kind).parameters
        required = [p.name for p in parameters.values() if p.default is p.empty]
        unknown = set(required) - set(ARGUMENTS) - {"activation"}
        if unknown:
            raise InputError(
                f"layer {name} needs {sorted(unknown)}, expected numbers for them in "
                f"dnn.agreement.samples.ARGUMENTS"
            )
        given = {argument: ARGUMENTS[argument] for argument in required if argument in ARGUMENTS}
        kinds: list[dict[str, Any]] = [{}]
        if "activation" in parameters:
            kinds = [{"activation": activation} for activation in ACTIVATIONS]
        if name in VARIANTS:
            kinds.append({**kinds[-1], **VARIANTS[name]})
        found = False
        for more in kinds:
            make = partial(kind, **given, **more)
            for shape in SHAPES:
                try:
                    make().build(shape, numpy, "layer", first=False)
                except InputError:
                    continue
                found = True
                words = [str(v) for v in more.values()]
                yield " ".join([name, *words, "x".join(map(str, shape))]), make, shape
        if not found:
            raise InputError(f"layer {name} fits none of the shapes {SHAPES}, expected it to fit one")


def inner_dimensions(layer: Layer, batch: int) -> tuple[int, int, int]:
    """Numbers added up in one element of y, of dx and of dW, for a built layer.

    From the shape (..., n_in, n_out) of its largest parameter; leading axes are a receptive field. Batch
    normalisation takes the mean of all rows into each element.
    """
    rows = batch * prod(layer.output_shape[:-1])
    if isinstance(layer, BatchNormalization):
        return rows, rows, rows
    shapes = [s for s in layer.parameter_shapes().values() if len(s) > 1]
    shape = max(shapes, key=prod, default=(1, 1))
    return prod(shape[:-1]), prod(shape) // shape[-2], rows
