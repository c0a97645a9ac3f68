"""What gradcheck differentiates: a layer, loss or activation of the library, or functions on NumPy arrays."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy, deepcopy
from typing import Any, NamedTuple

import numpy as np

from backends import InputError, get_backend
from backends.errors import reraise, short_repr
from backends.reference.activations import ActivationFunction
from dnn.agreement.contenders.contender import build_layer
from dnn.agreement.samples import SAMPLE_SHAPES, fits
from dnn.inputs.arrays import require_numbers
from dnn.inputs.conversion import as_array
from dnn.layers import Input, Layer
from dnn.losses import Loss
from dnn.typing import HostArrays

BATCH_SIZES = (7, 3)
STEP = 1e-5
"""Of central differences, whose errors are about STEP^2 and 1e-16 / STEP."""
Gradients = dict[str, Any]
"""Input name -> gradient, or None."""


class Wrong(Exception):
    """The first thing that is wrong."""


class Subject(NamedTuple):
    """A function of named arrays with its own gradients."""

    inputs: HostArrays  # the first axis of "x" is the batch
    forward: Callable[[HostArrays], Any]
    backward: Callable[[HostArrays, Any], Gradients]  # (inputs, dy) after forward -> gradients by name

    def differences(self, name: str, places: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return dL/dinput at places of the flattened input, for L = sum dy y, and where L has no kink."""
        array = self.inputs[name].astype(np.float64)
        flat = array.flat  # reshape(-1) would copy a transposed array
        inputs = {**self.inputs, name: array}

        def loss() -> float:
            return float(np.sum(dy * np.asarray(self.forward(inputs))))

        middle = loss()
        slopes = []
        jumps = []
        for place in places:
            start = flat[place]
            step = STEP * max(1.0, abs(start))
            flat[place] = start + step
            above = loss()
            flat[place] = start - step
            below = loss()
            flat[place] = start
            slopes.append((above - below) / (2 * step))
            jumps.append(abs(above + below - 2 * middle) / step)
        slope = np.asarray(slopes)
        return slope, np.asarray(jumps) < 0.01 * (np.max(np.abs(slope), initial=0.0) + 1e-6)


def _choose_shape(layer: Layer, input_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of a layer's examples: ``input_shape``, or the first usual shape that fits."""
    if layer.random or layer.n_categories is not None or layer.must_precede_trained:
        expected = "a layer of numbers that is differentiable and draws no random numbers"
        raise InputError(f"part is {short_repr(layer)}", expected)
    shapes = SAMPLE_SHAPES if input_shape is None else (tuple(Input(input_shape).shape),)
    shape = next((s for s in shapes if fits(copy(layer), s)), None)
    if shape is None:
        raise InputError(f"{type(layer).__name__} fits none of the shapes {shapes}", "input_shape=")
    return shape


def part_subjects(part: Any, shape: tuple[int, ...] | None, seed: int) -> list[Subject]:
    """Return the functions to check: one for each batch size of a layer or loss, else one."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal
    backend = get_backend("numpy", dtype="float64")
    xp = backend.xp
    if isinstance(part, ActivationFunction):
        return [
            function_subject(
                lambda dy, x, y: part.backward(xp, dy, x, y),
                lambda x: part.forward(xp, x),
                {"x": 2 * normal((7, 5))},
            )
        ]
    if isinstance(part, Loss):
        if type(part).compute is Loss.compute:
            raise InputError(f"loss {part.name!r} has a kernel", "a loss with compute")
        return [_loss_subject(part, xp, rng, n) for n in BATCH_SIZES]
    shape = _choose_shape(part, shape)
    layer = copy(part)
    parameters = build_layer(layer, shape, backend)
    values = {name: normal(form) / np.sqrt(form[0]) for name, form in parameters.shapes.items()}

    def forward(v: HostArrays) -> Any:
        for name, view in parameters.by_name.items():
            view[...] = v[name]
        layer.reserve(len(v["x"]), training=True)
        return layer.forward(v["x"], training=True)

    def backward(v: HostArrays, dy: Any) -> Gradients:
        for view in parameters.gradient_by_name.values():
            view[...] = np.nan
        dx = layer.backward(dy.copy())
        for name, view in parameters.gradient_by_name.items():
            if np.isnan(view).all():
                how = f"set it with self.gradient[{name!r}][...] = ..., not += and not ="
                raise Wrong(f"d{name} is never written, or is added to what was there; {how}")
        return {"x": dx} | {name: view.copy() for name, view in parameters.gradient_by_name.items()}

    return [Subject({"x": normal((n, *shape)), **values}, forward, backward) for n in BATCH_SIZES]


def _loss_subject(loss: Loss, xp: Any, rng: np.random.Generator, n: int) -> Subject:
    """Return a loss of n examples as a function of the outputs; targets from 0 to 1 are probabilities."""
    targets = rng.uniform(*(loss.target_range or (-1.0, 1.0)), (n, 4))
    if loss.target_range == (0.0, 1.0):
        targets /= targets.sum(axis=1, keepdims=True)

    def backward(v: HostArrays, dy: Any) -> Gradients:
        gradient = np.asarray(loss.compute(xp, v["x"], targets)[1])
        return {"x": gradient if gradient.shape != v["x"].shape else gradient * dy[:, None]}

    outputs = rng.standard_normal((n, 4))
    return Subject({"x": outputs}, lambda v: loss.compute(xp, v["x"], targets)[0], backward)


def function_subject(backward: Any, forward: Any, arrays: Mapping[str, Any]) -> Subject:
    """Return functions on NumPy arrays as a subject. ``gradcheck`` says how they are called.

    Raises InputError: an array does not hold numbers, or parameters of the functions do not match.
    """
    inputs = {}
    for name, numbers in arrays.items():
        array = as_numbers(name, numbers)
        real = array.dtype.kind == "f"  # others may be class numbers
        inputs[name] = np.array(array, np.float64 if real else None, ndmin=int(name == "x"))
    cure = "pass forward=, and each of its arrays by name, as b=b; a lambda renames or drops parameters"
    with reraise((TypeError, ValueError), "forward or backward cannot be called:", cure=cure):
        signature = inspect.signature(forward)
        signature.bind(*inputs)
        parameters = inspect.signature(backward).parameters.values()
    names = [*signature.parameters][: len(inputs)]
    order = names if {*names} == {*inputs} else [*inputs]
    known = {*names, *inputs, "y"}
    required = [p.name for p in parameters if p.default is p.empty]
    upstream = [name for name in required if name not in known]
    if len(upstream) > 1:
        raise InputError(
            f"backward has the unknown parameters {', '.join(upstream)}",
            f"one for dL/dy besides {', '.join(names)} and y",
            "for a cache give forward=lambda x: f(x)[0] and backward as lambda dy, x: backward(dy, f(x)[1])",
        )

    def result(v: HostArrays) -> np.ndarray:
        y = forward(*(v[name] for name in order))
        if y is None or isinstance(y, tuple):
            got = f"forward returns a {type(y).__name__}"
            raise Wrong(f"{got}, expected y alone: return y, or wrap forward in a lambda")
        return np.asarray(y)

    if inputs["x"].dtype.kind != "f":
        as_float = {**inputs, "x": inputs["x"].astype(np.float64)}
        with suppress(Exception):  # of the user's code: x may hold indices
            result(as_float)
            inputs = as_float

    def outputs(v: HostArrays) -> np.ndarray:
        y = result(v)
        return np.atleast_1d(y if upstream else np.sum(y))

    def gradients(v: HostArrays, dy: np.ndarray) -> Gradients:
        y = result(v)
        values = {"y": y, **v, **dict(zip(names, (v[name] for name in order), strict=False))}
        if upstream:
            values[upstream[0]] = dy.reshape(y.shape).copy()
        before = deepcopy(v)
        found = backward(**{p.name: values[p.name] for p in parameters if p.name in values})
        require_unchanged("backward", before, v)
        factor = 1.0 if upstream else dy[0]
        named = _name_gradients(found, v)
        return {n: None if g is None else np.multiply(factor, g) for n, g in named.items()}

    return Subject(inputs, outputs, gradients)


def as_numbers(name: str, numbers: Any) -> np.ndarray:
    """Return an array or a list as a NumPy array. Raises InputError: it does not hold numbers."""
    array = np.asarray(as_array(get_backend("numpy"), name, numbers))
    require_numbers(name, array)
    return array


def require_unchanged(function: str, before: HostArrays, inputs: HostArrays) -> None:
    """Raise Wrong if a function has changed its inputs."""
    for name, array in before.items():
        if not np.array_equal(array, inputs[name], equal_nan=True):
            raise Wrong(f"{function} changes its input {name}; write to another array")


def _name_gradients(found: Any, inputs: HostArrays) -> Gradients:
    """Return the gradients that backward returned, by the names of the inputs; None for a missing one.

    Raises Wrong: it returned others.
    """
    real = [name for name, array in inputs.items() if array.dtype.kind == "f"]
    if isinstance(found, Mapping):
        named = {name if name in inputs else name.removeprefix("d"): g for name, g in found.items()}
    elif isinstance(found, (tuple, list)):
        names = real if len(found) == len(real) else [*inputs, "another"]
        named = dict(zip(names, found, strict=False))
    else:
        return {"x" if "x" in real else [*real, "x"][0]: found}
    if not {*named} <= {*inputs}:
        raise Wrong(f"backward returns gradients of {', '.join(named)}, expected of {', '.join(inputs)}")
    given = {name: g for name, g in named.items() if g is not None}
    return given | {name: None for name in real if name not in named} or {"x": None}
