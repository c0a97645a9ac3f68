"""A Backend as a contender: our kernels, our backpropagation, our optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import Backend
from dnn.agreement.cases import Case, Data
from dnn.agreement.contender import Contender, Network, built
from dnn.agreement.state import Named, State
from dnn.layers import Layer
from dnn.losses import Loss, get_loss
from dnn.training.step import gradients, update

Array = Any


class OurNetwork(Network):
    """A compiled Sequential."""

    def __init__(self, owner: BackendContender, case: Case, dtype: str) -> None:
        self.owner, self.case = owner, case
        self.backend, self.dtype = owner._at(dtype)
        self.model = case.model(self.backend)
        self.unit = owner.unit

    def _named(self, vector: Array) -> Named:
        """A flat vector as named arrays."""
        parameters = self.model.parameters
        return {
            name: self.owner.receive(name, view, parameters.shapes[name], self.dtype)
            for name, view in parameters.views(vector).items()
        }

    def _put(self, vector: Array, named: Named) -> None:
        for name, view in self.model.parameters.views(vector).items():
            view[...] = self.backend.from_host(named[name].astype(self.dtype))

    def load(self, state: State) -> None:
        parameters, optimizer = self.model.parameters, self.model.optimizer_state
        self._put(parameters.values, state.values)
        for slot, vector in optimizer.vectors.items():
            self._put(vector, state.slots[slot])
        optimizer.control[...] = self.backend.from_host(state.control.astype(self.dtype))

    def state(self) -> State:
        optimizer = self.model.optimizer_state
        control = optimizer.control
        return State(
            self._named(self.model.parameters.values),
            {slot: self._named(vector) for slot, vector in optimizer.vectors.items()},
            self.owner.receive("control", control, control.shape, self.dtype),
        )

    def _batch(self, x: np.ndarray) -> Array:
        self.model.reserve(x.shape[0], training=True)
        return self.backend.from_host(x.astype(self.dtype))

    def pre_activations(self, x: np.ndarray) -> Named:
        h = self._batch(x)
        found: Named = {}
        for layer in self.model.layers:
            # Twice, since a fused kernel need not leave its pre-activation anywhere; what it does
            # leave, h, is the next layer's input here.
            z = layer.forward_logits(h, training=False)
            shape = (x.shape[0], *layer.output_shape)
            if layer.parameter_shapes():
                found[layer.name] = self.owner.receive(f"z {layer.name}", z, shape, self.dtype)
            h = layer.forward(h, training=False)
        return found

    def predict(self, x: np.ndarray) -> np.ndarray:
        contained = get_loss(self.case.loss).activation is not None
        outputs = self.model.forward(self._batch(x), training=False, logits=contained)
        return self.owner.receive("outputs", outputs, (len(x), self.case.classes), self.dtype)

    def gradients(self, x: np.ndarray, y: np.ndarray) -> Named:
        gradients(self.model, self._batch(x), self.backend.from_host(y))
        return self._named(self.model.parameters.gradients)

    def update(self, gradients: Named) -> None:
        self._put(self.model.parameters.gradients, gradients)
        self.model.optimizer_state.step()

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        update(self.model, self._batch(x), self.backend.from_host(y))


class BackendContender(Contender):
    """Ours on one backend; the oracle and the mutants are this too."""

    def _at(self, dtype: str) -> tuple[Backend, str]:
        """The backend for a dtype, and the dtype that it really has: the oracle's is always float64."""
        backend = self.backend(dtype)
        return backend, backend.dtype_name

    def activation(
        self, kind: str, z: np.ndarray, dy: np.ndarray, dtype: str = "float32"
    ) -> tuple[np.ndarray, np.ndarray]:
        backend, dtype = self._at(dtype)
        z_, dy_ = (backend.from_host(a.astype(dtype)) for a in (z, dy))
        y, dz = backend.zeros(z.shape), backend.zeros(z.shape)
        with np.errstate(all="ignore"):
            backend.kernel("activation", kind)(z_, y)
            backend.kernel("activation_backward", kind)(dy_, z_, y, dz)
        received = self.receive("y", y, z.shape, dtype)
        return received, self.receive("dz", dz, z.shape, dtype)

    def loss(
        self, loss: str | Loss, outputs: np.ndarray, targets: np.ndarray, dtype: str = "float32"
    ) -> tuple[float, np.ndarray]:
        backend, dtype = self._at(dtype)
        kind = "integer" if targets.ndim == 1 else "dense"
        wanted = targets if kind == "integer" else targets.astype(dtype)
        losses, gradient = backend.zeros(len(outputs)), backend.zeros(outputs.shape)
        kernel = get_loss(loss).bind(backend)[kind]
        kernel(backend.from_host(outputs.astype(dtype)), backend.from_host(wanted), losses, gradient)
        values = self.receive("losses", losses, (len(outputs),), dtype)
        return float(np.mean(values)), self.receive("dy", gradient, outputs.shape, dtype)

    def layer(
        self, layer: Layer, shape: tuple[int, ...], values: Mapping[str, np.ndarray],
        x: np.ndarray, dy: np.ndarray, dtype: str = "float32",
    ) -> Named:  # fmt: skip
        backend, dtype = self._at(dtype)
        parameters = built(layer, shape, backend, values)
        layer.reserve(len(x), training=True)
        y = layer.forward(backend.from_host(x.astype(dtype)), training=True)
        found = {"y": self.receive("y", y, (len(x), *layer.output_shape), dtype)}
        # backward may overwrite dy, and from_host may share memory with the host.
        dx = layer.backward(backend.from_host(dy.astype(dtype)))
        found["dx"] = self.receive("dx", dx, x.shape, dtype)
        for name, view in parameters.gradient.items():
            found[f"d{name}"] = self.receive(f"d{name}", view, parameters.shapes[name], dtype)
        for name, array in layer.state.items():  # running averages; a count of masks is an integer
            if array.dtype == backend.dtype:
                found[name] = self.receive(name, array, tuple(array.shape), dtype)
        return found

    def open(self, case: Case, dtype: str = "float32") -> OurNetwork:
        return OurNetwork(self, case, dtype)

    def accuracy(self, case: Case, train: Data, test: Data, epochs: int, batch_size: int) -> float:
        model = case.model(self.backend())
        model.fit(train.x, train.y, batch_size=batch_size, epochs=epochs)
        return model.evaluate(test.x, test.y).accuracy
