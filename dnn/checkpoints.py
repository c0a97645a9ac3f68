"""Checkpoints: named weights in a safetensors file, the architecture as JSON in its metadata.

The format holds numbers and text only, so reading one runs no code. It is the same whichever backend
wrote it, and any backend reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.dispatch import FLOATS
from dnn.files import write_atomically
from dnn.layers import LAYERS, Layer
from dnn.losses import LOSSES
from dnn.model import Sequential
from dnn.names import look_up

FORMAT = "array-api-dnn"
"""Key of the one metadata entry (safetensors writes several in no fixed order): an object in JSON."""
VERSION = 1


class CheckpointError(InputError):
    """A checkpoint that cannot be read, or that is of something else."""


def save_model(model: Sequential, path: str | Path) -> None:
    """Write the model's weights and architecture; an older file of that name is replaced whole.

    Raises:
        CheckpointError: the file cannot be written.
    """
    from safetensors.numpy import save

    path = Path(path)
    facts = {
        "version": VERSION,
        "dtype": model.backend.dtype_name,
        **model.config(),
        "seed": model.seed,
        "epochs_done": model.epochs_done,
    }
    try:
        write_atomically(path, save(model.parameters.to_host(), {FORMAT: json.dumps(facts)}))
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be written: {error.strerror}") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(facts, named arrays).

    Raises:
        CheckpointError: missing, truncated, of another kind or of another version.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} is not a file, expected a .safetensors file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read ({error}); it is truncated or no safetensors file"
        ) from None
    try:
        facts = json.loads(metadata[FORMAT])
        version, dtype = facts["version"], facts["dtype"]
        if not isinstance(facts["input_shape"], list) or not isinstance(facts["layers"], list):
            raise TypeError("input_shape and layers are not lists")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {path} has no readable {FORMAT} metadata ({error}); it is of another program"
        ) from None
    if version != VERSION:
        raise CheckpointError(f"checkpoint {path} has version {version!r}, this release reads {VERSION}")
    if dtype not in FLOATS:
        raise CheckpointError(f"checkpoint {path} has dtype {dtype!r}, expected one of {', '.join(FLOATS)}")
    return facts, arrays


def _layer(path: Path, config: Any) -> Layer:
    if not isinstance(config, dict):
        raise CheckpointError(f"checkpoint {path} describes a layer as {config!r}")
    arguments = dict(config)
    kind = look_up("layer type", str(arguments.pop("type", None)), LAYERS)
    try:
        return kind(**arguments)
    except TypeError as error:
        raise CheckpointError(f"checkpoint {path} describes a layer wrongly: {error}") from None


def dtype_of(path: str | Path) -> str:
    """The float dtype of a checkpoint's weights.

    Raises:
        CheckpointError: no readable checkpoint.
    """
    dtype: str = _read(Path(path))[0]["dtype"]
    return dtype


def load_model(path: str | Path, backend: Backend) -> Sequential:
    """The saved model on this backend, compiled with its loss (and Adam) if it had one.

    The weights must be of the backend's dtype: nothing is rounded unasked.

    Raises:
        CheckpointError: no readable checkpoint, one of another dtype, or weights that do not fit the
            architecture.
    """
    path = Path(path)
    facts, arrays = _read(path)
    if facts["dtype"] != backend.dtype_name:
        raise CheckpointError(
            f"checkpoint {path} has dtype {facts['dtype']}, expected {backend.dtype_name}; "
            f"get the backend with dtype={facts['dtype']!r}"
        )
    try:
        model = Sequential(
            [_layer(path, layer) for layer in facts["layers"]],
            input_shape=tuple(facts["input_shape"]),
            backend=backend,
            seed=facts.get("seed", 0),
        )
        model.parameters.load(arrays)
        if facts.get("loss") is not None:
            loss = look_up("loss", str(facts["loss"]), LOSSES)
            model.compile(loss(**facts.get("loss_settings", {})))
        model.epochs_done = int(facts.get("epochs_done", 0))
    except CheckpointError:
        raise
    except (ValueError, TypeError, MemoryError) as error:  # InputError, or a number that is none
        raise CheckpointError(f"checkpoint {path} does not fit together: {error}") from None
    return model


def load_weights(model: Sequential, path: str | Path) -> None:
    """Set an existing model's weights from a checkpoint of the same architecture.

    Raises:
        CheckpointError: no readable checkpoint, or one of another architecture or dtype; the model's
            weights are as before.
    """
    _, arrays = _read(Path(path))
    try:
        model.parameters.load(arrays)
    except InputError as error:
        raise CheckpointError(f"checkpoint {path} is of another architecture: {error}") from None
