"""Network: layers in a row with their parameters, a goal, and the gradients of the goal.
What users call is ``dnn.sequential.Sequential``, which is this with compile, fit, evaluate and predict.
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
from dnn.layers import Layer
from dnn.layers.buffers import Buffers
from dnn.layers.containers import MODEL_INDEX, Block
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
    require_list,
    require_path,
)


class Network(Copyable):
    """Layers one after another on one backend; arguments and attributes as of ``Sequential``.

    Attributes:
        loss, optimizer, optimizer_state, penalty, metrics: the goal and the way to it, from ``set_goal``.
        picked: how many layers, of the first, are done while batches are picked: 1 if it is a Rescaling.
    """

    _fixed = ("layers", "backend", "input_shape", "outputs", "parameters", "loss", "metrics", "penalty",
              "optimizer", "optimizer_state", "seed")  # fmt: skip
    _closed = False  # whether it is made, and refuses attributes that would do nothing
    optimizer: Optimizer
    optimizer_state: OptimizerState

    __repr__ = settings_repr

    def __init__(
        self, layers: Sequence[Layer], *, input_shape: tuple[int, ...], backend: Backend | str = "auto",
        seed: int = 0,
    ) -> None:  # fmt: skip
        require_list("input_shape", input_shape)
        if not input_shape:
            raise InputError("input_shape is empty, expected a length at least, such as (784,)")
        if isinstance(backend, str):
            backend = get_backend(backend)
        expected = "a name or a Backend from get_backend('numpy')"
        require(isinstance(backend, Backend), "backend", backend, expected)
        self._block = block = Block(layers)
        self.layers = block.inner
        self.backend = backend
        self.seed = int(seed) if isinstance(seed, np.integer) else seed
        self.input_shape = tuple(positive_integer("input_shape", n) for n in input_shape)
        self.epochs_done = 0
        self.stop_training = False
        self.metrics: tuple[Metric, ...] | None = ()
        self.loss: Loss | None = None
        self.penalty: Penalty | None = None
        self._logits_out = False
        self._lock = threading.Lock()  # while it is trained
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
        self._closed = type(self).__module__.startswith("dnn.")  # yours has attributes of its own

    def __setattr__(self, name: str, value: Any) -> None:
        if self._closed and name in self._fixed:
            raise InputError(f"{name} of a model cannot be set, expected a call of compile or a new model")
        if self._closed and name == "epochs_done":
            natural_number(name, value)
        if self._closed and not name.startswith("_") and name not in dir(self):
            known = sorted(n for n in vars(self) if n[0] != "_")
            raise unknown_name_error(f"attribute of {type(self).__name__}", name, known)
        super().__setattr__(name, value)

    def set_goal(
        self, loss: Loss, optimizer: Optimizer, metrics: tuple[Metric, ...] | None, l1: float, l2: float
    ) -> None:
        """What ``Sequential.compile`` does with its arguments, once they are objects."""
        loss.check_network(self.layers, self.outputs)
        penalty = Penalty(self.parameters, l1, l2)
        self.set_optimizer(optimizer)
        assign(self, loss=loss, metrics=metrics, penalty=penalty if l1 or l2 else None)
        zeros = self.backend.zeros
        outputs = self.outputs
        self._loss_buffers = Buffers(
            lambda batch, training: {"losses": zeros(batch), "gradient": zeros((batch, outputs))}
        )
        # The loss takes logits and contains the activation, so the last layer leaves it out.
        self._logits_out = loss.activation == self.layers[-1].activation
        self._last_activation = self.backend.kernel("activation", self.layers[-1].activation)
        self._loss_kernels = loss.bind(self.backend)

    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Look for the best parameters by this optimizer from now on; its state is new."""
        if self._lock.locked():
            raise InputError("compile was called while the model is trained, expected the end of fit before")
        state = OptimizerState(optimizer, self.parameters, self.backend)
        assign(self, optimizer=optimizer, optimizer_state=state)

    @property
    def goal(self) -> Loss:
        """The loss. Raises InputError: there is none yet."""
        if self.loss is None:
            raise InputError("the model has no loss yet, expected a call of model.compile before")
        return self.loss

    def metrics_for(self, classes: bool) -> tuple[Metric, ...]:
        """What is measured beside the loss; ``classes``: whether targets are class numbers, else rows."""
        return resolve_metrics(self.goal.metric_names(classes)) if self.metrics is None else self.metrics

    def outputs_of(self, taken: Array) -> Array:
        """The network's outputs (B, C), from what the loss took: these, or logits."""
        if not self._logits_out:
            return taken
        outputs = self.backend.xp.empty_like(taken)
        self._last_activation(taken, outputs)
        return outputs

    @property
    def input_pipeline(self) -> InputPipeline:
        """Where examples and targets come in."""
        loss = self.goal
        n_categories = self.layers[0].n_categories
        return InputPipeline(
            self.backend, self.input_shape, self.outputs, loss.ignored_class, loss.check_targets, n_categories
        )

    @contextmanager
    def training(self) -> Iterator[None]:
        """Open while the model is trained; InputError if it is already: gradients and buffers are for one."""
        if not self._lock.acquire(blocking=False):
            got = "fit was called while the model is trained already, by another thread or from a callback"
            raise InputError(got, "one training at a time", "make a model for each")
        try:
            yield
        finally:
            self._lock.release()

    def reserve(self, batch: int, training: bool) -> None:
        """Make every buffer for batches of this size."""
        self._block.reserve(batch, training)
        if self.loss is not None:
            self._loss_buffers.reserve(batch, training)

    @property
    def scale(self) -> float:
        """Factor of the examples while a batch is picked: that of a first layer which is a Rescaling."""
        factor = self.layers[0].factor if self.n_folded else None
        return 1.0 if factor is None else factor

    def forward(self, x: Array, *, training: bool, logits: bool = False) -> Array:
        """The network's output (B, C) for a reserved batch x (B, *input_shape) on the device, as picked.

        In training dropout and noise are drawn, and batch normalisation takes the batch's statistics;
        ``logits`` leaves out the last layer's activation.
        """
        forward = self._block.forward_logits if logits else self._block.forward
        return forward(x, training=training)

    def loss_of(self, x: Array, y: Array, *, training: bool) -> tuple[Array, Array, Array]:
        """Forward and loss of a reserved batch: x (B, *input_shape), y (B,) class numbers or (B, C) rows.
        Returns what the loss took, outputs or logits (B, C); each example's loss (B,); and the gradient of
        their mean with respect to the first (B, C), for ``backward``; all on the device.
        """
        outputs = self.forward(x, training=training, logits=self._logits_out)
        keep = self._loss_buffers[x.shape[0]]
        self._loss_kernels["integer" if y.ndim == 1 else "dense"](outputs, y, keep.losses, keep.gradient)
        return outputs, keep.losses, keep.gradient

    def backward(self, dy: Array) -> None:
        """Write all parameter gradients, from the gradient that ``loss_of`` returned; dy is overwritten."""
        backward = self._block.backward_logits if self._logits_out else self._block.backward
        backward(dy)

    @property
    def frozen_names(self) -> list[str]:
        """Names of the parameters that training leaves as they are."""
        return list(self._block.frozen_values)

    def update(self) -> None:
        """One update from the gradients that are there; what is frozen, and its moments, stay as they are."""
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
        """The architecture as JSON values: what a checkpoint holds beside the weights."""
        loss, settings = (None, {}) if self.loss is None else (self.loss.name, self.loss.settings())
        return {"input_shape": list(self.input_shape), "layers": json_value(self.layers), "loss": loss,
                "loss_settings": settings}  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write weights and architecture; an older file is replaced whole. CheckpointError: it cannot be."""
        facts = {"dtype": self.backend.dtype_name, **self.config(), "seed": self.seed,
                 "epochs_done": self.epochs_done, "training": training_config(self)}  # fmt: skip
        path = require_path("path", path)
        with reraise(OSError, f"checkpoint {path} cannot be written:", error_type=CheckpointError):
            write(path, FORMAT, VERSION, facts, self.parameters.to_host())
