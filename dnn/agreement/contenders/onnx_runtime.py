"""ONNX Runtime as a contender: it runs our networks, exported by ``dnn.interop.onnx``, on the CPU.

It computes only the forward pass in evaluation mode. So it is compared at L0 to L2, without gradients and
without the results of training mode.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends import Array, Backend, BackendUnavailable
from backends.errors import install_command
from dnn.agreement.contenders.contender import Contender, Passes, Tensors
from dnn.interop.onnx import to_onnx
from dnn.interop.onnx.graph import FILE_DTYPE
from dnn.interop.onnx.write import write_network
from dnn.layers import Layer
from dnn.parameters import Parameters
from dnn.sequential import Sequential


def import_runtime() -> Any:
    """Import onnxruntime. Raises BackendUnavailable: onnx or onnxruntime is not installed."""
    try:
        import onnx  # noqa: F401  (writes the files)
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(f"onnxruntime cannot run ({error}); {install_command('onnx')}") from None
    return onnxruntime


def open_session(model: Any) -> Callable[[np.ndarray], list[Array]]:
    """Load an ONNX model; return the function of x (B, ...) that computes all its outputs.

    It uses one thread, since the models here are small.
    """
    ort = import_runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # only errors; unused outputs would give warnings
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    kind = source.type.removeprefix("tensor(").removesuffix(")")
    dtype = FILE_DTYPE if kind == "float" else kind
    return lambda x: session.run(None, {source.name: x.astype(dtype)})


class OnnxContender(Contender):
    """onnxruntime. The NumPy Backend holds its inputs and outputs."""

    is_partial = True

    def __init__(self, name: str, open_backend: Callable[[str], Backend]) -> None:
        import_runtime()
        super().__init__(name, open_backend)

    def layer_tensors(self, layer: Layer, parameters: Parameters, passes: Passes) -> Tensors:
        if layer.uses_batch_statistics:  # NumPy computes the running averages
            for _, x, _ in passes:
                layer.reserve(len(x), training=True)
                layer.forward(x, training=True)
        run = open_session(write_network([layer], layer.input_shape))
        for suffix, x, _ in passes:
            if not (layer.random or layer.uses_batch_statistics):
                yield f"y{suffix}", run(x)[0]
        yield "y in evaluation", run(x)[0]

    def tensors(self, model: Sequential, x: Array, y: Array) -> Tensors:
        made = to_onnx(model, logits=model.objective.activation is not None)
        yield "outputs", open_session(made)(x)[0]
