"""Back from an ONNX file of ours to the network.

The layers stand in the file's metadata, the weights in its graph. What comes back is written again, and must
be the file that was read: so it does what the file's nodes do, and no byte was altered.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, InputError, get_backend
from backends.errors import UnknownName, brief
from dnn.interop.onnx.graph import DTYPE, onnx_module
from dnn.interop.onnx.write import CLASS_NAMES, PROJECT, VERSION, network_graph, to_onnx
from dnn.layers import Block
from dnn.sequential import Sequential
from dnn.validation.settings import positive_integer, require_kind


class ONNXError(InputError):
    """An ONNX file that cannot be read, or that is of another program."""


def _parsed(source: Any) -> tuple[str, Any]:
    """(what it is in words, onnx.ModelProto)."""
    onnx = onnx_module()
    require_kind("source", source, str, Path, bytes, onnx.ModelProto)
    what = f"ONNX file {source}" if isinstance(source, (str, Path)) else "ONNX model"
    if isinstance(source, (str, Path)):
        if not os.path.isfile(source):  # also no pipe, which would be waited for
            raise ONNXError(f"{what} is not a file, expected one that save_onnx wrote")
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            raise ONNXError(f"{what} cannot be read ({error.strerror})") from None
    try:
        found = onnx.ModelProto.FromString(source) if isinstance(source, bytes) else source
        texts = [found.producer_name, found.producer_version, *(t.name for t in found.graph.initializer)]
        texts += [text for entry in found.metadata_props for text in (entry.key, entry.value)]
        if not all(isinstance(text, str) for text in texts):  # of what is none, protobuf gives the bytes
            raise ValueError("a text in it is none")
    except Exception as error:  # protobuf's DecodeError, of a package that is not ours to import
        raise ONNXError(f"{what} cannot be read ({brief(error)}); it is truncated or no ONNX file") from None
    return what, found


def _facts(what: str, found: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """(what we wrote about the network, the rest of the metadata)."""
    rest = {entry.key: entry.value for entry in found.metadata_props}
    if PROJECT not in rest:
        raise ONNXError(
            f"{what} is of {brief(found.producer_name) or 'another program'}, expected one that save_onnx "
            f"wrote: of other programs' graphs nothing is read"
        )
    try:
        facts = json.loads(rest.pop(PROJECT))
        version = facts["version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ONNXError(f"{what} has no readable {PROJECT} metadata ({brief(error)})") from None
    if version != VERSION:
        raise ONNXError(f"{what} has version {brief(repr(version))}, this release reads {VERSION}")
    return facts, rest


def _options(what: str, facts: Mapping[str, Any], rest: Mapping[str, str]) -> dict[str, Any]:
    more = dict(rest)
    try:
        names = json.loads(more.pop(CLASS_NAMES, "null"))
    except (ValueError, RecursionError) as error:
        raise ONNXError(f"{what} has no readable {CLASS_NAMES} ({brief(error)})") from None
    return {"input_dtype": facts.get("input_dtype"), "logits": facts.get("logits"), "class_names": names,
            "metadata": more or None}  # fmt: skip


def export_options(source: Any) -> dict[str, Any]:
    """The arguments with which a file was written: ``to_onnx(from_onnx(source), **export_options(source))``
    is the same file again. "class_names" are the names of the classes, or None.
    Raises ONNXError: as ``from_onnx``.
    """
    what, found = _parsed(source)
    return _options(what, *_facts(what, found))


def _network(facts: Mapping[str, Any], backend: Backend, tensors: Mapping[str, Any]) -> Sequential:
    """The model, with the weights of the tensors. Raises an error of many kinds: they do not fit together."""
    block = Block(facts["layers"])
    shape = tuple(positive_integer("input_shape", n) for n in facts["input_shape"])
    block.shape_after(shape)
    for name, form in block.parameter_shapes().items():  # before anything of their size is made
        if name not in tensors or sorted(tensors[name].dims) != sorted(form):
            got = f"of shape {brief(list(tensors[name].dims))}" if name in tensors else "missing"
            raise InputError(f"weights {brief(name)} are {got}, expected shape {form} in some order")
    model = Sequential(block.layers, input_shape=shape, backend=backend)
    values = model.parameters.to_host()
    for name, axes in network_graph(
        model.layers, model.input_shape, str(facts["input_dtype"]), facts["logits"] is True
    ).axes.items():
        form = tuple(values[name].shape[axis] for axis in axes)
        array = np.frombuffer(tensors[name].raw_data, dtype="<f4").reshape(form)
        values[name] = np.ascontiguousarray(array.transpose(np.argsort(axes)), dtype=DTYPE)
    model.parameters.load(values)
    return model


def from_onnx(source: Any, backend: Backend | str = "auto") -> Sequential:
    """The network in an ONNX file that ``save_onnx`` wrote: layers, names and weights bit by bit.

    It is not compiled: what it was trained for is not in such a file, as it is in a checkpoint.

    Args:
        source: a path, the bytes of a file, or an ``onnx.ModelProto``.
        backend: where the model lives, in float32, or its name.

    Raises:
        ONNXError: no readable file, one of another program or version, or one that was altered.
        BackendUnavailable: the package onnx is not installed.
    """
    what, found = _parsed(source)
    facts, rest = _facts(what, found)
    options = _options(what, facts, rest)
    backend = get_backend(backend, dtype=DTYPE) if isinstance(backend, str) else backend
    if require_kind("backend", backend, Backend).dtype_name != DTYPE:
        raise InputError(f"backend is of {backend.dtype_name}, expected {DTYPE}, as ONNX files are")
    tensors = {tensor.name: tensor for tensor in found.graph.initializer}
    try:
        model = _network(facts, backend, tensors)
        again = to_onnx(model, **options)
    except UnknownName as error:
        raise ONNXError(
            f"{what} needs a part that is not known here: {brief(error, 400)}; a part of your own is "
            f"imported and registered before (@dnn.register)"
        ) from None
    except (KeyError, ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise ONNXError(f"{what} does not fit together: {brief(error, 400)}") from None
    again.producer_version = found.producer_version
    if again.SerializeToString() != found.SerializeToString():
        raise ONNXError(
            f"{what} was altered: its nodes or weights are not those of its layers, expected it as save_onnx "
            f"wrote it"
        )
    return model
