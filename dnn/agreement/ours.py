"""A Backend as a contender: our kernels, our backpropagation, our optimizers."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np

from backends import Array
from dnn.agreement.cases import Case, Data, FitCase
from dnn.agreement.contender import Batches, Contender, Network, built
from dnn.agreement.state import Named, State
from dnn.layers import Layer
from dnn.losses import Loss, get_loss
from dnn.training.step import gradients


class OurNetwork(Network):
    """A compiled Sequential."""

    def __init__(self, owner: Contender, case: Case) -> None:
        super().__init__(owner, case)
        self.model = case.model(self.backend)

    def _named(self, vector: Array) -> Named:
        """A flat vector as named arrays."""
        parameters = self.model.parameters
        return {
            name: self.receive(name, view, parameters.shapes[name])
            for name, view in parameters.views(vector).items()
        }

    def _put(self, vector: Array, named: Named) -> None:
        for name, view in self.model.parameters.views(vector).items():
            view[...] = self.backend.from_host(named[name].astype(self.dtype))

    def load(self, state: State) -> None:
        parameters = self.model.parameters
        optimizer = self.model.optimizer_state
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
            self.receive("control", control, control.shape),
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
                found[layer.name] = self.receive(f"z {layer.name}", z, shape)
            h = layer.forward(h, training=False)
        return found

    def predict(self, x: np.ndarray) -> np.ndarray:
        contained = get_loss(self.case.loss).activation is not None
        outputs = self.model.forward(self._batch(x), training=False, logits=contained)
        return self.receive("outputs", outputs, (len(x), self.case.classes))

    def gradients(self, x: np.ndarray, y: np.ndarray) -> Named:
        gradients(self.model, self._batch(x), self.backend.from_host(y))
        return self._named(self.model.parameters.gradients)

    def repeat(self, gradients: Named, n: int) -> None:
        self._put(self.model.parameters.gradients, gradients)
        self.backend.capture(self.model.optimizer_state.step)(n)

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        gradients(self.model, self._batch(x), self.backend.from_host(y))
        self.model.update()


class BackendContender(Contender):
    """Ours on one backend; the oracle and the mutants are this too."""

    def loss(self, loss: str | Loss, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        backend = self.backend
        (outputs_,) = self.move(outputs)
        kind = "integer" if targets.ndim == 1 else "dense"
        wanted = backend.from_host(targets if kind == "integer" else targets.astype(backend.dtype_name))
        losses = backend.zeros(len(outputs))
        gradient = backend.zeros(outputs.shape)
        get_loss(loss).bind(backend)[kind](outputs_, wanted, losses, gradient)
        mean = self.receive("loss", backend.xp.mean(losses, keepdims=True), (1,))
        return float(mean[0]), self.receive("dy", gradient, outputs.shape)

    def use(
        self, layer: Layer, shape: tuple[int, ...], values: Mapping[str, np.ndarray], batches: Batches
    ) -> Named:
        backend = self.backend
        parameters = built(layer, shape, backend, values)
        found: Named = {}
        for i, (x, dy) in enumerate(batches):
            mark = f" {i + 1}" if i else ""
            x_, dy_ = self.move(x, dy)
            layer.reserve(len(x), training=True)
            y = layer.forward(x_, training=True)
            found[f"y{mark}"] = self.receive("y", y, (len(x), *layer.output_shape))
            dx = layer.backward(dy_)  # which may overwrite dy
            if dx is not None:  # None: it stands before all that is trained
                found[f"dx{mark}"] = self.receive("dx", dx, x.shape)
            for name, view in parameters.gradient.items():
                found[f"d{name}{mark}"] = self.receive(f"d{name}", view, parameters.shapes[name])
        y = layer.forward(*self.move(x), training=False)
        found["y in evaluation"] = self.receive("y", y, (len(x), *layer.output_shape))
        for name, array in layer.state.items():  # running averages; a count of masks is an integer
            if array.dtype == backend.dtype:
                found[name] = self.receive(name, array, tuple(array.shape))
        return found

    def kernel(self, name: str, kind: str | None, *arguments: Any) -> list[np.ndarray]:
        backend = self.backend

        def moved(argument: Any) -> Any:
            if isinstance(argument, np.ndarray):
                host = argument.astype(backend.dtype_name) if argument.dtype.kind == "f" else argument.copy()
                return backend.from_host(host)
            return tuple(map(moved, argument)) if isinstance(argument, tuple) else argument

        there = [moved(argument) for argument in arguments]
        with np.errstate(all="ignore"):
            backend.kernel(name, kind)(*there)
        each = chain.from_iterable(a if isinstance(a, tuple) else [a] for a in there)
        return [np.array(backend.to_host(a)) for a in each if isinstance(a, backend.array_type)]

    def fit(self, case: FitCase) -> Named:
        model = case.model(self.backend)
        x = case.images
        y = case.labels
        part = len(x) // 2 + 1  # evaluation, too, has a last batch that is shorter
        weights = case.sample_weight
        before = model.evaluate(x, y, batch_size=part, sample_weight=weights)
        log = model.fit(
            x, y, batch_size=case.batch_size, epochs=case.epochs, class_weight=case.class_weight,
            sample_weight=weights, validation_data=(x, y) if weights is None else (x, y, weights),
        ).history  # fmt: skip
        numbers = {k: v for k, v in model.parameters.to_host().items() if v.dtype.kind == "f"}
        found = {
            "before": before, "predictions": model.predict(x, batch_size=part),
            "loss": log["loss"] + log["val_loss"], "accuracy": log["accuracy"] + log["val_accuracy"],
            "learning rate": self.backend.to_host(model.optimizer_state.control)[:1], **numbers,
        }  # fmt: skip
        return {name: np.array(values, dtype=np.float64) for name, values in found.items()}

    def open(self, case: Case) -> OurNetwork:
        return OurNetwork(self, case)

    def accuracy(self, case: Case, train: Data, test: Data, epochs: int, batch_size: int) -> float:
        model = case.model(self.backend)
        model.fit(train.x, train.y, batch_size=batch_size, epochs=epochs, verbose=0)
        return model.evaluate(test.x, test.y).accuracy
