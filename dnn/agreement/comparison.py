"""Compare the gradients of a network that was written by hand with those of the library."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import InputError
from dnn.agreement.diagnosis import UNKNOWN, compare_numbers, explain_numbers, summarize
from dnn.agreement.gradcheck import MAX_ROUNDING, Verdict
from dnn.agreement.subjects import as_numbers
from dnn.validation.settings import require_kind

MAX_FLOAT32_ERROR = 1e-3


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
        numbers = gradient.astype(np.float64), np.arange(wanted.size), wanted.astype(np.float64).reshape(-1)
        difference, text = compare_numbers(name, *numbers, limit)
        worst = max(worst, difference)
        if text:
            wrong[name] = f"{text}: {explain_numbers(*numbers, {}, limit / 10) or UNKNOWN}"
    problem = summarize(wrong, len(expected)) if wrong else ""
    return Verdict("gradients", problem, worst, "the expected arrays")
