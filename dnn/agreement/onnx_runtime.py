"""ONNX Runtime as a contender: it runs our networks, exported by ``dnn.interop.onnx``, on the CPU.

It computes only the forward pass in evaluation mode. So it is compared at L0 to L2, without gradients and
without the results of training mode.
"""

from collections.abc import Collection, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np

from backends import Array, Backend, BackendUnavailable
from backends.errors import install_command
from dnn.agreement.cases import Case
from dnn.agreement.contender import Contender, LayerPasses, Network, Tensors
from dnn.interop.onnx import ACTIVATION_NODES, LAYER_NODES, NoNodes, to_onnx
from dnn.interop.onnx.graph import FILE_DTYPE
from dnn.interop.onnx.write import network_graph
from dnn.interop.torch.twins import NoTwin
from dnn.layers import Layer
from dnn.losses import get_loss
from dnn.parameters import Parameters


def import_runtime() -> Any:
    """Import onnxruntime. Raises BackendUnavailable: onnx or onnxruntime is not installed."""
    try:
        import onnx  # noqa: F401  (writes the files)
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(f"onnxruntime cannot run ({error}); {install_command('onnx')}") from None
    return onnxruntime


class Session:
    """An ONNX model loaded by ONNX Runtime. It uses one thread, since the models here are small."""

    def __init__(self, model: Any) -> None:
        ort = import_runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # only errors; unused outputs would give warnings
        content = model.SerializeToString()
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def __call__(self, x: np.ndarray) -> list[Array]:
        """Return all outputs for x (B, ...), cast to the model's input dtype."""
        (given,) = self._session.get_inputs()
        kind = given.type.removeprefix("tensor(").removesuffix(")")
        x = x.astype(FILE_DTYPE if kind == "float" else kind)
        found: list[Array] = self._session.run(None, {given.name: x})
        return found


class OnnxNetwork(Network):
    """The case's model as two files: the usual one, and one that also outputs z of each layer."""

    load = state = repeat = step = Contender.raise_no_twin  # type: ignore[assignment]

    def __init__(self, owner: Contender, case: Case) -> None:
        super().__init__(owner, case)
        try:
            made = to_onnx(self.model, logits=get_loss(case.loss).activation is not None)
        except NoNodes as error:
            raise NoTwin(str(error)) from None
        self.session = Session(made)
        self.products = {n.output[0]: f"z {n.input[1].removesuffix('.W')}" for n in made.graph.node
                         if n.op_type == "Gemm"}  # fmt: skip
        # A second file, since ONNX Runtime cannot fuse a node with the next one if its result is an output.
        for name in set(self.products) - {made.graph.output[0].name}:
            made.graph.output.add().name = name
        self.inside = Session(made)
        self.order = [value.name for value in made.graph.output]

    def tensors(self, x: Array, y: Array) -> Tensors:
        yield "outputs", self.session(x)[0]
        for name, array in zip(self.order, self.inside(x), strict=True):
            if name in self.products:
                yield self.products[name], array


class OnnxContender(Contender):
    """onnxruntime. The NumPy Backend holds its inputs and outputs."""

    trains = False

    @cached_property
    def backend(self) -> Backend:
        import_runtime()
        return super().backend

    def counterparts(self) -> Mapping[str, Collection[str]]:
        return {"activation": ACTIVATION_NODES, "layer": LAYER_NODES}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "onnxruntime": import_runtime().__version__}

    def open_layer(self, layer: Layer, parameters: Parameters) -> LayerPasses:
        @cache
        def session() -> Session:
            try:
                return Session(network_graph([layer], layer.input_shape).as_model({}))
            except NoNodes as error:
                raise NoTwin(str(error)) from None

        def train(x: Array, dy: Array) -> Tensors:
            if layer.uses_batch_statistics:  # NumPy computes the running averages
                layer.reserve(len(x), training=True)
                layer.forward(x, training=True)
            elif not layer.random:
                yield "y", session()(x)[0]

        def evaluate(x: Array) -> Tensors:
            yield "y in evaluation", session()(x)[0]

        return train, evaluate

    def open(self, case: Case) -> OnnxNetwork:
        return OnnxNetwork(self, case)
