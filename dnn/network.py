"""Network: layers in a row with their parameters, a goal, and the gradients of the goal.

What users call is ``dnn.sequential.Sequential``, which is this with compile, fit, evaluate and predict.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.errors import shown
from dnn.io.checkpoint import write_checkpoint
from dnn.layers import Layer
from dnn.layers.buffers import Buffers
from dnn.layers.names import layer_names
from dnn.losses import Loss
from dnn.metrics import absolute_error, count_correct
from dnn.optimizers import Optimizer, OptimizerState
from dnn.optimizers.regularizers import Penalty
from dnn.parameters import Parameters
from dnn.random import stream_key
from dnn.validation.closed import Closed
from dnn.validation.examples import Door
from dnn.validation.settings import positive_integer, require_list, require_path

Array = Any


class Network(Closed):
    """Layers one after another on one backend; arguments and attributes as of ``Sequential``.

    Attributes:
        loss, optimizer, optimizer_state, penalty, metrics: the goal and the way to it, from ``set_goal``.
        epochs_done: epochs trained so far.
        stop_training: a callback sets it at an epoch's end, and training ends.
    """

    _fixed = ("layers", "backend", "input_shape", "outputs", "parameters", "loss", "metrics", "penalty",
              "optimizer", "optimizer_state", "seed")  # fmt: skip
    optimizer: Optimizer
    optimizer_state: OptimizerState

    def __init__(
        self, layers: Sequence[Layer], *, input_shape: tuple[int, ...], backend: Backend, seed: int = 0
    ) -> None:
        require_list("layers", layers)
        require_list("input_shape", input_shape)
        if not layers:
            raise InputError("layers is empty, expected at least one layer")
        if not input_shape:
            raise InputError("input_shape is empty, expected a length at least, such as (784,)")
        if not isinstance(backend, Backend):
            raise InputError(
                f"backend is {shown(backend)}, expected a Backend; make one with get_backend('numpy')"
            )
        self.layers = tuple(layers)
        self.backend = backend
        self.seed = int(seed) if isinstance(seed, np.integer) else seed
        self.input_shape = tuple(positive_integer("input_shape", n) for n in input_shape)
        self.epochs_done = 0
        self.stop_training = False
        self.metrics: tuple[str, ...] | None = ()
        self.loss: Loss | None = None
        self.penalty: Penalty | None = None
        self._logits_out = False
        self._lock = threading.Lock()  # while it is trained
        self._build()

    # ----- the model

    def _build(self) -> None:
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise InputError(f"layers[{i}] is {shown(layer)}, expected a Layer such as Dense(10)")
        shape, trained = self.input_shape, False
        for i, (layer, name) in enumerate(zip(self.layers, layer_names(self.layers), strict=True)):
            layer.build(shape, self.backend, name, first=not trained, seed=self.seed, index=i)
            trained = trained or bool(layer.parameter_shapes())
            shape = layer.output_shape
        if len(shape) != 1:
            raise InputError(
                f"the last layer returns shape {shape}, expected (C,); put Flatten() and Dense(C) last"
            )
        self.outputs = shape[0]
        self.parameters = Parameters(
            self.backend,
            {
                f"{layer.name}.{short}": form
                for layer in self.layers
                for short, form in layer.parameter_shapes().items()
            },
            {f"{layer.name}.{short}": a for layer in self.layers for short, a in layer.state.items()},
        )
        views = self.parameters.value, self.parameters.gradient
        for i, layer in enumerate(self.layers):
            shorts = list(layer.parameter_shapes())
            layer.attach(*({n: view[f"{layer.name}.{n}"] for n in shorts} for view in views))
            for short, values in layer.initial_values(stream_key(self.seed, "weights", i)).items():
                host = np.ascontiguousarray(values.astype(self.backend.dtype_name))
                layer.value[short][...] = self.backend.from_host(host)

    # ----- the goal

    def set_goal(
        self, loss: Loss, optimizer: Optimizer, metrics: Sequence[str] | None, l1: float, l2: float
    ) -> None:
        """What ``Sequential.compile`` does with its arguments, once they are objects."""
        self._require_untrained("compile")
        loss.check_network(self.layers, self.outputs)
        penalty = Penalty(self.parameters, l1, l2)
        self.set_optimizer(optimizer)
        measured = None if metrics is None else tuple(metrics)
        vars(self).update(loss=loss, metrics=measured, penalty=penalty if l1 or l2 else None)
        zeros = self.backend.zeros
        self._loss_buffers = Buffers(
            lambda batch, training: {"losses": zeros(batch), "gradient": zeros((batch, self.outputs))}
        )
        # The loss takes logits and contains the activation, so the last layer leaves it out.
        self._logits_out = loss.activation is not None and loss.activation == self.layers[-1].activation
        self._loss_kernels = loss.bind(self.backend)

    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Look for the best parameters by this optimizer from now on; its state is new."""
        self._require_untrained("compile")
        state = OptimizerState(optimizer, self.parameters, self.backend)
        vars(self).update(optimizer=optimizer, optimizer_state=state)

    @property
    def goal(self) -> Loss:
        """The loss.
        Raises InputError: there is none yet.
        """
        if self.loss is None:
            raise InputError("the model has no loss yet, expected a call of model.compile before")
        return self.loss

    def measure(self, classes: bool) -> str | None:
        """What is measured beside the loss, a name in ``dnn.metrics.METRICS``; None: nothing is.

        Args:
            classes: whether the targets are class numbers, else rows.
        """
        if self.metrics is None:
            return self.goal.measure(classes)
        return self.metrics[0] if self.metrics else None

    def measured(self, measure: str, outputs: Array, y: Array) -> Array:
        """The measure's sum over a batch, as a 0-d array, from what the loss took (B, C) and the targets."""
        if measure == "accuracy":
            return count_correct(self.backend, outputs, y, self.goal.boundary, self.goal.elementwise)
        return absolute_error(self.backend, outputs, y)

    @property
    def door(self) -> Door:
        """Where examples and targets come in."""
        return Door(self.backend, self.input_shape, self.outputs, self.goal)

    def _require_untrained(self, what: str) -> None:
        if self._lock.locked():
            raise InputError(f"{what} was called while the model is trained, expected the end of fit before")

    @contextmanager
    def training(self) -> Iterator[None]:
        """While this is open nobody else trains the model: gradients and buffers are one training's.
        Raises InputError: somebody does already.
        """
        if not self._lock.acquire(blocking=False):
            raise InputError(
                "fit was called while the model is trained already, by another thread or from a callback, "
                "expected one training at a time; make a model for each"
            )
        try:
            yield
        finally:
            self._lock.release()

    # ----- forward and backward

    def reserve(self, batch: int, training: bool) -> None:
        """Make every buffer for batches of this size."""
        for layer in self.layers:
            layer.reserve(batch, training)
        if self.loss is not None:
            self._loss_buffers.reserve(batch, training)

    def forward(self, x: Array, *, training: bool, logits: bool = False) -> Array:
        """The network's output (B, C) for a reserved batch x (B, *input_shape) on the device.

        Args:
            training: dropout and noise are drawn, and batch normalisation takes the batch's statistics.
            logits: leave out the last layer's activation.
        """
        for layer in self.layers[:-1]:
            x = layer.forward(x, training=training)
        last = self.layers[-1]
        run = last.forward_logits if logits else last.forward
        return run(x, training=training)

    def loss_of(self, x: Array, y: Array, *, training: bool) -> tuple[Array, Array, Array]:
        """Forward and loss of a reserved batch, on the device.

        Args:
            x: (B, *input_shape); y: (B,) class numbers or (B, C) rows.

        Returns:
            What the loss took, outputs or logits (B, C); each example's loss (B,); and the gradient of their
            mean with respect to the first (B, C), for ``backward``.
        """
        outputs = self.forward(x, training=training, logits=self._logits_out)
        keep = self._loss_buffers[x.shape[0]]
        losses, gradient = keep.losses, keep.gradient
        self._loss_kernels["integer" if y.ndim == 1 else "dense"](outputs, y, losses, gradient)
        return outputs, losses, gradient

    def backward(self, dy: Array) -> None:
        """Write all parameter gradients, from the gradient that ``loss_of`` returned; dy is overwritten."""
        last = self.layers[-1]
        gradient = last.backward_logits(dy) if self._logits_out else last.backward(dy)
        for layer in reversed(self.layers[:-1]):
            if gradient is None:  # nothing before is trained
                break
            gradient = layer.backward(gradient)

    # ----- frozen layers

    @property
    def frozen(self) -> list[str]:
        """Names of the parameters that training leaves as they are."""
        layers = [layer for layer in self.layers if not layer.trainable]
        return [f"{layer.name}.{short}" for layer in layers for short in layer.value]

    def update(self) -> None:
        """One update from the gradients that are there; what is frozen, and its moments, stay as they are."""
        frozen = self.frozen
        if not frozen:
            self.optimizer_state.step()
            return
        vectors = (self.parameters.values, *self.optimizer_state.vectors.values())
        views = [named[name] for named in map(self.parameters.views, vectors) for name in frozen]
        before = [self.backend.xp.asarray(view, copy=True) for view in views]
        self.optimizer_state.step()
        for view, values in zip(views, before, strict=True):
            view[...] = values

    # ----- writing it down

    def config(self) -> dict[str, Any]:
        """The architecture as JSON values: what a checkpoint holds beside the weights."""
        return {
            "input_shape": list(self.input_shape),
            "layers": [{"type": type(x).__name__, **x.config()} for x in self.layers],
            "loss": None if self.loss is None else self.loss.name,
            "loss_settings": {} if self.loss is None else self.loss.settings(),
        }

    def save(self, path: str | Path) -> None:
        """Write the weights and the architecture; an older file of that name is replaced whole.
        Raises CheckpointError: the file cannot be written.
        """
        facts = {"dtype": self.backend.dtype_name, **self.config(), "seed": self.seed,
                 "epochs_done": self.epochs_done, "training": training_config(self)}  # fmt: skip
        write_checkpoint(require_path("path", path), facts, self.parameters.to_host())


def training_config(network: Network) -> dict[str, Any] | None:
    """How a network is trained, as JSON values; None: it is not compiled."""
    if network.loss is None:
        return None
    penalty, metrics = network.penalty, network.metrics
    updates = network.backend.to_host(network.optimizer_state.control)[3]
    l1, l2 = (0.0, 0.0) if penalty is None else (penalty.l1, penalty.l2)
    return {"optimizer": network.optimizer.config(), "l1": l1, "l2": l2, "updates": int(updates),
            "metrics": None if metrics is None else list(metrics)}  # fmt: skip
