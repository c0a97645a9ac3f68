"""gradcheck: compare the backward of one layer, loss or activation with finite differences in float64.

Differences up to MAX_ROUNDING of the largest gradient are rounding, and larger ones are a bug. Central
differences with STEP have errors of about STEP^2 and 1e-16 / STEP.
"""

import traceback
from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backends import InputError, get_backend
from backends.errors import short_repr
from backends.reference.activations import ActivationFunction
from dnn.agreement.contender import build_layer
from dnn.agreement.diagnosis import STEP, explain
from dnn.agreement.samples import SAMPLE_SHAPES, SEQUENCE_SHAPE, fits
from dnn.layers import Input, Layer
from dnn.losses import Loss

Named = dict[str, np.ndarray]
MAX_ROUNDING = 1e-5
MAX_FLOAT32_ERROR = 1e-3
MAX_ENTRIES = 300  # of a tensor that are compared
BATCH_SIZES = (7, 3)


class Wrong(Exception):
    """The first thing that is wrong."""


class Verdict(NamedTuple):
    """Result of ``gradcheck``; its text is one line."""

    name: str
    problem: str  # "": there is none
    difference: float  # the largest from finite differences, relative to the largest gradient

    @property
    def holds(self) -> bool:
        """Whether only rounding was found."""
        return not self.problem

    def __str__(self) -> str:
        if self.problem:
            return f"{self.name}: bug: {self.problem}"
        found = f"backward differs from finite differences by at most {self.difference:.0e}"
        return f"{self.name}: rounding: {found}"


class Subject(NamedTuple):
    """A function of named arrays with its own gradients."""

    inputs: Named  # the first axis of "x" is the batch
    forward: Callable[[Named], Any]
    backward: Callable[[Named, Any], dict[str, Any]]  # (inputs, dy) after forward -> gradients by name

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the result for another x."""
        return np.array(self.forward({**self.inputs, "x": x}))


def gradcheck(
    part: Layer | Loss | ActivationFunction, input_shape: tuple[int, ...] | None = None, seed: int = 0
) -> Verdict:
    """Return whether forward and backward of a part of your own fit together, or the first wrong number.

    Args:
        part: a layer, which may be unused, a loss with ``compute``, or an ActivationFunction.
        input_shape: of one example of a layer; None: the first usual shape that fits.
        seed: of inputs, parameters and dL/dy.
    Raises InputError: another object, a layer that draws random numbers, or one that no usual shape fits.

    >>> from dnn import Dense
    >>> gradcheck(Dense(3, "tanh"), (4,)).holds
    True
    """
    name = type(part).__name__
    if isinstance(part, Layer):
        input_shape = _shape_for(part, input_shape)
    elif not isinstance(part, (Loss, ActivationFunction)):
        expected = "a Layer, a Loss or an ActivationFunction, not its class"
        raise InputError(f"part is {short_repr(part)}", expected)
    worst = 0.0
    try:
        worst = max(_check_double(part, input_shape, seed))
        _check_single(part, input_shape, seed)
    except Wrong as wrong:
        return Verdict(name, str(wrong), worst)
    return Verdict(name, "", worst)


def _shape_for(layer: Layer, given: tuple[int, ...] | None) -> tuple[int, ...]:
    if layer.random or layer.n_categories is not None or layer.must_precede_trained:
        expected = "a layer of numbers that is differentiable and draws no random numbers"
        raise InputError(f"part is {short_repr(layer)}", expected)
    shapes = (*SAMPLE_SHAPES, SEQUENCE_SHAPE) if given is None else (tuple(Input(given).shape),)
    shape = next((s for s in shapes if fits(copy(layer), s)), None)
    if shape is None:
        raise InputError(f"{type(layer).__name__} fits none of the shapes {shapes}", "input_shape=")
    return shape


def _subjects(part: Any, shape: tuple[int, ...] | None, seed: int, dtype: str) -> list[Subject]:
    """Yield the part as a function for each batch size; all of them use the same layer."""
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
        return {"x": dx} | {name: view.copy() for name, view in parameters.gradient.items()}

    return [Subject({"x": normal(n, *shape), **values}, forward, backward) for n in BATCH_SIZES]


def _loss_subject(loss: Loss, xp: Any, outputs: np.ndarray, targets: np.ndarray) -> Subject:
    def backward(v: Named, dy: Any) -> dict[str, Any]:
        gradient = np.asarray(loss.compute(xp, v["x"], targets)[1])
        return {"x": gradient if gradient.shape != v["x"].shape else gradient * dy[:, None]}

    return Subject({"x": outputs}, lambda v: loss.compute(xp, v["x"], targets)[0], backward)


def _check_double(part: Any, shape: tuple[int, ...] | None, seed: int) -> list[float]:
    """Return the largest difference for each batch. Raises Wrong."""
    rng = np.random.default_rng(seed + 1)
    found = []
    for number, subject in enumerate(_subjects(part, shape, seed, "float64")):
        try:
            found.append(_check_batch(subject, part, rng))
        except Exception as error:  # of the user's code too
            again = " (the first batch was right: is something of it used again?)" if number else ""
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}: "
            raise Wrong(f"{'' if isinstance(error, Wrong) else place}{error}{again}") from None
    return found


def _check_batch(subject: Subject, part: Any, rng: np.random.Generator) -> float:
    inputs = subject.inputs
    x = inputs["x"].copy()
    y = np.array(subject.forward(inputs))
    if not np.array_equal(x, inputs["x"]):
        raise Wrong("forward changes its input x; write to another array")
    wanted = (len(x),) if isinstance(part, Loss) else (len(x), *(y.shape[1:]))
    if y.shape != wanted:
        raise Wrong(f"the result has shape {y.shape}, expected {wanted}, one for each example")
    if not np.allclose(y, subject.forward(inputs)):
        raise Wrong("forward returns other numbers for the same x; set random = True, or remove the state")
    dy = 1.0 + 0.5 * rng.standard_normal(y.shape)
    got = _gradients(subject, inputs, dy)
    subject.forward(inputs)
    twice = _gradients(subject, inputs, 2.0 * dy)
    for name, gradient in got.items():
        if not np.allclose(2.0 * gradient, twice[name]):
            raise Wrong(f"d{name} is not proportional to dy; is dy used, and once?")
    worst = 0.0
    wrong: dict[str, str] = {}
    for name, gradient in got.items():
        places, expected = _differences(subject, name, dy, rng)
        mine = gradient.reshape(-1)[places]
        size = float(np.max(np.abs(expected), initial=0.0)) or 1.0
        apart = np.abs(mine - expected) / size
        worst = max(worst, float(np.max(apart, initial=0.0)))
        bad = ~(apart <= MAX_ROUNDING)
        if bad.any():
            first = int(np.argmax(bad))
            index = ", ".join(str(int(i)) for i in np.unravel_index(places[first], gradient.shape))
            number = f"d{name}[{index}] is {mine[first]:.6g}, expected {expected[first]:.6g}"
            differences = partial(_differences, subject, name, rng=rng, places=places)
            explained = gradient, places, expected, dy, inputs, y
            hint = explain(*explained, subject.outputs, lambda other: differences(other)[1])  # noqa: B023
            wrong[name] = f"{number} ({int(bad.sum())} of {len(bad)} numbers differ): {hint}"
    if wrong:
        every = "all gradients are wrong, so look at what they share"
        which = every if len(wrong) == len(got) else f"only {' and '.join(f'd{name}' for name in wrong)}"
        raise Wrong(next(iter(wrong.values())) + (f"; {which}" if len(got) > 1 else ""))
    return worst


def _gradients(subject: Subject, inputs: Named, dy: np.ndarray) -> Named:
    """Return the gradients of the part. Raises Wrong: one is missing or has another shape."""
    found = {}
    for name, gradient in subject.backward(inputs, dy).items():
        if gradient is None:
            raise Wrong("backward returns None, expected dL/dx")
        array = np.array(gradient)
        if array.shape != inputs[name].shape:
            raise Wrong(f"d{name} has shape {array.shape}, expected {inputs[name].shape}")
        if np.isnan(array).all():
            how = f"set it with self.gradient[{name!r}][...] = ..., not += and not ="
            raise Wrong(f"d{name} is never written, or is added to what was there; {how}")
        found[name] = array
    return found


def _differences(
    subject: Subject, name: str, dy: np.ndarray, rng: np.random.Generator, places: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in the flattened input and dL/dinput there, for L = sum dy y; kinks are left out."""
    array = subject.inputs[name].copy()
    flat = array.reshape(-1)
    inputs = {**subject.inputs, name: array}

    def loss() -> float:
        return float(np.sum(dy * np.asarray(subject.forward(inputs))))

    middle = loss()
    chosen = np.sort(rng.permutation(flat.size)[:MAX_ENTRIES]) if places is None else places
    slopes = []
    jumps = []
    for place in chosen:
        start = flat[place]
        flat[place] = start + STEP
        above = loss()
        flat[place] = start - STEP
        below = loss()
        flat[place] = start
        slopes.append((above - below) / (2 * STEP))
        jumps.append(abs(above + below - 2 * middle) / STEP)
    slope = np.asarray(slopes)
    smooth = np.asarray(jumps) < 0.01 * (np.max(np.abs(slope), initial=0.0) + 1e-6)
    keep = smooth if places is None else slice(None)
    return np.asarray(chosen)[keep], slope[keep]


def _check_single(part: Any, shape: tuple[int, ...] | None, seed: int) -> None:
    """Raise Wrong if float32 gives float64, or other numbers than float64 does."""
    single, double = (_subjects(part, shape, seed, dtype)[0] for dtype in ("float32", "float64"))
    y = np.asarray(single.forward(single.inputs))
    if y.dtype != np.float32:
        raise Wrong(f"y has dtype {y.dtype} for float32 inputs; create arrays with dtype=x.dtype")
    exact = np.asarray(double.forward(double.inputs))
    error = float(np.max(np.abs(y - exact)) / (np.max(np.abs(exact)) or 1.0))
    if not error <= MAX_FLOAT32_ERROR:
        raise Wrong(
            f"float32 loses digits: y differs from float64 by {error:.0e}; is a difference cancelled?"
        )
