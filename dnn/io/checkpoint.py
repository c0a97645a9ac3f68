"""A checkpoint file: named weights in safetensors, the architecture as JSON in its metadata.

It is the same whichever backend wrote it, and any backend reads it. What the architecture says is
``dnn.checkpoints``' business.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backends import InputError
from backends.dispatch import FLOATS
from backends.errors import brief
from dnn.io import safetensors

FORMAT, VERSION = "array-api-dnn", 2


class CheckpointError(InputError):
    """A checkpoint that cannot be read, or that is of something else."""


def write_checkpoint(path: Path, facts: Mapping[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write a checkpoint, whole or not at all. Raises CheckpointError: the file cannot be written."""
    try:
        safetensors.write(path, FORMAT, VERSION, facts, arrays)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be written: {error.strerror}") from None


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(facts, named arrays).
    Raises CheckpointError: missing, truncated, altered, of another kind or version.
    """
    facts, arrays = safetensors.read(path, FORMAT, VERSION, "checkpoint", CheckpointError)
    if not isinstance(facts.get("input_shape"), list) or not isinstance(facts.get("layers"), list):
        raise CheckpointError(f"checkpoint {path} does not fit: input_shape and layers are no lists")
    if facts.get("dtype") not in FLOATS:
        got = f"checkpoint {path} has dtype {brief(repr(facts.get('dtype')))}"
        raise CheckpointError(f"{got}, expected one of {', '.join(FLOATS)}")
    return facts, arrays
