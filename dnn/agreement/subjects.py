"""What gradcheck differentiates: a layer, loss or activation of the library, or functions on NumPy arrays."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from backends import InputError, get_backend
from backends.errors import reraise, short_repr
from backends.reference.activations import ActivationFunction
from dnn.agreement.contender import build_layer
from dnn.agreement.samples import SAMPLE_SHAPES, SEQUENCE_SHAPE, fits
from dnn.layers import Input, Layer
from dnn.losses import Loss
from dnn.validation.arrays import require_numbers
from dnn.validation.conversion import as_array

Named = dict[str, np.ndarray]
BATCH_SIZES = (7, 3)


class Wrong(Exception):
    """The first thing that is wrong."""


class Subject(NamedTuple):
    """A function of named arrays with its own gradients."""

    inputs: Named  # the first axis of "x" is the batch
    forward: Callable[[Named], Any]
    backward: Callable[[Named, Any], dict[str, Any]]  # (inputs, dy) after forward -> gradients by name

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the result for another x."""
        return np.array(self.forward({**self.inputs, "x": x}))


def choose_shape(layer: Layer, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of a layer's examples: ``given``, or the first usual shape that fits."""
    if layer.random or layer.n_categories is not None or layer.must_precede_trained:
        expected = "a layer of numbers that is differentiable and draws no random numbers"
        raise InputError(f"part is {short_repr(layer)}", expected)
    shapes = (*SAMPLE_SHAPES, SEQUENCE_SHAPE) if given is None else (tuple(Input(given).shape),)
    shape = next((s for s in shapes if fits(copy(layer), s)), None)
    if shape is None:
        raise InputError(f"{type(layer).__name__} fits none of the shapes {shapes}", "input_shape=")
    return shape


def part_subjects(part: Any, shape: tuple[int, ...] | None, seed: int, dtype: str) -> list[Subject]:
    """Return the part as a function for each batch size; all of them use the same layer."""
    rng = np.random.default_rng(seed)
    xp = get_backend("numpy").xp

    def normal(*size: int) -> np.ndarray:
        return rng.standard_normal(size).astype(dtype)

    if isinstance(part, ActivationFunction):
        return [
            Subject(
                {"x": 2 * normal(n, 7)},
                lambda v: part.forward(xp, v["x"]),
                lambda v, dy: {"x": part.backward(xp, dy, v["x"], part.forward(xp, v["x"]))},
            )
            for n in BATCH_SIZES
        ]
    if isinstance(part, Loss):
        if type(part).compute is Loss.compute:
            raise InputError(f"loss {part.name!r} has a kernel", "a loss with compute")
        low, high = part.span or (-1.0, 1.0)
        subjects = []
        for n in BATCH_SIZES:
            targets = (low + (high - low) * rng.random((n, 4))).astype(dtype)
            targets /= targets.sum(axis=1, keepdims=True) if part.span == (0.0, 1.0) else 1
            subjects.append(_loss_subject(part, xp, normal(n, 4), targets))
        return subjects
    assert shape is not None
    layer, probe = copy(part), copy(part)
    backend = get_backend("numpy", dtype=dtype)
    probe.build(shape, backend, "layer", first=False)
    values = {name: normal(*form) / np.sqrt(form[0]) for name, form in probe.parameter_shapes().items()}
    parameters = build_layer(layer, shape, backend, values)

    def forward(v: Named) -> Any:
        for name, view in parameters.value.items():
            view[...] = v[name]
        layer.reserve(len(v["x"]), training=True)
        return layer.forward(v["x"], training=True)

    def backward(v: Named, dy: Any) -> dict[str, Any]:
        for view in parameters.gradient.values():
            view[...] = np.nan
        dx = layer.backward(dy.copy())
        for name, view in parameters.gradient.items():
            if np.isnan(view).all():
                how = f"set it with self.gradient[{name!r}][...] = ..., not += and not ="
                raise Wrong(f"d{name} is never written, or is added to what was there; {how}")
        return {"x": dx} | {name: view.copy() for name, view in parameters.gradient.items()}

    return [Subject({"x": normal(n, *shape), **values}, forward, backward) for n in BATCH_SIZES]


def _loss_subject(loss: Loss, xp: Any, outputs: np.ndarray, targets: np.ndarray) -> Subject:
    def backward(v: Named, dy: Any) -> dict[str, Any]:
        gradient = np.asarray(loss.compute(xp, v["x"], targets)[1])
        return {"x": gradient if gradient.shape != v["x"].shape else gradient * dy[:, None]}

    return Subject({"x": outputs}, lambda v: loss.compute(xp, v["x"], targets)[0], backward)


def function_subject(backward: Callable[..., Any], forward: Callable[..., Any], arrays: Named) -> Subject:
    """Return functions on NumPy arrays as a subject. ``gradcheck`` says how they are called.

    Raises InputError: an array does not hold finite numbers, or parameters of the functions do not match.
    """
    inputs = {name: _as_numbers(name, array) for name, array in arrays.items()}
    parameters = _parameters("forward", forward)
    x_name = "x" if "x" in parameters else next(iter(parameters), "x")
    names = [x_name if name == "x" else name for name in inputs]
    needed = {name for name, required in parameters.items() if required}
    if not needed <= {*names} <= {*parameters} or len({*names}) < len(names):
        expected = f"parameters for x{''.join(f', {name}' for name in names if name != x_name)}"
        raise InputError(f"forward has the parameters {', '.join(parameters) or 'none'}", expected)
    others = _parameters("backward", backward).items()
    upstream = [n for n, required in others if n not in {*names, "x", "y"} and (required or n == "dy")]
    if len(upstream) > 1:
        expected = f"one parameter for dL/dy; the others are named {', '.join(names)}, and y for the result"
        raise InputError(f"backward has the unknown parameters {', '.join(upstream)}", expected)

    def result(v: Named) -> np.ndarray:
        y = _call(forward, dict(zip(names, v.values(), strict=True)))
        if isinstance(y, tuple):
            listed = ", ".join(names)
            raise Wrong(f"forward returns a tuple, expected y; pass lambda {listed}: forward({listed})[0]")
        return np.asarray(y)

    def outputs(v: Named) -> np.ndarray:
        y = result(v)
        return np.atleast_1d(y if upstream else np.sum(y))

    def gradients(v: Named, dy: np.ndarray) -> dict[str, Any]:
        y = result(v)
        before = {name: array.copy() for name, array in v.items()}
        values = {"x": v["x"], "y": y, **dict(zip(names, v.values(), strict=True))}
        if upstream:
            values[upstream[0]] = dy.reshape(y.shape).copy()
        found = _call(backward, values)
        for name, array in before.items():
            if not np.array_equal(array, v[name]):
                raise Wrong(f"backward changes its input {name}; write to another array")
        factor = 1.0 if upstream else float(dy[0])
        return {name: factor * np.asarray(g) for name, g in _name_gradients(found, v).items()}

    return Subject(inputs, outputs, gradients)


def _as_numbers(name: str, given: Any) -> np.ndarray:
    """Return a copy of an array: x and fractions as float64, integers such as class numbers unchanged."""
    array = np.array(as_array(get_backend("numpy"), name, given))
    require_numbers(name, array)
    if not array.size or not np.isfinite(array).all() or (name == "x" and not array.ndim):
        raise InputError(f"{name} has shape {array.shape}, or NaN or infinity", "an array of finite numbers")
    return array.astype(np.float64) if name == "x" or array.dtype.kind == "f" else array


def _parameters(label: str, function: Callable[..., Any]) -> dict[str, bool]:
    """Return name -> whether it must be passed, for each parameter of a function."""
    with reraise((TypeError, ValueError), f"{label} has no signature:", cure="pass lambda x: f(x)"):
        found = inspect.signature(function).parameters.values()
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {p.name: p.default is p.empty and p.kind not in optional for p in found}


def _call(function: Callable[..., Any], values: Named) -> Any:
    """Call a function with the values that its parameters name."""
    signature = inspect.signature(function)
    named = OrderedDict((name, values[name]) for name in signature.parameters if name in values)
    bound = inspect.BoundArguments(signature, named)
    return function(*bound.args, **bound.kwargs)


def _name_gradients(found: Any, inputs: Named) -> dict[str, Any]:
    """Return the gradients that backward returned, by the names of the inputs. Raises Wrong."""
    order = ", ".join(inputs)
    if isinstance(found, Mapping):
        named = {name if name in inputs else name.removeprefix("d"): g for name, g in found.items()}
        if not {*named} <= {*inputs}:
            raise Wrong(f"backward returns gradients of {', '.join(named)}, expected of {order}")
    elif isinstance(found, (tuple, list)):
        if len(found) > len(inputs):
            raise Wrong(f"backward returns {len(found)} gradients, expected those of {order}")
        named = dict(zip(inputs, found, strict=False))
    else:
        named = {"x": found}
    named = {name: gradient for name, gradient in named.items() if gradient is not None}
    for name, gradient in named.items():
        if np.shape(gradient) != inputs[name].shape:
            shapes = f"has shape {np.shape(gradient)}, expected {inputs[name].shape}"
            raise Wrong(f"d{name} {shapes}; gradients are returned in the order {order}, or as a dict")
    if not named:
        raise Wrong("backward returns None, expected gradients")
    return named
