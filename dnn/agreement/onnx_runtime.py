"""ONNX Runtime as a contender: our networks as ONNX files (``dnn.interop.onnx``), run by it on the CPU.

It computes forward alone, as in evaluation, so it is in L0 to L2 and answers there with NOTHING for
gradients and for what a layer makes in training.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from backends import Array, Backend, BackendUnavailable
from backends.errors import install
from backends.reference import ACTIVATIONS
from dnn.agreement.cases import Case
from dnn.agreement.contender import Batches, Contender, Network, built
from dnn.agreement.state import NOTHING, Named
from dnn.interop.onnx import ACTIVATION_NODES, LAYER_NODES, NoNodes, to_onnx
from dnn.interop.onnx.graph import DTYPE
from dnn.interop.onnx.write import network_graph
from dnn.interop.torch.twins import NoTwin
from dnn.layers import LAYERS, Layer
from dnn.losses import get_loss


def runtime() -> Any:
    """The package onnxruntime. Raises BackendUnavailable: it is not installed."""
    try:
        import onnx  # noqa: F401  (what writes the files)
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(f"onnxruntime cannot run ({error}); {install('onnx')}") from None
    return onnxruntime


class Session:
    """An ONNX model that is loaded; one thread, since what is asked here is small."""

    def __init__(self, model: Any) -> None:
        ort = runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors: an unused output is no news
        content = model.SerializeToString()
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def __call__(self, x: np.ndarray) -> list[Array]:
        """All outputs for x (B, ...), in the dtype that the model takes."""
        (given,) = self._session.get_inputs()
        kind = given.type.removeprefix("tensor(").removesuffix(")")
        x = x.astype(DTYPE if kind == "float" else kind)
        found: list[Array] = self._session.run(None, {given.name: x})
        return found


def _refuse(self: Any, *_: Any, **__: Any) -> Any:
    raise NoTwin(f"{self.name} computes forward alone")


FORWARD_ALONE: Any = _refuse


class OnnxNetwork(Network):
    """The case's model as two files: one as users have it, one that also returns each product."""

    load = state = repeat = step = FORWARD_ALONE

    def __init__(self, owner: Contender, case: Case) -> None:
        super().__init__(owner, case)
        model = case.model(self.backend)
        self.parameters = list(model.parameters.value)
        try:
            made = to_onnx(model, logits=get_loss(case.loss).activation is not None)
        except NoNodes as error:
            raise NoTwin(str(error)) from None
        self.session = Session(made)
        products = {n.input[1].removesuffix(".W"): n.output[0] for n in made.graph.node
                    if n.op_type in ("Gemm", "Conv")}  # fmt: skip
        self.products = {x.name: (products[x.name], x.output_shape) for x in model.layers if x.value}
        # In a file of its own, since what is returned cannot be one with the next node.
        for name in {name for name, _ in self.products.values()} - {made.graph.output[0].name}:
            made.graph.output.add().name = name
        self.inside = Session(made)
        self.order = [value.name for value in made.graph.output]

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.receive("outputs", self.session(x)[0], (len(x), self.case.classes))

    def pre_activations(self, x: np.ndarray) -> Named:
        found = dict(zip(self.order, self.inside(x), strict=True))
        z: Named = {}
        for layer, (name, shape) in self.products.items():
            last = np.moveaxis(found[name], 1, -1)  # the channels
            z[layer] = self.receive(f"z {layer}", last, (len(x), *shape))
        return z

    def gradients(self, x: np.ndarray, y: np.ndarray) -> Named:
        return dict.fromkeys(self.parameters, NOTHING)


class OnnxContender(Contender):
    """onnxruntime; the NumPy Backend holds what goes in and comes out."""

    trains = False
    evaluate = loss = fit = accuracy = FORWARD_ALONE

    @cached_property
    def backend(self) -> Backend:
        runtime()
        return super().backend

    def missing_parts(self) -> list[str]:
        tables: tuple[tuple[str, Iterable[str], Collection[str]], ...] = (
            ("activation", ACTIVATIONS, ACTIVATION_NODES),
            ("layer", LAYERS, LAYER_NODES),
        )
        return [f"{kind} {name!r}" for kind, ours, nodes in tables for name in ours if name not in nodes]

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "onnxruntime": runtime().__version__}

    def use(
        self, layer: Layer, shape: tuple[int, ...], values: Mapping[str, np.ndarray], batches: Batches
    ) -> Named:
        parameters = built(layer, shape, self.backend, values)
        gradients = ["dx", *(f"d{short}" for short in parameters.shapes)]
        for x, _ in batches if layer.mixes else ():  # its running averages are NumPy's
            layer.reserve(len(x), training=True)
            layer.forward(x, training=True)
        try:
            session = Session(network_graph([layer], shape).as_model({}))
            found = Named()
        except NoNodes as error:
            raise NoTwin(str(error)) from None
        for i, (x, _) in enumerate(batches):
            mark = f" {i + 1}" if i else ""
            y = session(x)[0]
            y = self.receive("y", y, (len(x), *layer.output_shape))
            found |= {f"{name}{mark}": NOTHING for name in gradients}
            # In training these do something else.
            found[f"y{mark}"] = NOTHING if layer.random or layer.mixes else y
        return {**found, **dict.fromkeys(layer.state, NOTHING), "y in evaluation": y}

    def open(self, case: Case) -> OnnxNetwork:
        return OnnxNetwork(self, case)
