"""Say what is probably wrong with a gradient, by comparing it with those of usual mistakes."""

from contextlib import suppress
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from dnn.agreement.gradcheck.subjects import STEP, Subject

UNKNOWN = "derive it again, or compare one term after another with finite differences"

DERIVATIVES_AT_Y: Any = (lambda y: 1 - y * y, lambda y: y * (1 - y), lambda y: y)
"""f'(z) from y = f(z), of tanh, sigmoid and exp."""


class Gradient(NamedTuple):
    """A gradient to be judged, of which some numbers are known."""

    name: str  # "dx"
    array: np.ndarray
    places: np.ndarray  # indices of the ``expected`` numbers in the flattened array
    expected: np.ndarray

    @property
    def found(self) -> Any:
        """The numbers in place of the expected ones."""
        return self.array.reshape(-1)[self.places]


def explain(gradient: Gradient, dy: np.ndarray, y: np.ndarray, subject: Subject) -> str:
    """Return advice on a wrong gradient. dy: dL/dy. y: the output of the subject."""
    name, got, places, expected = gradient
    found = gradient.found
    inputs = subject.inputs
    x = inputs["x"]
    sizes = {"the batch size": len(x), "the number of outputs": y.shape[-1],
             "the number of inputs": x.shape[-1]}  # fmt: skip
    if known := explain_numbers(gradient, sizes):
        return known
    if got.shape == dy.shape and np.allclose(got, dy):
        return "it is dy itself: the derivative is missing"
    for i, which in ((0, "first"), (-1, "last")):
        one = np.zeros_like(dy)
        one[i] = dy[i]
        if got.shape != x.shape and is_close(subject.differences(name[1:], places, one)[0], found):
            return f"it is that of the {which} example alone: sum over the batch"
    for matrix, is_transposed in product(["", *inputs], (False, True)):
        with suppress(ValueError, IndexError), np.errstate(all="ignore"):  # not this product
            if known := _explain_product(matrix, is_transposed, gradient, dy, y, subject):
                return known
    wrong = ~np.isclose(found, expected, rtol=1e-4, atol=1e-6 * largest(expected))
    if got.shape == x.shape == y.shape:
        slope = _change(subject, y, STEP) / (2 * STEP)
        if is_close((dy * slope).reshape(-1)[places], found):
            return "it is the derivative at y = f(x), expected at x"
    if got.shape == x.shape:
        negative = x.reshape(-1)[places] < 0
        for sign, mask in (("negative", negative), ("positive", ~negative)):
            if wrong[mask].mean() > 0.8 and not wrong[~mask].any():
                return f"it is wrong exactly where x is {sign}: look at that branch"
    return UNKNOWN


def _explain_product(
    matrix: str, is_transposed: bool, gradient: Gradient, dy: Any, y: Any, subject: Subject
) -> str:
    """Return advice for y = f(x W + b), or f(x W.T + b), if the expected gradient follows from it.

    Args:
        matrix: name of W; "": there is none.
    """
    x = subject.inputs["x"]
    W = subject.inputs.get(matrix, np.eye(x.shape[-1]))
    W = W.T if is_transposed else W
    name, got, places, expected = gradient

    def right(dz: Any, W: Any = W) -> Any:
        if name == "dx":
            array = dz @ W.T
        elif name == f"d{matrix}":
            array = dz.T @ x if is_transposed else x.T @ dz
        else:
            array = dz.reshape(-1, *got.shape).sum(axis=0)
        return array.reshape(got.shape).reshape(-1)[places]

    step = STEP * np.cos(np.arange(x.size)).reshape(x.shape)
    slope = _change(subject, x, step) / (2 * step @ W)
    if not is_close(right(dy * slope), expected):
        return ""
    if is_close(right(dy), gradient.found):
        return "the derivative of the activation is missing"
    if name == "dx" and W.shape == W.T.shape and is_close(right(dy * slope, W.T), gradient.found):
        if is_transposed:
            return f"{matrix}.T stands in place of {matrix}"
        return f"{matrix} stands in place of {matrix}.T"
    biases = [b for other, b in subject.inputs.items() if other != "x" and b.size == y.shape[-1]]
    z = x @ W + sum(biases)
    for derivative in DERIVATIVES_AT_Y:
        if is_close(derivative(y), slope) and is_close(right(dy * derivative(z)), gradient.found):
            return "the derivative is taken at z, expected at y = f(z)"
    return ""


def _change(subject: Subject, x: Any, step: Any) -> Any:
    """Return forward(x + step) - forward(x - step)."""
    above, below = (np.array(subject.forward({**subject.inputs, "x": x + move})) for move in (step, -step))
    return above - below


def is_close(numbers: Any, expected: Any) -> bool:
    """Return whether all numbers are those expected, up to rounding of the largest one."""
    return np.allclose(numbers, expected, rtol=1e-4, atol=1e-6 * largest(expected))


def compare_numbers(gradient: Gradient, limit: float) -> tuple[float, str]:
    """Return the largest difference, relative to the largest expected number, and what differs.

    Differences up to the limit are rounding, for which the text is "".
    """
    name, got, places, expected = gradient
    found = gradient.found
    apart = np.abs(found - expected) / largest(expected)
    worst = float(np.max(apart, initial=0.0))
    bad = ~(apart <= limit)
    if not bad.any():
        return worst, ""
    first = int(np.argmax(bad))
    index = [*map(int, np.unravel_index(places[first], got.shape))]
    number = f"{name}{index} is {found[first]:.6g}, expected {expected[first]:.6g}"
    return worst, f"{number} ({int(bad.sum())} of {len(bad)} numbers differ)"


def explain_numbers(gradient: Gradient, sizes: dict[str, int], rounding: float = 1e-6) -> str:
    """Return advice on a wrong gradient that follows from its numbers alone, or "".

    Args:
        sizes: name -> number by which the gradient may be multiplied or divided.
        rounding: relative to the largest expected number.
    """
    size = largest(gradient.expected)
    found = gradient.found / size
    expected = gradient.expected / size
    if not np.isfinite(found).all():
        return "it is not finite: look for a division by 0, or for parts that are never written"
    if not found.any():
        return "it is 0: is it computed and written?"
    transposed = gradient._replace(array=gradient.array.T)
    is_square = gradient.array.ndim == 2 and gradient.array.shape == transposed.array.shape
    if is_square and np.allclose(transposed.found / size, expected, rtol=1e-4, atol=rounding):
        return "it is transposed"
    factor = float(found @ expected / (expected @ expected or 1.0))
    is_factor = np.allclose(found, factor * expected, rtol=1e-4, atol=rounding * abs(factor))
    if is_factor and abs(factor - 1.0) > 1e-3:
        return _explain_factor(factor, sizes)
    return ""


def largest(numbers: np.ndarray) -> float:
    """Return the largest absolute number, or 1 if all are 0."""
    return float(np.max(np.abs(numbers), initial=0.0)) or 1.0


def _explain_factor(factor: float, sizes: dict[str, int]) -> str:
    """Return what a constant factor suggests."""
    if abs(factor + 1.0) < 1e-4:
        return "its sign is wrong"
    n = round(max(factor, 1.0 / factor)) if 1e-9 < factor < 1e9 else 0
    if n > 2 and not sizes:
        sizes = {"what may be the batch size": n}
    for name, n in sizes.items():
        if n > 1 and abs(factor * n - 1.0) < 1e-4:
            return f"it is divided by {name}, {n}: sum here, since the mean is taken elsewhere"
        if n > 1 and abs(factor / n - 1.0) < 1e-4:
            return f"it is multiplied by {name}, {n}: is a mean missing?"
    return f"it is {factor:.4g} times the right one: look for a forgotten or doubled factor"


def summarize(wrong: dict[str, str], count: int) -> str:
    """Return the first problem, and which of ``count`` gradients have one. wrong: name -> problem."""
    every = "all gradients are wrong, so look at what they share"
    which = every if len(wrong) == count else f"only {' and '.join(wrong)}"
    return next(iter(wrong.values())) + (f"; {which}" if count > 1 else "")
