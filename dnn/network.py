"""Network: layers in sequence with their parameters, a loss, and the gradients of the loss.

Users call ``dnn.sequential.Sequential``, which adds compile, fit, evaluate and predict.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from backends import Array, Backend, InputError, get_backend
from backends.claims import finally_call
from dnn.copies import Copyable
from dnn.inputs.examples import InputPipeline
from dnn.keras_names import Uncallable, is_ours
from dnn.layers import Activation, Input, Layer, Rescaling
from dnn.layers.buffers import Arrays, Buffers
from dnn.layers.containers import MODEL_INDEX, Block, undone_on_error
from dnn.layers.dense import fastest_on_cpu
from dnn.layers.input import split_input
from dnn.losses import Loss
from dnn.metrics import Metric, resolve_metrics
from dnn.optimizers import Optimizer, OptimizerState
from dnn.optimizers.regularizers import Penalty
from dnn.parameters import Parameters, set_arrays
from dnn.settings.base import settings_repr
from dnn.settings.checks import (
    is_integer,
    look_up,
    natural_number,
    positive_integer,
    require,
    require_bool,
)
from dnn.trainings import claim_training


class Network(Copyable, Uncallable):
    """Layers in sequence on one backend; for other arguments and attributes see ``Sequential``.

    Attributes:
        loss, optimizer, optimizer_state, penalty, metrics: set by ``set_objective``.
        scale: factor by which batch loading multiplies the examples: that of a first Rescaling, else 1.
        called_layers: the layers without that Rescaling. Only they are numbered, so it does not change the
            random numbers of the others.
    """

    _own_names: frozenset[str] = frozenset()  # attributes that a subclass cannot set either
    _closed = False  # whether it gets no further attributes: True after __init__, except in users' classes
    optimizer_state: OptimizerState

    __repr__ = settings_repr

    explained_as = "model"

    def __init__(
        self, layers: Sequence[Layer | Input] = (), *, input_shape: tuple[int, ...] | None = None,
        backend: Backend | str = "auto", seed: int = 0,
    ) -> None:  # fmt: skip
        added = set(vars(self))  # by the constructor of a subclass
        new_layers, self.input_shape = split_input(layers, input_shape)
        self.epochs_done = 0
        self.stop_training = False
        # How updates of the last fit ran: "planned" or "layers", and "graphs" if CUDA graphs were replayed.
        self.update_forms: set[str] = set()
        self.metrics: tuple[Metric, ...] | None = ()
        self.loss: Loss | None = None
        self.reads_logits = False  # whether the loss contains the last activation
        self.penalty: Penalty | None = None
        self._loss_kernel: Any = None
        self._loss_buffers = Buffers()
        self.seed = int(seed) if isinstance(seed, np.integer) else seed
        with undone_on_error(new_layers):
            block = Block(new_layers)
            if isinstance(backend, str):
                backend = get_backend(backend, cpu_first=fastest_on_cpu(block.inner))
            require(isinstance(backend, Backend), "backend", backend, "a name or get_backend('numpy')")
            self.backend = backend
            with backend.isolated():
                self._build(block)
        names = {*vars(self), "_closed", "_own_names", "optimizer", "optimizer_state"}
        self._own_names = frozenset(names - added)
        self._closed = is_ours(type(self))

    _initialise = __init__  # for copies, whatever the constructor of a subclass takes

    def _build(self, block: Block) -> None:
        """Build the layers and give the parameters their initial values."""
        self.layers = block.inner
        first, *others = self.layers
        self.scale = 1.0
        if type(first) is Rescaling and first.offset == 0.0 and others:
            self.scale = first.scale
            first.build(self.input_shape, self.backend, "", False)
            block = Block(others)
        self.called_layers = block.inner
        self._block = block
        block.build(self.input_shape, self.backend, "", False, seed=self.seed, index=MODEL_INDEX)
        if len(shape := block.output_shape) != 1:
            got = f"the last layer returns shape {shape}"
            raise InputError(got, "(C,)", "put Flatten() and Dense(C) last")
        self.outputs = shape[0]
        self.parameters = Parameters(self.backend, block.parameter_shapes(), block.state)
        block.attach(self.parameters.by_name, self.parameters.gradient_by_name)
        self.parameters.initialise(block.initial_values())
        self.last_activation = Activation(block.hand_over_activation())
        self.last_activation.build(block.output_shape, self.backend, self.layers[-1].name, False)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and (self._closed or name in self._own_names):
            if name == "epochs_done":
                value = natural_number(name, value)
            elif name != "stop_training":
                got = f"{name} of a model cannot be set"
                cure = "for others call compile or make a new model"
                raise InputError(got, "stop_training or epochs_done", cure)
        super().__setattr__(name, value)

    def set_objective(
        self, loss: Loss, optimizer: Optimizer, metrics: Sequence[Any] | None, l1: float, l2: float
    ) -> None:
        """Set loss, optimizer, metrics and penalty; ``Sequential.compile`` calls it.

        Raises InputError: called during training, an unknown metric, or the loss does not fit the network.
        """
        with self.training():
            chosen = None if metrics is None else resolve_metrics(metrics)
            loss.check_network(self.layers, self.outputs)
            penalty = Penalty(self.parameters, l1, l2)
            optimizer_state = OptimizerState(optimizer, self.parameters, self.backend)
            kernel = loss.bind(self.backend)
            last = self.layers[-1]
            reads_logits = loss.activation == last.activation
            if reads_logits and self.last_activation.activation != last.activation:
                got = f"layer {last.name!r} applies {last.activation} itself"
                after = f"followed by Activation({last.activation!r})"
                why = f"the loss {loss.name!r} contains the {last.activation}"
                raise InputError(got, f"a last layer that returns logits, {after}", why)
            vars(self).update(
                loss=loss, _loss_kernel=kernel, metrics=chosen, penalty=penalty if l1 or l2 else None,
                optimizer_state=optimizer_state, reads_logits=reads_logits,
            )  # fmt: skip

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer with its current settings; see ``OptimizerState.current``."""
        return self.optimizer_state.current

    @property
    def objective(self) -> Loss:
        """The loss. Raises InputError: the model is not compiled."""
        if self.loss is None:
            raise InputError("the model has no loss yet", "a call of model.compile first")
        return self.loss

    def metrics_for(self, classes: bool) -> tuple[Metric, ...]:
        """Return the metrics; ``classes`` says whether the targets are class numbers or rows."""
        if self.metrics is not None:
            return self.metrics
        return resolve_metrics(("accuracy",) if classes else self.objective.row_metrics)

    def activate(self, z: Array, out: Array | None = None) -> Array:
        """Return the outputs f(z) (B, C), given the last layer's z (B, C), in ``out`` or in a new array."""
        out = self.backend.xp.empty_like(z) if out is None else out
        self.backend.kernels.activation(self.last_activation.activation, z, out)
        return out

    @property
    def input_pipeline(self) -> InputPipeline:
        """Checks examples and targets and moves them to the device."""
        n_categories = self.layers[0].n_categories
        return InputPipeline(self.backend, self.input_shape, self.outputs, self.objective, n_categories)

    training = claim_training

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer at this position, or of this name. Raises InputError: there is none."""
        if index is None:
            return look_up("name", name, {layer.name: layer for layer in self.layers})
        fits = is_integer(index) and -len(self.layers) <= index < len(self.layers)
        require(fits, "index", index, f"an integer from 0 to {len(self.layers) - 1}")
        return self.layers[index]

    def reserve(self, batch_size: int, training: bool) -> None:
        """Allocate all buffers for batches of this size. Raises InputError: not a size.

        ``forward`` calls this, too; call it in advance to allocate the memory of the largest batch at once.
        """
        batch_size = positive_integer("batch_size", batch_size)
        buffers = self._loss_buffers
        if buffers.fits(batch_size, require_bool("training", training)):
            return
        with self.backend.isolated():
            # If an exception interrupts the layers, all sizes are reserved again.
            views = buffers.views
            buffers.views = {}
            self._block.reserve(batch_size, training)
            self.last_activation.reserve(batch_size, training)
            buffers.views = views
            buffers.reserve(batch_size, training, self._make_loss_buffers)

    def _make_loss_buffers(self, batch_size: int, training: bool) -> Arrays:
        zeros = self.backend.zeros
        return {"losses": zeros(batch_size), "gradient": zeros((batch_size, self.outputs))}

    def forward(
        self, x: Array, *, training: bool = False, logits: bool = False, out: Array | None = None
    ) -> Array:  # fmt: skip
        """Return the outputs (B, C) for a batch x (B, *input_shape) on the device.

        Args:
            x: the batch, already multiplied by ``scale``.
            training: draw dropout and noise, and normalise by the statistics of the batch.
            logits: leave out the activation of the last layer.
            out: (B, C) array for the outputs; None: a new one.
        """
        self.reserve(x.shape[0], training)
        with self.backend.isolated():
            if training:
                self._block.set_first_row(0)
            z = self._block.forward(x, training=training)
            if not logits:
                return self.activate(z, out)
            out = self.backend.xp.empty_like(z) if out is None else out
            out[...] = z
            return out

    def loss_of(
        self, x: Array, y: Array, *, training: bool, first_row: int = 0
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        """Compute the outputs and the loss of a batch on the device.

        Args:
            x: (B, *input_shape).
            y: (B,) class numbers or (B, C) rows.
            first_row: of the batch that x is a block of.
        Returns the inputs of the loss (outputs or logits) (B, C), the loss of each example (B,), and the
        gradient of the mean loss with respect to these inputs (B, C) for ``backward``; all on the device.
        """
        self.reserve(x.shape[0], training)
        buffers = self._loss_buffers(x)
        if training:
            self._block.set_first_row(first_row)
        loss_inputs = self._block.forward(x, training=training)
        if not self.reads_logits:
            loss_inputs = self.last_activation.forward(loss_inputs)
        self._loss_kernel(loss_inputs, y, buffers.losses, buffers.gradient)
        return loss_inputs, buffers.losses, buffers.gradient

    def backward(self, dy: Array) -> Array | None:
        """Write all parameter gradients, given the gradient from ``loss_of``; dy is overwritten.

        Returns None if the first trained layer returns no dx; ``Sequential.input_gradient`` makes it do so.
        """
        if not self.reads_logits:
            dy = self.last_activation.backward(dy)
        return self._block.backward(dy)

    @property
    def frozen_names(self) -> list[str]:
        """Names of the parameters that training does not change."""
        return list(self._block.frozen_values)

    def update(self) -> None:
        """Make one update from the current gradients; frozen parameters and their moments do not change."""
        with self.backend.isolated():
            self.apply_gradients()

    def apply_gradients(self) -> None:
        """Make one update as ``update`` does, in a training, which is isolated as a whole."""
        frozen = self.frozen_names
        if not frozen:
            self.optimizer_state.step()
            return
        vectors = (self.parameters.vector, *self.optimizer_state.vectors.values())
        views = [named[name] for named in map(self.parameters.views, vectors) for name in frozen]
        before = [self.backend.xp.asarray(view, copy=True) for view in views]
        with finally_call(lambda: set_arrays(views, before)):
            self.optimizer_state.step()
