"""Where a minimisation stands: all that the next iteration depends on, also as a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend
from backends.errors import brief
from dnn.io import safetensors as tensor_files
from dnn.io.checkpoint import CheckpointError
from dnn.lbfgs.direction import Pair

FORMAT = "array-api-dnn-lbfgs"
VERSION = 2
HISTORY = ("evaluations", "loss", "gradient_norm")
Array = Any


class Reason(StrEnum):
    """Why a minimisation stopped."""

    GRADIENT = "gradient_tolerance"
    DECREASE = "decrease_tolerance"
    ITERATIONS = "max_iterations"
    EVALUATIONS = "max_evaluations"
    LINE_SEARCH = "line_search_failed"
    NON_FINITE = "non_finite"

    @property
    def converged(self) -> bool:
        """Whether it is a minimum as far as the tolerances tell."""
        return self in (Reason.GRADIENT, Reason.DECREASE)


@dataclass(eq=False)
class State:
    """The current iterate x and what is remembered of the ones before.

    Two states with the same bits go on to the same iterates, so a state that was written to a file
    resumes as if nothing had happened.

    Attributes:
        point, gradient: x and g(x), (n,) in the backend's dtype.
        value: f(x).
        pairs: the last few steps, oldest first.
        iterations: steps taken so far; evaluations: calls of the function, those of failed and of
            interrupted line searches included.
        history: an entry for the start and for each iteration: "evaluations" so far, "loss" f(x), and
            "gradient_norm", the largest absolute entry of g(x).
        reason: why the last run stopped; None while it runs.
    """

    point: Array
    gradient: Array
    value: float
    pairs: list[Pair] = field(default_factory=list)
    iterations: int = 0
    evaluations: int = 0
    history: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in HISTORY})
    reason: Reason | None = None

    def record(self, xp: Any) -> None:
        """Write this iterate into the history."""
        largest = float(xp.max(xp.abs(self.gradient)))
        for name, number in zip(HISTORY, (self.evaluations, self.value, largest), strict=True):
            self.history[name].append(number)


def save_state(state: State, path: str | Path, backend: Backend) -> None:
    """Write the state; an older file of that name is replaced whole.

    Raises:
        CheckpointError: the file cannot be written.
    """
    vectors = {"point": state.point, "gradient": state.gradient}
    for i, pair in enumerate(state.pairs):
        vectors |= {f"s_{i}": pair.s, f"y_{i}": pair.y}
    about = {
        "dtype": backend.dtype_name,
        "value": state.value,
        "rho": [pair.rho for pair in state.pairs],
        "iterations": state.iterations,
        "evaluations": state.evaluations,
        "history": state.history,
        "reason": state.reason,
    }
    arrays = {name: np.ascontiguousarray(backend.to_host(vector)) for name, vector in vectors.items()}
    try:
        tensor_files.write(Path(path), FORMAT, VERSION, about, arrays)
    except OSError as error:
        raise CheckpointError(f"state {path} cannot be written: {error.strerror}") from None


def load_state(path: str | Path, backend: Backend) -> State:
    """The saved state on this backend, whichever backend wrote it.

    Raises:
        CheckpointError: missing, truncated, altered, of another program or version, of another dtype than
            the backend's, or vectors that do not fit together.
    """
    about, arrays = tensor_files.read(Path(path), FORMAT, VERSION, "state", CheckpointError)
    if about.get("dtype") != backend.dtype_name:
        raise CheckpointError(
            f"state {path} has dtype {brief(repr(about.get('dtype')))}, expected {backend.dtype_name}; get "
            f"the backend with it"
        )
    try:
        return _assemble(about, arrays, backend)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"state {path} does not fit together: {brief(error)}") from None


def _numbers(values: Any, *types: type) -> list[Any]:
    """The values if they are a list of numbers of these types (TypeError: they are not)."""
    if not isinstance(values, list) or any(type(value) not in types for value in values):
        raise TypeError(f"{brief(values, 60)} is no list of numbers")
    return values


def _assemble(about: dict[str, Any], arrays: dict[str, np.ndarray], backend: Backend) -> State:
    """The state from a file's parts (KeyError, TypeError, ValueError, OverflowError: they do not fit)."""
    rho = [float(r) for r in _numbers(about["rho"], int, float)]
    names = ["point", "gradient", *(f"{letter}_{i}" for i in range(len(rho)) for letter in "sy")]
    if set(arrays) != set(names):
        raise ValueError(f"vectors are named {sorted(arrays)}, expected {sorted(names)}")
    for name, array in arrays.items():
        if array.ndim != 1 or array.shape != arrays["point"].shape or str(array.dtype) != backend.dtype_name:
            raise ValueError(f"vector {name!r} has shape {array.shape} and dtype {array.dtype}")
    history = {name: _numbers(about["history"][name], int, float) for name in HISTORY}
    (value,) = _numbers([about["value"]], int, float)
    iterations, evaluations = _numbers([about["iterations"], about["evaluations"]], int)
    if {len(numbers) for numbers in history.values()} != {iterations + 1}:
        raise ValueError("the history has not an entry for the start and for each iteration")
    reason = None if about["reason"] is None else Reason(about["reason"])
    point, gradient, *steps = (backend.from_host(arrays[name].copy()) for name in names)
    pairs = [Pair(*pair) for pair in zip(steps[::2], steps[1::2], rho, strict=True)]
    return State(point, gradient, float(value), pairs, iterations, evaluations, history, reason)
