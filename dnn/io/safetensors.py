"""Safetensors files with named arrays, one JSON text in the metadata, and a checksum.

The format contains numbers and text only, so reading a file runs no code. The checksum detects flipped bits,
which the format does not. A checkpoint, the file of a model, contains named weights and the architecture.
"""

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from backends.errors import InputError, reraise, shorten
from dnn.io.atomic_files import write_atomically
from dnn.typing import HostArrays, Json

FORMAT = "array-api-dnn"  # of checkpoints
VERSION = 1
RELEASE = "0.1.0"  # the first one that reads the current version of each kind of file


def _checksum(text: str, arrays: HostArrays) -> int:
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(arrays[name].data, value)
    return value


def encode(key: str, version: int, facts: Json, arrays: HostArrays) -> bytes:
    """Return the content of a file.

    Args:
        key: kind of file, the key of the only metadata entry; safetensors writes several entries in no fixed
            order.
        version: of the format.
        facts: JSON values to store.
        arrays: by name.
    """
    from safetensors.numpy import save

    text = json.dumps(facts)
    # Little-endian, as the format. Not ascontiguousarray, which turns a 0-d array into a vector.
    ordered = {n: np.asarray(a, a.dtype.newbyteorder("<"), order="C") for n, a in arrays.items()}
    header = {"version": version, "crc32": _checksum(text, ordered), "about": text}
    content: bytes = save(ordered, {key: json.dumps(header)})
    return content


def write(
    path: Path, key: str, version: int, facts: Json, arrays: HostArrays,
    check: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Write a file atomically; ``check`` as in ``write_atomically``.

    Raises OSError: it cannot be written; no temporary file remains.
    """
    write_atomically(path, encode(key, version, facts, arrays), check)


def read(
    path: Path, key: str, version: int, what: str, error_type: type[InputError]
) -> tuple[Json, HostArrays]:
    """Return (facts, arrays) of a file from ``write``.

    Args:
        path, key, version: as in ``write``.
        what: kind of file, for messages.
        error_type: type of the errors.
    Raises ``error_type``: missing, truncated, corrupt, or of another kind or version.
    """
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):  # Path.is_file raises if a name is too long or a folder is not accessible
        raise error_type(f"{what} {path} is not a file, expected a .safetensors file")
    kinds = SafetensorError, ValueError, TypeError, AttributeError, KeyError, RecursionError
    got = f"{what} {path} cannot be read"
    cure = "it is truncated, or another program wrote it"
    with (
        reraise(OSError, got, error_type=error_type),
        path.open("rb"),  # Python's error says more than safetensors'
        reraise(kinds, got, "", cure, error_type),
        safe_open(path, framework="numpy") as file,
    ):
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads((file.metadata() or {})[key])
        found = header["version"]
        expected = header["crc32"]
        text = str(header["about"])
        text.encode()  # fails for lone surrogates, which JSON can escape
        facts = json.loads(text) if found == version else {}
        if not isinstance(facts, dict):
            raise TypeError("it is not a JSON object")
    if found != version:
        got = f"{what} {path} has version {shorten(repr(found))}, this release reads {version}"
        raise error_type(got, cure=cure_for_version(found, version))
    if _checksum(text, arrays) != expected:
        raise error_type(f"{what} {path} was altered: its contents do not have its checksum")
    return facts, arrays


def cure_for_version(found: object, version: int) -> str:
    """Return the cure for a file of format number ``found``: which version of this package reads it."""
    is_older = isinstance(found, int) and found < version
    return f"a version of array-api-dnn from {'before' if is_older else 'after'} {RELEASE} reads it"


class CheckpointError(InputError):
    """A checkpoint cannot be read or written, or does not fit."""


def read_checkpoint(path: Path) -> tuple[Json, HostArrays]:
    """Return (facts, named arrays) of a checkpoint.

    Raises CheckpointError: missing, truncated, corrupt, or of another kind or version.
    """
    return read(path, FORMAT, VERSION, "checkpoint", CheckpointError)
