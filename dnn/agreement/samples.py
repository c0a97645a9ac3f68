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
from dnn.layers import LAYERS, Layer

ARGUMENTS: Mapping[str, Any] = MappingProxyType(
    {"units": 24, "filters": 6, "kernel_size": 3, "pool_size": 2, "rate": 0.25}
)
SHAPES = ((24,), (40,), (8, 8, 3))  # the first makes Dense(24) square: a transposed W then fits


def samples() -> Iterator[tuple[str, Callable[[], Layer], tuple[int, ...]]]:
    """Every (name, function that makes a new layer, input shape that fits it).

    Raises:
        InputError: a layer has a required argument without a number here, or fits none of SHAPES.
    """
    numpy = get_backend("numpy")
    for name, kind in LAYERS.items():
        parameters = inspect.signature(kind).parameters
        required = [p.name for p in parameters.values() if p.default is p.empty]
        unknown = set(required) - set(ARGUMENTS) - {"activation"}
        if unknown:
            raise InputError(
                f"layer {name} needs {sorted(unknown)}, expected numbers for them in "
                f"dnn.agreement.samples.ARGUMENTS"
            )
        given = {argument: ARGUMENTS[argument] for argument in required if argument in ARGUMENTS}
        takes_activation = "activation" in parameters
        found = False
        for activation in ACTIVATIONS if takes_activation else (None,):
            more = {} if activation is None else {"activation": activation}
            make = partial(kind, **given, **more)
            for shape in SHAPES:
                try:
                    make().build(shape, numpy, "layer", first=False)
                except InputError:
                    continue
                found = True
                yield " ".join(filter(None, (name, activation, "x".join(map(str, shape))))), make, shape
        if not found:
            raise InputError(f"layer {name} fits none of the shapes {SHAPES}, expected it to fit one")


def inner_dimensions(layer: Layer, batch: int) -> tuple[int, int, int]:
    """Numbers added up in one element of y, of dx and of dW, for a built layer.

    From the shape (..., n_in, n_out) of its largest parameter; leading axes are a receptive field.
    """
    shapes = [s for s in layer.parameter_shapes().values() if len(s) > 1]
    shape = max(shapes, key=prod, default=(1, 1))
    places = prod(layer.output_shape[:-1])
    return prod(shape[:-1]), prod(shape) // shape[-2], batch * places
