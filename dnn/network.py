"""Network: layers in sequence with their parameters, a loss, and the gradients of the loss.

Users call ``dnn.sequential.Sequential``, which adds compile, fit, evaluate and predict.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from backends import Array, Backend, InputError, get_backend
from backends.errors import reraise, unknown_name_error
from dnn.copies import Copyable, training_config
from dnn.io.safetensors import FORMAT, VERSION, CheckpointError, write
from dnn.keras_names import KerasNames
from dnn.layers import Input, Layer
from dnn.layers.buffers import Buffers
from dnn.layers.containers import MODEL_INDEX, Block
from dnn.layers.input import split_input
from dnn.losses import Loss
from dnn.metrics import Metric, resolve_metrics
from dnn.optimizers import Optimizer, OptimizerState
from dnn.optimizers.regularizers import Penalty
from dnn.parameters import Parameters
from dnn.validation.examples import InputPipeline
from dnn.validation.objects import json_value, settings_repr
from dnn.validation.settings import (
    assign,
    natural_number,
    positive_integer,
    require,
    require_bool,
    require_list,
    require_path,
)


class Network(Copyable, KerasNames):
    """Layers in sequence on one backend; for other arguments and attributes see ``Sequential``.

    Attributes:
        loss, optimizer, optimizer_state, penalty, metrics: set by ``set_goal``.
        n_folded: number of first layers that are folded into batch loading: 1 for a Rescaling, else 0.
    """

    _fixed = ("layers", "backend", "input_shape", "outputs", "parameters", "loss", "metrics", "penalty",
              "optimizer", "optimizer_state", "seed")  # fmt: skip
    _closed = False  # after __init__; then unknown attributes are errors, since they would have no effect
    optimizer: Optimizer
    optimizer_state: OptimizerState

    __repr__ = settings_repr

    def __init__(
        self, layers: Sequence[Layer | Input] = (), *, input_shape: tuple[int, ...] | None = None,
        backend: Backend | str = "auto", seed: int = 0,
    ) -> None:  # fmt: skip
        given, input_shape = split_input(layers, input_shape)
        require_list("input_shape", input_shape)
        if not input_shape:
            raise InputError("input_shape is empty, expected at least one length, such as (784,)")
        if isinstance(backend, str):
            backend = get_backend(backend)
        require(isinstance(backend, Backend), "backend", backend, "a name or get_backend('numpy')")
        self._block = block = Block(given)
        self.layers = block.inner
        self.backend = backend
        self.seed = int(seed) if isinstance(seed, np.integer) else seed
        self.input_shape = tuple(positive_integer("input_shape", n) for n in input_shape)
        self.epochs_done = 0
        self.stop_training = False
        # How updates ran: "planned" or "layers", and "graphs" if CUDA graphs were replayed.
        self.update_forms: set[str] = set()
        self.metrics: tuple[Metric, ...] | None = ()
        self.loss: Loss | None = None
        self.penalty: Penalty | None = None
        self._logits_out = False
        self._loss_buffers = Buffers()
        self._lock = threading.Lock()  # held during training
        block.build(self.input_shape, self.backend, "", True, seed=self.seed, index=MODEL_INDEX)
        self.n_folded = block.n_folded
        if len(shape := block.output_shape) != 1:
            got = f"the last layer returns shape {shape}"
            raise InputError(got, "(C,)", "put Flatten() and Dense(C) last")
        self.outputs = shape[0]
        self.parameters = Parameters(self.backend, block.parameter_shapes(), block.state)
        block.attach(self.parameters.value, self.parameters.gradient)
        for name, values in block.initial_values().items():
            host = np.ascontiguousarray(values.astype(self.backend.dtype_name))
            self.parameters.value[name][...] = self.backend.from_host(host)
        self._closed = type(self).__module__.startswith("dnn.")  # a user's subclass may add attributes

    def __setattr__(self, name: str, value: Any) -> None:
        if self._closed and name in self._fixed:
            raise InputError(f"{name} of a model cannot be set, expected a call of compile or a new model")
        if self._closed and name == "epochs_done":
            value = natural_number(name, value)
        if self._closed and not name.startswith("_") and name not in dir(self):
            known = sorted(n for n in vars(self) if n[0] != "_")
            raise unknown_name_error(f"attribute of {type(self).__name__}", name, known)
        super().__setattr__(name, value)

    def set_goal(
        self, loss: Loss, optimizer: Optimizer, metrics: tuple[Metric, ...] | None, l1: float, l2: float
    ) -> None:
        """Set loss, optimizer, metrics and penalty; ``Sequential.compile`` calls it with resolved names."""
        loss.check_network(self.layers, self.outputs)
        penalty = Penalty(self.parameters, l1, l2)
        self.set_optimizer(optimizer)
        assign(self, loss=loss, metrics=metrics, penalty=penalty if l1 or l2 else None)
        # A loss that contains the last activation takes logits, so the last layer must not apply it.
        self._logits_out = loss.activation == self.layers[-1].activation
        self._loss_kernel = loss.bind(self.backend)

    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Use this optimizer from now on, with a new state. Raises InputError: called during training."""
        if self._lock.locked():
            raise InputError("compile was called during training, expected a call after fit has returned")
        state = OptimizerState(optimizer, self.parameters, self.backend)
        assign(self, optimizer=optimizer, optimizer_state=state)

    @property
    def goal(self) -> Loss:
        """The loss. Raises InputError: the model is not compiled."""
        if self.loss is None:
            raise InputError("the model has no loss yet, expected a call of model.compile first")
        return self.loss

    def metrics_for(self, classes: bool) -> tuple[Metric, ...]:
        """Return the metrics; ``classes`` says whether the targets are class numbers or rows."""
        return resolve_metrics(self.goal.metric_names(classes)) if self.metrics is None else self.metrics

    def outputs_of(self, loss_inputs: Array) -> Array:
        """Return the outputs (B, C), given the inputs of the loss (B, C): logits or outputs."""
        if not self._logits_out:
            return loss_inputs
        outputs = self.backend.xp.empty_like(loss_inputs)
        self.backend.kernels.activation(self.layers[-1].activation, loss_inputs, outputs)
        return outputs

    @property
    def input_pipeline(self) -> InputPipeline:
        """Validates examples and targets and moves them to the device."""
        loss = self.goal
        n_categories = self.layers[0].n_categories
        return InputPipeline(
            self.backend, self.input_shape, self.outputs, loss.ignored_class, loss.check_targets, n_categories
        )

    @contextmanager
    def training(self) -> Iterator[None]:
        """Hold the lock of the model during training, since there is one set of gradients and buffers.

        Raises InputError: the model is being trained already.
        """
        if not self._lock.acquire(blocking=False):
            got = "fit was called during a training of the model, by another thread or a callback"
            raise InputError(got, "one training at a time", "create one model for each")
        try:
            yield
        finally:
            self._lock.release()

    def reserve(self, batch: int, training: bool) -> None:
        """Allocate all buffers for batches of this size. Raises InputError: not a size."""
        self._block.reserve(positive_integer("batch", batch), require_bool("training", training))
        self._loss_buffers.reserve(batch, training, self._make_loss_buffers)

    def _make_loss_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        zeros = self.backend.zeros
        return {"losses": zeros(batch), "gradient": zeros((batch, self.outputs))}

    @property
    def scale(self) -> float:
        """Factor by which batch loading multiplies the examples: that of a folded Rescaling, else 1."""
        factor = self.layers[0].factor if self.n_folded else None
        return 1.0 if factor is None else factor

    def forward(self, x: Array, *, training: bool = False, logits: bool = False) -> Array:
        """Return the outputs (B, C) for a batch x (B, *input_shape) on the device, buffers reserved.

        Args:
            x: the batch, already multiplied by ``scale``.
            training: draw dropout and noise, and normalise by the statistics of the batch.
            logits: leave out the activation of the last layer.
        """
        forward = self._block.forward_logits if logits else self._block.forward
        return forward(x, training=training)

    def loss_of(self, x: Array, y: Array, *, training: bool) -> tuple[Array, Array, Array]:
        """Compute the outputs and the loss of a batch, buffers reserved.

        Args:
            x: (B, *input_shape).
            y: (B,) class numbers or (B, C) rows.
        Returns the inputs of the loss (outputs or logits) (B, C), the loss of each example (B,), and the
        gradient of the mean loss with respect to these inputs (B, C) for ``backward``; all on the device.
        """
        outputs = self.forward(x, training=training, logits=self._logits_out)
        loss = self._loss_buffers[x.shape[0]]
        self._loss_kernel(outputs, y, loss.losses, loss.gradient)
        return outputs, loss.losses, loss.gradient

    def backward(self, dy: Array) -> None:
        """Write all parameter gradients, given the gradient from ``loss_of``; dy is overwritten."""
        backward = self._block.backward_logits if self._logits_out else self._block.backward
        backward(dy)

    @property
    def frozen_names(self) -> list[str]:
        """Names of the parameters that training does not change."""
        return list(self._block.frozen_values)

    def update(self) -> None:
        """Make one update from the current gradients; frozen parameters and their moments do not change."""
        frozen = self.frozen_names
        if not frozen:
            self.optimizer_state.step()
            return
        vectors = (self.parameters.values, *self.optimizer_state.vectors.values())
        views = [named[name] for named in map(self.parameters.views, vectors) for name in frozen]
        before = [self.backend.xp.asarray(view, copy=True) for view in views]
        self.optimizer_state.step()
        for view, values in zip(views, before, strict=True):
            view[...] = values

    def config(self) -> dict[str, Any]:
        """Return architecture and loss as JSON values, as a checkpoint stores them beside the weights."""
        loss, settings = (None, {}) if self.loss is None else (self.loss.name, self.loss.settings())
        return {"input_shape": list(self.input_shape), "layers": json_value(self.layers), "loss": loss,
                "loss_settings": settings}  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write weights and architecture, replacing an older file atomically. Raises CheckpointError."""
        facts = {"dtype": self.backend.dtype_name, **self.config(), "seed": self.seed,
                 "epochs_done": self.epochs_done, "training": training_config(self)}  # fmt: skip
        path = require_path("path", path)
        with reraise(OSError, f"checkpoint {path} cannot be written:", error_type=CheckpointError):
            write(path, FORMAT, VERSION, facts, self.parameters.to_host())
