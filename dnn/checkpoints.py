"""Checkpoints: named weights in a safetensors file, the architecture as JSON in its metadata.

The format holds numbers and text only, so reading one runs no code. It is the same whichever backend
wrote it, and any backend reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.dispatch import FLOATS
from backends.errors import brief
from dnn import tensor_files
from dnn.layers import LAYERS, Layer
from dnn.losses import LOSSES
from dnn.model import Sequential
from dnn.names import look_up

FORMAT, VERSION = "array-api-dnn", 2


class CheckpointError(InputError):
    """A checkpoint that cannot be read, or that is of something else."""


def save_model(model: Sequential, path: str | Path) -> None:
    """Write the model's weights and architecture; an older file of that name is replaced whole.

    Raises:
        CheckpointError: the file cannot be written.
    """
    path = Path(path)
    facts = {
        "dtype": model.backend.dtype_name,
        **model.config(),
        "seed": model.seed,
        "epochs_done": model.epochs_done,
    }
    try:
        tensor_files.write(path, FORMAT, VERSION, facts, model.parameters.to_host())
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be written: {error.strerror}") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(facts, named arrays).

    Raises:
        CheckpointError: missing, truncated, altered, of another kind or version.
    """
    facts, arrays = tensor_files.read(path, FORMAT, VERSION, "checkpoint", CheckpointError)
    if not isinstance(facts.get("input_shape"), list) or not isinstance(facts.get("layers"), list):
        raise CheckpointError(f"checkpoint {path} does not fit: input_shape and layers are no lists")
    if facts.get("dtype") not in FLOATS:
        raise CheckpointError(
            f"checkpoint {path} has dtype {brief(repr(facts.get('dtype')))}, expected one of "
            f"{', '.join(FLOATS)}"
        )
    return facts, arrays


def _layer(path: Path, config: Any) -> Layer:
    if not isinstance(config, dict):
        raise CheckpointError(f"checkpoint {path} describes a layer as {brief(repr(config))}")
    arguments = dict(config)
    kind = look_up("layer type", str(arguments.pop("type", None)), LAYERS)
    try:
        return kind(**arguments)
    except TypeError as error:
        raise CheckpointError(f"checkpoint {path} describes a layer wrongly: {brief(error)}") from None


def dtype_of(path: str | Path) -> str:
    """The float dtype of a checkpoint's weights.

    Raises:
        CheckpointError: no readable checkpoint.
    """
    dtype: str = _read(Path(path))[0]["dtype"]
    return dtype


def load_model(path: str | Path, backend: Backend, allow_nonfinite: bool = False) -> Sequential:
    """The saved model on this backend, compiled with its loss (and Adam) if it had one.

    The weights must be of the backend's dtype: nothing is rounded unasked.

    Args:
        allow_nonfinite: take weights that hold NaN or infinity too.

    Raises:
        CheckpointError: no readable checkpoint, one of another dtype, or weights that do not fit the
            architecture or are no finite numbers.
    """
    path = Path(path)
    facts, arrays = _read(path)
    if facts["dtype"] != backend.dtype_name:
        raise CheckpointError(
            f"checkpoint {path} has dtype {facts['dtype']}, expected {backend.dtype_name}; "
            f"get the backend with dtype={facts['dtype']!r}"
        )
    broken = [name for name in sorted(arrays) if not np.all(np.isfinite(arrays[name]))]
    if broken and not allow_nonfinite:
        raise CheckpointError(
            f"checkpoint {path} holds NaN or infinity in {broken[0]}: its training diverged; take it all "
            f"the same with allow_nonfinite=True (--allow-nonfinite)"
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
            model.compile(loss(**facts["loss_settings"]))
        model.epochs_done = int(facts.get("epochs_done", 0))
    except CheckpointError:
        raise
    except (KeyError, ValueError, TypeError, MemoryError) as error:  # InputError, or a number that is none
        raise CheckpointError(f"checkpoint {path} does not fit together: {brief(error, 400)}") from None
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
