"""A Backend as a contender: our kernels, our backpropagation, our optimizers."""

from contextlib import suppress
from typing import Any

import numpy as np

from backends import Array
from dnn.agreement.calls.call import Call, map_arrays
from dnn.agreement.cases import Case, FitCase, Session
from dnn.agreement.contenders.contender import ArrayMismatch, Batches, Contender, Passes, Tensors, receive
from dnn.agreement.textbook.training import shift_rows
from dnn.layers import Layer
from dnn.parameters import Parameters
from dnn.sequential import Sequential
from dnn.training.callback import Callback, Progress
from dnn.training.state import TrainingState
from dnn.training.step import gradients
from dnn.typing import HostArrays

MARGIN = 64
"""Numbers before and behind each array of a kernel that it must not change."""


class Stop(Callback):
    """Interrupt a training after ``every`` updates, with its state."""

    state: TrainingState

    def on_progress(self, progress: Progress) -> None:
        self.state = progress.take_state()
        raise StopIteration


def as_sparse(x: np.ndarray) -> Any:
    """Return x as a sparse matrix, or x itself without SciPy."""
    with suppress(ImportError):
        from scipy.sparse import csr_matrix

        return csr_matrix(x)
    return x


def set_frozen(model: Sequential, session: Session) -> None:
    for layer in model.layers:
        layer.trainable = layer.name not in session.frozen


class BackendContender(Contender):
    """Our implementation on one backend. The oracle and the mutants are BackendContenders too."""

    def layer_tensors(self, layer: Layer, parameters: Parameters, passes: Passes) -> Tensors:
        for suffix, x, dy in passes:
            layer.reserve(x.shape[0], training=True)
            yield f"y{suffix}", layer.forward(x, training=True)
            dx = layer.backward(dy)  # may overwrite dy
            if dx is not None:  # None for layers that must precede trained ones
                yield f"dx{suffix}", dx
            for name, view in parameters.gradient_by_name.items():
                yield f"d{name}{suffix}", view
        yield "y in evaluation", layer.forward(x, training=False)
        for name, array in layer.state.items():  # running averages, not integer counters
            if array.dtype == self.backend.dtype:
                yield name, array

    def kernel(self, call: Call) -> HostArrays:
        backend = self.backend
        arrays = call.arrays
        outputs = call.outputs
        places: dict[int, tuple[Array, Array]] = {}  # id of a host array -> (memory around it, the array)
        for name, host in arrays.items():
            if id(host) not in places:
                dtype = backend.dtype_name if host.dtype == np.float64 else host.dtype.name
                places[id(host)] = self.place(host.astype(dtype), name in outputs)

        arguments = map_arrays(lambda host: places[id(host)][1], call.arguments)
        function = call.optimizer.bind(backend) if call.optimizer else getattr(backend.kernels, call.kernel)
        with np.errstate(all="ignore"):
            for _ in range(call.repeat):
                function(*arguments)
        for memory, _ in places.values():
            around = backend.to_host(memory)
            if around[:MARGIN].any() or around[-MARGIN:].any():
                raise ArrayMismatch(f"{call.kernel} writes before or behind an array")
        return {name: np.array(backend.to_host(places[id(a)][1])) for name, a in arrays.items()}

    def place(self, host: np.ndarray, is_written: bool) -> tuple[Array, Array]:
        """Return memory with MARGIN zeros before and behind the array, and the array in it.

        In float64 a matrix that is only read has every second column of a wider one.
        """
        backend = self.backend
        dtype = getattr(backend.xp, host.dtype.name)
        step = 2 if host.ndim > 1 and not is_written and backend.dtype_name == "float64" else 1
        memory = backend.zeros(step * host.size + 2 * MARGIN, dtype=dtype)
        if host.size == 0:
            return memory, backend.zeros(host.shape, dtype=dtype)
        shape = *host.shape[:-1], step * host.shape[-1]
        array = backend.view(memory[MARGIN : MARGIN + step * host.size], shape)[..., ::step]
        array[...] = backend.from_host(host)
        return memory, array

    def fit(self, case: FitCase) -> HostArrays:
        model = case.model(self.backend)
        pack = as_sparse if case.sparse else np.asarray
        x = pack(case.images)
        part = x.shape[0] // 2 + 1  # evaluation has a short last batch, too
        before = model.evaluate(x, case.labels, batch_size=part, sample_weight=case.sample_weight)
        log: dict[str, list[float]] = {}
        for session in case.sessions:
            moved = shift_rows(case, session.shift)
            examples = pack(moved.images), moved.labels
            settings: dict[str, Any] = {
                "batch_size": session.batch_size, "epochs": session.epochs,
                "class_weight": session.class_weight, "sample_weight": moved.sample_weight,
                "validation_data": (*examples, moved.sample_weight), "verbose": 0,
            }  # fmt: skip
            set_frozen(model, session)
            if session.stop:
                stop = Stop()
                stop.every = session.stop
                with suppress(StopIteration):
                    model.fit(*examples, callbacks=[stop, *case.callbacks], **settings)
                model = case.model(self.backend)
                set_frozen(model, session)
                settings["resume"] = stop.state
            for name, values in model.fit(*examples, callbacks=case.callbacks, **settings).history.items():
                log.setdefault(name, []).extend(values)
        found = {
            "before": before, "predictions": model.predict(x, batch_size=part),
            "loss": log["loss"] + log["val_loss"], "accuracy": log["accuracy"] + log["val_accuracy"],
            "learning rate": self.backend.to_host(model.optimizer_state.control)[:1],
            "planned": ["layers" not in model.update_forms], **model.parameters.to_host(),
        }  # fmt: skip
        return {name: np.array(values, dtype=np.float64) for name, values in found.items()}

    def tensors(self, model: Sequential, x: Array, y: Array) -> Tensors:
        model.reserve(x.shape[0], training=True)
        h = x
        for layer in model.layers:
            # z by itself, since the layer overwrites it by f(z).
            z = self.backend.zeros((x.shape[0], *layer.output_shape))
            self.backend.kernels.dense(h, layer.value["W"], layer.value["b"], z)
            yield f"z {layer.name}", z
            h = layer.forward(h, training=False)
        contained = model.objective.activation is not None
        yield "outputs", model.forward(x, training=False, logits=contained)
        gradients(model, x, y)
        for name, view in model.parameters.gradient_by_name.items():
            yield f"d {name}", view

    def train(self, case: Case, batches: Batches) -> HostArrays:
        model = case.model(self.backend)
        for x, y in batches:
            model.train_on_batch(x, y)
        return receive(self.backend, model.parameters.by_name.items())
