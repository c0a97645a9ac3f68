"""Export of networks to ONNX models: graph and metadata."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.errors import report_unavailable, reraise
from dnn import __version__
from dnn.interop.onnx.graph import FILE_DTYPE, Value, Writer
from dnn.interop.onnx.layers import write_layers
from dnn.io.atomic_files import write_atomically
from dnn.layers import Layer
from dnn.layers.layer import Shape
from dnn.sequential import Sequential
from dnn.settings.checks import (
    is_text,
    look_up,
    require,
    require_bool,
    require_kind,
    require_list,
    require_path,
)

PRODUCER = "array-api-dnn"
OPSET_VERSION = 20
"""First operator set with Gelu."""
IR_VERSION = 9
"""Version of the file format at the time of OPSET_VERSION."""
INPUT_DTYPES = {FILE_DTYPE: 1, "uint8": 2, "int64": 7}
"""dtype of x -> its number in ONNX's TensorProto.DataType."""


def write_network(
    layers: Sequence[Layer], input_shape: Shape, input_dtype: str | None = None, output: str = "outputs"
) -> Any:
    """Return the onnx.ModelProto of built layers, from "x" to the output of this name.

    Args:
        input_shape: of one example.
        input_dtype: None: "int64" before an Embedding, else "float32".

    Raises BackendUnavailable: the package onnx is not installed.
    """
    with report_unavailable("onnx"):
        import onnx
    helper = onnx.helper
    graph = onnx.GraphProto(name="network")
    write = Writer(graph, layers[-1], "")
    wanted = FILE_DTYPE if layers[0].n_categories is None else "int64"
    x = Value("x", input_shape)
    if input_dtype not in (None, wanted):
        x = write.node("Cast", x, shape=input_shape, to=INPUT_DTYPES[wanted])
    y = write.to_channels_last(write_layers(write, layers, x))
    graph.node.append(helper.make_node("Identity", [y.name], [output], name=output))
    info = helper.make_tensor_value_info
    graph.input.append(info("x", INPUT_DTYPES[input_dtype or wanted], ["batch", *input_shape]))
    graph.output.append(info(output, INPUT_DTYPES[FILE_DTYPE], ["batch", *y.shape]))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET_VERSION)], ir_version=IR_VERSION,
        producer_name=PRODUCER, producer_version=__version__,
    )  # fmt: skip


def to_onnx(
    model: Sequential, *, input_dtype: str | None = None, logits: bool = False,
    class_names: Sequence[str] | None = None, metadata: Mapping[str, str] | None = None,
) -> Any:  # fmt: skip
    """Convert a model to an ``onnx.ModelProto`` in evaluation mode (no dropout, no augmentation).

    Weights are rounded to float32.

    The model's input "x" (batch, \\*input_shape) and output (batch, C) are those of ``predict``. The output
    is named "probabilities" after a softmax or sigmoid, else "outputs". Nodes and weights have the layers'
    names.

    Args:
        input_dtype: of x: "float32", "uint8" (raw pixels) or "int64"; None: "int64" before an Embedding, else
            "float32". The dtype does not change what a value means.
        logits: leave out the last activation; the output is then named "logits".
        class_names: C names, stored as JSON under "class_names" in the file's metadata.
        metadata: further metadata, such as {"preset": "cnn"}.

    Raises:
        NoTwin: a custom layer or activation without nodes in ``LAYER_NODES`` or ``ACTIVATION_NODES``.
        InputError: an invalid argument.
        BackendUnavailable: the package onnx is not installed.
    """
    require_kind("model", model, Sequential)
    look_up("input_dtype", input_dtype or FILE_DTYPE, INPUT_DTYPES)
    require_bool("logits", logits)
    require_kind("metadata", metadata, Mapping, None)
    about = dict(metadata or {})
    require(all(map(is_text, [*about, *about.values()])), "metadata", metadata, "text under names")
    if class_names is not None:
        require_list("class_names", class_names)
        n = max(2, model.outputs)  # one output: a negative and a positive class
        fit = len(class_names) == n and all(map(is_text, class_names))
        require(fit, "class_names", class_names, f"{n} names")
        about["class_names"] = json.dumps(list(class_names))
    is_probability = model.layers[-1].activation in ("softmax", "sigmoid")
    output = "logits" if logits else "probabilities" if is_probability else "outputs"
    layers = model.layers if logits else [*model.layers, model.last_activation]
    made = write_network(layers, model.input_shape, input_dtype, output)
    for key, text in about.items():
        made.metadata_props.add(key=key, value=text)
    return made


def save_onnx(model: Sequential, path: str | Path, **options: Any) -> None:
    """Write ``to_onnx(model, **options)`` to a file atomically, replacing an existing one.

    Raises InputError: the file cannot be written.
    """
    content = to_onnx(model, **options).SerializeToString()
    with reraise(OSError, f"ONNX file {path} cannot be written:"):
        write_atomically(require_path("path", path), content)
