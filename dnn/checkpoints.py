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
from dnn.files import write_atomically
from dnn.layers import LAYERS, Layer
from dnn.model import Sequential
from dnn.names import look_up

FORMAT = "array-api-dnn"
VERSION = "1"


class CheckpointError(InputError):
    """A checkpoint that cannot be read, or that is of something else."""


def save_model(model: Sequential, path: str | Path) -> None:
    """Write the model's weights and architecture; an older file of that name is replaced whole.

    Raises:
        CheckpointError: the file cannot be written.
    """
    from safetensors.numpy import save

    path = Path(path)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "dtype": model.backend.dtype_name,
        "architecture": json.dumps(model.config()),
        "seed": str(model.seed),
        "epochs_done": str(model.epochs_done),
    }
    try:
        write_atomically(path, save(model.parameters.to_host(), metadata))
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be written: {error.strerror}") from None


def _read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """(metadata, named arrays).

    Raises:
        CheckpointError: missing, truncated, of another kind or of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} is not a file, expected a .safetensors file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read ({error}); it is truncated or no safetensors file"
        ) from None
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"checkpoint {path} has format {metadata.get('format')!r}, expected {FORMAT!r}")
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            f"checkpoint {path} has version {metadata.get('version')!r}, this release reads {VERSION!r}"
        )
    return metadata, arrays


def _architecture(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(metadata["architecture"])
        if not isinstance(config["input_shape"], list) or not isinstance(config["layers"], list):
            raise TypeError("input_shape and layers are not lists")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"checkpoint {path} has no readable architecture ({error})") from None
    return config


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
    return _read(Path(path))[0].get("dtype", "unknown")


def load_model(path: str | Path, backend: Backend) -> Sequential:
    """The saved model on this backend, compiled with its loss (and Adam) if it had one.

    The weights must be of the backend's dtype: nothing is rounded unasked.

    Raises:
        CheckpointError: no readable checkpoint, or one of another dtype.
        InputError: weights that do not fit the architecture.
    """
    path = Path(path)
    metadata, arrays = _read(path)
    config = _architecture(path, metadata)
    if metadata.get("dtype") != backend.dtype_name:
        raise CheckpointError(
            f"checkpoint {path} has dtype {metadata.get('dtype')}, expected {backend.dtype_name}; "
            f"get the backend with dtype={metadata.get('dtype')!r}"
        )
    try:
        model = Sequential(
            [_layer(path, layer) for layer in config["layers"]],
            input_shape=tuple(config["input_shape"]),
            backend=backend,
            seed=int(metadata.get("seed", "0")),
        )
        model.parameters.load(arrays)
        if config.get("loss") is not None:
            model.compile(loss=str(config["loss"]))
        model.epochs_done = int(metadata.get("epochs_done", "0"))
    except CheckpointError:
        raise
    except ValueError as error:  # InputError, or a number that is none
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
