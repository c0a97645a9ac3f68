"""Compare the gradients of a network that was written by hand with those of the library."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import InputError
from dnn.agreement.diagnosis import UNKNOWN, compare_numbers, explain_numbers, summarize
from dnn.agreement.gradcheck import MAX_FLOAT32_ERROR, MAX_ROUNDING, Verdict
from dnn.agreement.subjects import as_numbers
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
    require_kind("gradients", gradients, Mapping)
    require_kind("expected", expected, Mapping)
    if set(gradients) != set(expected):
        got = f"gradients has the names {', '.join(map(str, gradients))}"
        raise InputError(got, ", ".join(map(str, expected)))
    wrong: dict[str, str] = {}
    worst = 0.0
    for name in reversed(list(expected)):
        difference, problem = _compare(name, *(as_numbers(name, a[name]) for a in (gradients, expected)))
        worst = max(worst, difference)
        if problem:
            wrong[name] = problem
    problem = summarize(wrong, len(expected)) if wrong else ""
    return Verdict("gradients", problem, worst, "the expected arrays")


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
