"""safetensors files of ours: named arrays, and one JSON text in the metadata, under a checksum.

The format holds numbers and text only, so reading one runs no code; it does not notice a flipped bit, the
checksum does. A checkpoint, the file of a model, holds named weights and the architecture.
"""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backends.dispatch import FLOAT_DTYPES
from backends.errors import InputError, reraise, shorten
from dnn.io.atomic_files import write_atomically

FORMAT = "array-api-dnn"  # of checkpoints
VERSION = 1
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
"""What safetensors calls NumPy's."""


def _file_layout(array: np.ndarray) -> np.ndarray:
    """The array itself where it lies as it does in a file: in rows, the low byte first."""
    # Not ascontiguousarray: it makes a vector of a single number.
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _checksum(text: str, arrays: Mapping[str, np.ndarray]) -> int:
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(_file_layout(arrays[name]).data, value)
    return value


def write(
    path: Path, key: str, version: int, about: Mapping[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Write a file, whole or not at all: a length, a header in JSON, and the numbers.

    The arrays are written from where they are: safetensors' own ``save`` copies them twice, which was a third
    of what saving costs a training. ``key``, the kind of file, is that of the one metadata entry (safetensors
    writes several in no fixed order), ``about`` are JSON values.
    Raises OSError: it cannot be written; nothing is left behind.
    """
    text = json.dumps(about)
    facts = {"version": version, "crc32": _checksum(text, arrays), "about": text}
    header: dict[str, Any] = {"__metadata__": {key: json.dumps(facts)}}
    parts = []
    end = 0
    # Wide types first, as safetensors orders them: then all numbers lie at multiples of their size.
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        begin = end
        end += array.nbytes
        kind = DTYPES[array.dtype.name]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
        parts.append(_file_layout(array).data)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    write_atomically(path, len(head).to_bytes(8, "little") + head, *parts)


def read(
    path: Path, key: str, version: int, what: str, refuse: type[InputError]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(about, arrays) of a file that ``write`` wrote; ``what`` is the kind of file in words.
    Raises ``refuse``: missing, truncated, altered, of another kind or version.
    """
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):  # unlike Path.is_file, False where a name is too long or a folder closed
        raise refuse(f"{what} {path} is not a file, expected a .safetensors file")
    kinds = SafetensorError, OSError, ValueError, TypeError, AttributeError
    got = f"{what} {path} cannot be read"
    cure = "it is truncated or no safetensors file"
    with reraise(kinds, got, "", cure, refuse), safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    got = f"{what} {path} has no readable {key} metadata"
    cure = "it is of another program"
    with reraise((KeyError, TypeError, ValueError, RecursionError), got, "", cure, refuse):
        facts = json.loads(metadata[key])
        found = facts["version"]
        expected = facts["crc32"]
        text = str(facts["about"])
        text.encode()  # JSON may escape halves of characters, which are no text
        about = json.loads(text) if found == version else {}
        if not isinstance(about, dict):
            raise TypeError("it is no object")
    if found != version:
        raise refuse(f"{what} {path} has version {shorten(repr(found))}, this release reads {version}")
    if _checksum(text, arrays) != expected:
        raise refuse(f"{what} {path} was altered: its contents do not have its checksum")
    return about, arrays


class CheckpointError(InputError):
    """A checkpoint that cannot be read, or that is of something else."""


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(facts, named arrays). CheckpointError: missing, truncated, altered, of another kind or version."""
    facts, arrays = read(path, FORMAT, VERSION, "checkpoint", CheckpointError)
    if not isinstance(facts.get("input_shape"), list) or not isinstance(facts.get("layers"), list):
        raise CheckpointError(f"checkpoint {path} does not fit: input_shape and layers are no lists")
    if facts.get("dtype") not in FLOAT_DTYPES:
        got = f"checkpoint {path} has dtype {shorten(repr(facts.get('dtype')))}"
        raise CheckpointError(got, f"one of {', '.join(FLOAT_DTYPES)}")
    return facts, arrays
