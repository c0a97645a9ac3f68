"""A minimisation's state as one safetensors file: numbers and text only, so reading it runs no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend
from dnn.checkpoints import CheckpointError
from dnn.files import write_atomically
from dnn.lbfgs.direction import Pair
from dnn.lbfgs.state import Reason, State

FORMAT = "array-api-dnn-lbfgs"
"""Key of the one metadata entry: an object in JSON, whose numbers come back with the same bits."""
VERSION = 1


def save_state(state: State, path: str | Path, backend: Backend) -> None:
    """Write the state; an older file of that name is replaced whole.

    Raises:
        CheckpointError: the file cannot be written.
    """
    from safetensors.numpy import save

    path = Path(path)
    vectors = {"point": state.point, "gradient": state.gradient}
    for i, pair in enumerate(state.pairs):
        vectors |= {f"s_{i}": pair.s, f"y_{i}": pair.y}
    facts = {
        "version": VERSION,
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
        write_atomically(path, save(arrays, {FORMAT: json.dumps(facts)}))
    except OSError as error:
        raise CheckpointError(f"state {path} cannot be written: {error.strerror}") from None


def load_state(path: str | Path, backend: Backend) -> State:
    """The saved state on this backend, whichever backend wrote it.

    Raises:
        CheckpointError: missing, truncated, of another program or version, of another dtype than the
            backend's, or vectors that do not fit together.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"state {path} is not a file, expected a .safetensors file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"state {path} cannot be read ({error}); it is truncated or no safetensors file"
        ) from None
    try:
        facts = json.loads(metadata[FORMAT])
        version, dtype, rho = facts["version"], facts["dtype"], [float(r) for r in facts["rho"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"state {path} has no readable {FORMAT} metadata ({error}); it is of another program"
        ) from None
    if version != VERSION:
        raise CheckpointError(f"state {path} has version {version!r}, this release reads {VERSION}")
    if dtype != backend.dtype_name:
        raise CheckpointError(
            f"state {path} has dtype {dtype!r}, expected {backend.dtype_name}; get the backend with it"
        )
    try:
        return _assemble(facts, rho, arrays, backend)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"state {path} does not fit together: {error}") from None


def _assemble(
    facts: dict[str, Any], rho: list[float], arrays: dict[str, np.ndarray], backend: Backend
) -> State:
    """The state from a file's parts.

    Raises:
        KeyError, TypeError, ValueError: something is missing or does not fit.
    """
    names = {"point", "gradient", *(f"{letter}_{i}" for letter in "sy" for i in range(len(rho)))}
    if set(arrays) != names:
        raise ValueError(f"vectors are named {sorted(arrays)}, expected {sorted(names)}")
    form = arrays["point"].shape
    for name, array in arrays.items():
        if array.ndim != 1 or array.shape != form or str(array.dtype) != backend.dtype_name:
            raise ValueError(f"vector {name!r} has shape {array.shape} and dtype {array.dtype}")
    vectors = {name: backend.from_host(array.copy()) for name, array in arrays.items()}
    history = {name: list(facts["history"][name]) for name in ("evaluations", "loss", "gradient_norm")}
    if {len(numbers) for numbers in history.values()} != {int(facts["iterations"]) + 1}:
        raise ValueError("the history has not an entry for the start and for each iteration")
    return State(
        vectors["point"],
        vectors["gradient"],
        float(facts["value"]),
        [Pair(vectors[f"s_{i}"], vectors[f"y_{i}"], r) for i, r in enumerate(rho)],
        int(facts["iterations"]),
        int(facts["evaluations"]),
        history,
        None if facts["reason"] is None else Reason(facts["reason"]),
    )
