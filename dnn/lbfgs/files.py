"""A minimisation's state as one file (``dnn.io.safetensors``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend
from backends.errors import brief
from dnn.io import safetensors as tensor_files
from dnn.io.checkpoint import CheckpointError
from dnn.lbfgs.direction import Pair
from dnn.lbfgs.state import Reason, State

FORMAT = "array-api-dnn-lbfgs"
VERSION = 2


def save_state(state: State, path: str | Path, backend: Backend) -> None:
    """Write the state; an older file of that name is replaced whole.

    Raises:
        CheckpointError: the file cannot be written.
    """
    path = Path(path)
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
        tensor_files.write(path, FORMAT, VERSION, about, arrays)
    except OSError as error:
        raise CheckpointError(f"state {path} cannot be written: {error.strerror}") from None


def load_state(path: str | Path, backend: Backend) -> State:
    """The saved state on this backend, whichever backend wrote it.

    Raises:
        CheckpointError: missing, truncated, altered, of another program or version, of another dtype than
            the backend's, or vectors that do not fit together.
    """
    path = Path(path)
    about, arrays = tensor_files.read(path, FORMAT, VERSION, "state", CheckpointError)
    if about.get("dtype") != backend.dtype_name:
        raise CheckpointError(
            f"state {path} has dtype {brief(repr(about.get('dtype')))}, expected {backend.dtype_name}; get "
            f"the backend with it"
        )
    try:
        return _assemble(about, [float(r) for r in _numbers(about["rho"])], arrays, backend)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"state {path} does not fit together: {brief(error)}") from None


def _numbers(values: Any, kinds: tuple[type, ...] = (int, float)) -> list[Any]:
    """The values if they are a list of numbers.

    Raises:
        TypeError: they are not.
    """
    if not isinstance(values, list) or any(type(value) not in kinds for value in values):
        raise TypeError(f"{brief(values, 60)} is no list of numbers")
    return values


def _assemble(
    about: dict[str, Any], rho: list[float], arrays: dict[str, np.ndarray], backend: Backend
) -> State:
    """The state from a file's parts.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: something is missing or does not fit.
    """
    names = {"point", "gradient", *(f"{letter}_{i}" for letter in "sy" for i in range(len(rho)))}
    if set(arrays) != names:
        raise ValueError(f"vectors are named {sorted(arrays)}, expected {sorted(names)}")
    form = arrays["point"].shape
    for name, array in arrays.items():
        if array.ndim != 1 or array.shape != form or str(array.dtype) != backend.dtype_name:
            raise ValueError(f"vector {name!r} has shape {array.shape} and dtype {array.dtype}")
    vectors = {name: backend.from_host(array.copy()) for name, array in arrays.items()}
    history = {name: _numbers(about["history"][name]) for name in ("evaluations", "loss", "gradient_norm")}
    (value,) = _numbers([about["value"]])
    iterations, evaluations = _numbers([about["iterations"], about["evaluations"]], (int,))
    if {len(numbers) for numbers in history.values()} != {iterations + 1}:
        raise ValueError("the history has not an entry for the start and for each iteration")
    return State(
        vectors["point"],
        vectors["gradient"],
        float(value),
        [Pair(vectors[f"s_{i}"], vectors[f"y_{i}"], r) for i, r in enumerate(rho)],
        iterations,
        evaluations,
        history,
        None if about["reason"] is None else Reason(about["reason"]),
    )
