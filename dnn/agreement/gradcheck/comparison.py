"""gradcheck: compare the backward of a layer, loss, activation or function with finite differences;
compare_gradients: compare the gradients of a network that was written by hand with those of the library.

gradcheck computes in float64. Differences up to MAX_ROUNDING of the largest gradient are rounding, and larger
ones are a bug.
"""

import traceback
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backends import InputError
from backends.errors import short_repr
from backends.reference.activations import ActivationFunction
from dnn.agreement.gradcheck.diagnosis import (
    UNKNOWN,
    Gradient,
    compare_numbers,
    explain,
    explain_numbers,
    largest,
    summarize,
)
from dnn.agreement.gradcheck.subjects import (
    STEP,
    Subject,
    Wrong,
    as_numbers,
    function_subject,
    part_subjects,
    require_unchanged,
)
from dnn.layers import Layer
from dnn.losses import Loss
from dnn.settings.checks import natural_number, require_kind
from dnn.typing import HostArrays

Part = Layer | Loss | ActivationFunction
MAX_ROUNDING = 1e-5
MAX_FLOAT32_ERROR = 1e-3
MAX_ENTRIES = 300  # of a tensor that are compared
HINTS = {
    "could not broadcast": "; is it summed over the batch?",
    "matmul": "; is a transpose missing, as in W.T?",
    "not aligned": "; is a transpose missing, as in W.T?",
    "integer": "; integers have no gradient: return None for theirs",
}
"""Words in an error of NumPy, and what to look for."""


class Verdict(NamedTuple):
    """Result of ``gradcheck`` or ``compare_gradients``; its text is one line."""

    name: str
    problem: str  # "": there is none
    difference: float  # the largest from the expected numbers, relative to the largest of the array
    reference: str = "finite differences"

    @property
    def holds(self) -> bool:
        """Whether only rounding was found."""
        return not self.problem

    def __str__(self) -> str:
        if self.problem:
            return f"{self.name}: bug: {self.problem}"
        found = f"backward differs from {self.reference} by at most {self.difference:.0e}"
        return f"{self.name}: rounding: {found}"


def gradcheck(
    part: Part | Callable[..., Any], input_shape: tuple[int, ...] | None = None, seed: int = 0, *,
    forward: Any = None, **arrays: Any,
) -> Verdict:  # fmt: skip
    """Return whether forward and backward of your own fit together, or the first wrong number.

    ``gradcheck(backward, forward=forward, x=x, W=W, b=b)`` checks functions on NumPy arrays, by their
    parameters: ``backward`` gets the arrays under forward's names, the result of forward as ``y``, and dL/dy
    under any other name. Without such a parameter, L is the sum of y. It returns the gradient of x, a tuple
    of gradients in the order of the arrays, or a dict by name. A missing one is a problem, unless the array
    holds integers; None stands for one that is not computed.

    Args:
        part: a layer, which may be unused, a loss with ``compute``, an ActivationFunction, or ``backward``.
        input_shape: of one example of a layer; None: the first usual shape that fits.
        seed: of inputs, parameters and dL/dy.
        forward: function whose gradient ``backward`` computes. It returns one array.
        arrays: x and other arguments of forward, by its names or, if these differ, in its order.
    Raises InputError: another object, a layer that draws random numbers, one that no usual shape fits, or
        functions that cannot be called with the arrays.

    >>> from dnn import Dense
    >>> gradcheck(Dense(3, "tanh"), (4,)).holds
    True
    >>> print(gradcheck(lambda dy, y: dy * y, forward=np.exp, x=np.ones(3)).holds)
    True
    """
    if (forward or arrays) if isinstance(part, Part) else "x" not in arrays:
        expected = "a Layer such as model.layers[0], a Loss or an ActivationFunction, not its class"
        call = "call a function as gradcheck(backward, forward=..., x=...)"
        raise InputError(f"part is {short_repr(part)}", expected, call)
    seed = natural_number("seed", seed)
    if isinstance(part, Part):
        subjects = part_subjects(part, input_shape, seed)
    else:
        subjects = [function_subject(part, forward, arrays)]
    rng = np.random.default_rng(seed + 1)
    worst = 0.0
    problem = ""
    for number, subject in enumerate(subjects):
        try:
            worst = max(worst, _check_batch(subject, part, rng))
        except Exception as error:  # of the user's code too
            again = " (the first batch was right: is something of it used again?)" if number else ""
            again += "".join(hint for words, hint in HINTS.items() if words in str(error))
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}: "
            problem = f"{'' if isinstance(error, Wrong) else place}{error}{again}"
            break
    return Verdict(getattr(part, "__name__", type(part).__name__), problem, worst)


def _check_batch(subject: Subject, part: Any, rng: np.random.Generator) -> float:
    inputs = subject.inputs
    before = deepcopy(inputs)
    y = np.array(subject.forward(inputs))
    require_unchanged("forward", before, inputs)
    if y.dtype in ("float16", "float32"):
        raise Wrong(f"forward returns {y.dtype} of float64 arrays, which rounds too much: remove the cast")
    n = len(inputs["x"])
    wanted = (n,) if isinstance(part, Loss) else (n, *y.shape[1:])
    if y.shape != wanted and isinstance(part, Part):
        raise Wrong(f"the result has shape {y.shape}, expected {wanted}, one for each example")
    if not np.isfinite(y).all():
        raise Wrong("forward returns NaN or infinity; choose other inputs, or look for a division by 0")
    if not np.allclose(y, subject.forward(inputs)):
        cure = "remove its state; a layer that draws random numbers sets random = True"
        raise Wrong(f"forward returns other numbers for the same x; {cure}")
    dy = 1.0 + 0.5 * rng.standard_normal(y.shape) if y.size > 1 else np.ones(y.shape)
    got = _gradients(subject, dy)
    subject.forward(inputs)
    twice = _gradients(subject, 2.0 * dy)
    for name, gradient in got.items():
        if not np.allclose(2.0 * gradient, twice[name], equal_nan=True):
            raise Wrong(f"d{name} is not proportional to dy; is dy used, and once?")
    noise = 1e-15 * float(np.sum(np.abs(dy * y))) / STEP  # rounding of L in the differences
    worst = 0.0
    wrong: dict[str, str] = {}
    for name, gradient in got.items():
        entries = np.sort(rng.permutation(gradient.size)[:MAX_ENTRIES])
        slopes, is_smooth = subject.differences(name, entries, dy)
        places, expected = entries[is_smooth], slopes[is_smooth]
        if not places.size:
            raise Wrong(f"forward is not smooth at any {name} that was passed; choose other numbers")
        limit = MAX_ROUNDING + noise / largest(expected)
        judged = Gradient(f"d{name}", gradient, places, expected)
        difference, text = compare_numbers(judged, limit)
        worst = max(worst, difference)
        if text:
            wrong[judged.name] = f"{text}: {explain(judged, dy, y, subject)}"
    if wrong:
        raise Wrong(summarize(wrong, len(got)))
    return worst


def _gradients(subject: Subject, dy: np.ndarray) -> HostArrays:
    """Return the gradients of the part. Raises Wrong: one is missing or has another shape."""
    found = {}
    inputs = subject.inputs
    for name, gradient in subject.backward(inputs, dy).items():
        if gradient is None:
            cure = "in a tuple or dict, return None for one that you do not compute"
            raise Wrong(f"backward returns None or nothing for {name}, expected dL/d{name}; {cure}")
        array = np.array(gradient)
        shape = inputs[name].shape
        if array.shape != shape:
            hint = f"the order of gradients is {', '.join(inputs)}"
            if array.shape == (len(dy), *shape):
                hint = "it is not summed over the batch"
            raise Wrong(f"d{name} has shape {array.shape}, expected {shape}; {hint}")
        found[name] = array
    return found


def compare_gradients(gradients: Mapping[str, Any], expected: Mapping[str, Any]) -> Verdict:
    """Return whether arrays are equal up to rounding, or the first that differs, and where.

    Arrays are compared from the last to the first, as backward computes them: a mistake spreads to all
    layers before it, but not to those after it.

    Args:
        gradients: name -> array of yours.
        expected: name -> array, as ``model.gradients(x, y)`` returns them.
    Raises InputError: the names differ, or an array holds no numbers.

    >>> print(compare_gradients({"W": [1.0, 4.0]}, {"W": [1.0, 2.0]}).problem.partition(": ")[0])
    W[1] is 4, expected 2 (1 of 2 numbers differ)
    """
    require_kind("gradients", gradients, Mapping)
    require_kind("expected", expected, Mapping)
    if set(gradients) != set(expected):
        names = f"gradients has the names {', '.join(map(str, gradients))}"
        raise InputError(names, ", ".join(map(str, expected)))
    wrong: dict[str, str] = {}
    worst = 0.0
    for name in reversed(list(expected)):
        gradient, wanted = (as_numbers(name, arrays[name]) for arrays in (gradients, expected))
        if gradient.shape != wanted.shape:
            transposed = "; it is transposed" if gradient.shape == wanted.shape[::-1] else ""
            wrong[name] = f"{name} has shape {gradient.shape}, expected {wanted.shape}{transposed}"
            worst = np.inf
            continue
        limit = MAX_ROUNDING if gradient.dtype == wanted.dtype == np.float64 else MAX_FLOAT32_ERROR
        numbers = wanted.astype(np.float64).reshape(-1)
        judged = Gradient(name, gradient.astype(np.float64), np.arange(wanted.size), numbers)
        difference, text = compare_numbers(judged, limit)
        worst = max(worst, difference)
        if text:
            wrong[name] = f"{text}: {explain_numbers(judged, {}, limit / 10) or UNKNOWN}"
    problem = summarize(wrong, len(expected)) if wrong else ""
    return Verdict("gradients", problem, worst, "the expected arrays")
