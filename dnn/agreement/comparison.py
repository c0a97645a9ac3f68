"""Compare the gradients of a network that was written by hand with those of the library."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import InputError, get_backend
from dnn.agreement.diagnosis import UNKNOWN, compare_numbers, explain_numbers
from dnn.agreement.gradcheck import MAX_FLOAT32_ERROR, MAX_ROUNDING, Verdict
from dnn.validation.arrays import require_numbers
from dnn.validation.conversion import as_array
from dnn.validation.settings import require_kind


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
    for argument, arrays in (("gradients", gradients), ("expected", expected)):
        require_kind(argument, arrays, Mapping)
    if set(gradients) != set(expected):
        got = f"gradients has the names {', '.join(map(str, gradients))}"
        raise InputError(got, ", ".join(map(str, expected)))
    problems: dict[str, str] = {}
    worst = 0.0
    for name in reversed(list(expected)):
        difference, problem = _compare(name, *(_as_numbers(name, a[name]) for a in (gradients, expected)))
        worst = max(worst, difference)
        if problem:
            problems[name] = problem
    first, *others = problems or [""]
    which = f"wrong too: {', '.join(others)}" if others else "all other arrays are right"
    problem = f"{problems[first]}; {which}" if problems else ""
    return Verdict("gradients", problem, worst, "the expected arrays")


def _as_numbers(name: str, given: Any) -> np.ndarray:
    array = np.asarray(as_array(get_backend("numpy"), name, given))
    require_numbers(name, array)
    return array


def _compare(name: str, gradient: np.ndarray, expected: np.ndarray) -> tuple[float, str]:
    """Return the largest difference of two arrays, and what is wrong or ""."""
    if gradient.shape != expected.shape:
        transposed = "; it is transposed" if gradient.shape == expected.shape[::-1] else ""
        return np.inf, f"{name} has shape {gradient.shape}, expected {expected.shape}{transposed}"
    double = gradient.dtype == expected.dtype == np.float64
    limit = MAX_ROUNDING if double else MAX_FLOAT32_ERROR
    places = np.arange(expected.size)
    numbers = gradient.astype(np.float64), places, expected.astype(np.float64).reshape(-1)
    difference, text = compare_numbers(name, *numbers, limit)
    hint = explain_numbers(*numbers, {}, rounding=limit / 10)
    return difference, text and f"{text}: {hint or UNKNOWN}"
