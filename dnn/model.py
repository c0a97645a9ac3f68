"""Sequential: layers one after another, a goal, and an optimizer that looks for the best parameters.

The lecture's three steps are the three calls: build the model, ``compile`` the goal, ``fit``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.errors import shown
from dnn import inputs
from dnn.callbacks import Callback, History
from dnn.inference import Evaluation, evaluate, predict
from dnn.layers import Layer
from dnn.losses import Loss, get_loss, weigh
from dnn.names import layer_names, look_up
from dnn.optimizers import Optimizer, OptimizerState, get_optimizer
from dnn.parameters import Parameters
from dnn.penalties import Penalty
from dnn.random import stream_key
from dnn.summary import summary_lines
from dnn.training_state import TrainingState

Array = Any
METRICS = ("accuracy",)


class Sequential:
    """A feed-forward network on one backend.

    Args:
        layers: at least one, new ones; the last one's output is (C,).
        input_shape: of one example, without the batch axis; images are (H, W, C).
        backend: from ``get_backend``: the library, device and dtype that everything lives in.
        seed: of the initial weights and of the shuffles; equal seeds give equal ones on all backends.

    Attributes:
        layers, input_shape, backend, seed: as given.
        outputs: C, how many numbers the network returns for an example.
        parameters: the flat vectors of values and gradients.
        epochs_done: epochs trained so far; ``fit`` goes on from there.
        stop_training: a callback sets it at an epoch's end, and ``fit`` returns.

    Raises:
        InputError: no layers, a layer that is in another model, or shapes that do not fit.

    >>> from backends import get_backend
    >>> from dnn import Dense
    >>> model = Sequential(
    ...     [Dense(500, "relu"), Dense(10, "softmax")],
    ...     input_shape=(784,), backend=get_backend("numpy"),
    ... )
    >>> model.parameters.count
    397510
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        input_shape: tuple[int, ...],
        backend: Backend,
        seed: int = 0,
    ) -> None:
        inputs.require_list("layers", layers)
        inputs.require_list("input_shape", input_shape)
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
        self.seed = seed
        self.input_shape = tuple(inputs.positive_integer("input_shape", n) for n in input_shape)
        self.epochs_done = 0
        self.stop_training = False
        self.metrics: tuple[str, ...] = ()
        self.loss: Loss | None = None
        self.optimizer_state: OptimizerState
        self._build()

    # ----- step 1: the model

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
        for layer in self.layers:
            shorts = list(layer.parameter_shapes())
            layer.attach(*({n: view[f"{layer.name}.{n}"] for n in shorts} for view in views))
        for i, layer in enumerate(self.layers):
            for short, values in layer.initial_values(stream_key(self.seed, "weights", i)).items():
                host = np.ascontiguousarray(values.astype(self.backend.dtype_name))
                layer.value[short][...] = self.backend.from_host(host)

    # ----- step 2: the goal

    def compile(
        self,
        loss: str | Loss = "categorical_crossentropy",
        optimizer: str | Optimizer = "adam",
        metrics: Sequence[str] = METRICS,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        """Choose the goal and the way to its best parameters.

        Args:
            loss: a name in ``dnn.losses.LOSSES`` or a Loss.
            optimizer: a name in ``dnn.optimizers.OPTIMIZERS`` or an Optimizer with its settings.
            metrics: ("accuracy",), or () to count nothing.
            l1, l2: the price of large weights (see ``dnn.penalties``); reported losses are without it.

        Raises:
            InputError: an unknown name, something else, or a loss that does not fit the last layer.
        """
        loss = get_loss(loss)
        optimizer = get_optimizer(optimizer)
        inputs.require_list("metrics", metrics)
        for metric in metrics:
            look_up("metric", metric, dict.fromkeys(METRICS))
        loss.check_network(self.layers, self.outputs)
        penalty = Penalty(self.parameters, l1, l2)
        self.optimizer_state = OptimizerState(optimizer, self.parameters, self.backend)
        self.penalty = penalty if l1 or l2 else None
        self.loss, self.metrics = loss, tuple(metrics)
        self.optimizer = optimizer
        self._loss_buffers: dict[int, tuple[Array, Array]] = {}
        # The loss takes logits and contains the activation, so the last layer leaves it out.
        self._logits_out = loss.activation is not None and loss.activation == self.layers[-1].activation
        self._loss_kernels = loss.bind(self.backend)

    def _require_compiled(self) -> Loss:
        if self.loss is None:
            raise InputError("the model has no loss yet, expected a call of model.compile before")
        return self.loss

    # ----- forward and backward

    def reserve(self, batch: int, training: bool) -> None:
        """Make every buffer for batches of this size."""
        for layer in self.layers:
            layer.reserve(batch, training)
        if self.loss is not None and batch not in self._loss_buffers:
            zeros = self.backend.zeros
            self._loss_buffers[batch] = zeros(batch), zeros((batch, self.outputs))

    def forward(self, x: Array, *, training: bool, logits: bool = False) -> Array:
        """The network's output (B, C) for a reserved batch x (B, *input_shape) on the device.

        In training dropout, noise and batch normalisation do what they do there. With ``logits`` the
        last layer's activation is left out.
        """
        for layer in self.layers[:-1]:
            x = layer.forward(x, training=training)
        last = self.layers[-1]
        run = last.forward_logits if logits else last.forward
        return run(x, training=training)

    def backward(self, dy: Array, logits: bool = False) -> None:
        """Write all parameter gradients, from the gradient of the loss with respect to the output.

        dy (B, C) is overwritten. With ``logits`` it is the gradient with respect to the logits.
        """
        last = self.layers[-1]
        gradient = last.backward_logits(dy) if logits else last.backward(dy)
        for layer in reversed(self.layers[:-1]):
            if gradient is None:  # nothing before is trained
                break
            gradient = layer.backward(gradient)

    def loss_and_gradients(self, x: Array, y: Array, kind: str, weights: Any = None) -> tuple[Array, Array]:
        """Forward, loss and backward on one reserved batch, all on the device.

        Args:
            x: (B, *input_shape).
            y: (B,) class numbers (kind "integer") or (B, C) (kind "dense").
            weights: (B,) of the examples, for the weighted mean; None: the mean.

        Returns:
            The outputs or logits that the loss took (B, C), and each example's loss times its weight (B,).
        """
        outputs, losses, gradient = self.loss_of(x, y, kind, training=True)
        if weights is not None:
            weigh(self.backend.xp, weights, losses, gradient)
        self.backward(gradient, self._logits_out)
        return outputs, losses

    def loss_of(self, x: Array, y: Array, kind: str, *, training: bool) -> tuple[Array, Array, Array]:
        """Forward and loss: (outputs or logits, each example's loss, gradient of the mean loss)."""
        outputs = self.forward(x, training=training, logits=self._logits_out)
        losses, gradient = self._loss_buffers[x.shape[0]]
        self._loss_kernels[kind](outputs, y, losses, gradient)
        return outputs, losses, gradient

    # ----- step 3: find the best parameters, then use them

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int = 100,
        epochs: int = 1,
        validation_split: float = 0.0,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Sequence[Callback] = (),
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        resume: TrainingState | None = None,
    ) -> History:
        """Train: each epoch takes every example once, in batches, with one update a batch.

        A second ``fit`` goes on where the first ended: 5 and 5 epochs are 10. The last batch may be shorter.

        Args:
            x: (N, *input_shape), uint8 (v stands for v / 255) or the backend's dtype; a host NumPy
                array (moved to the device once) or an array of the backend.
            y: (N,) class numbers, or (N, C) rows of the backend's dtype; with one output, (N,) values.
            batch_size, epochs: from 1; a batch has at most N examples.
            validation_split: the last examples, this share of them, are evaluated after each epoch only.
            validation_data: (x, y) or (x, y, sample_weight) to evaluate after each epoch instead.
            callbacks: are told of each epoch; see ``dnn.callbacks``.
            shuffle: a new order each epoch, keyed by the model's seed and the epoch's number.
            class_weight: class number -> weight of its examples (else 1); not in validation.
            sample_weight: (N,) numbers from 0, for the weighted mean of the loss (``dnn.losses``).
            resume: go on from this state; epochs then counts from the start, so that the same call with it
                ends where it would have ended without a stop (at once, if it had).

        Returns:
            A number an epoch for loss, accuracy, val_loss, val_accuracy and seconds.

        Raises:
            InputError: not compiled, or an argument that does not fit; nothing was changed.
        """
        from dnn.training import train

        self._require_compiled()
        return train(
            self, x, y, batch_size=batch_size, epochs=epochs, validation_split=validation_split,
            validation_data=validation_data, callbacks=callbacks, shuffle=shuffle,
            class_weight=class_weight, sample_weight=sample_weight, resume=resume,
        )  # fmt: skip

    def evaluate(self, x: Any, y: Any, batch_size: int = 1000, sample_weight: Any = None) -> Evaluation:
        """Mean loss and share of right predictions; arguments as in ``fit``.

        Raises:
            InputError: not compiled, or an argument that does not fit.
        """
        self._require_compiled()
        return evaluate(self, x, y, batch_size, sample_weight)

    def predict(self, x: Any, batch_size: int = 1000) -> np.ndarray:
        """The network's outputs for each example, (N, C), as a host NumPy array; x as in ``fit``.

        Raises:
            InputError: an argument that does not fit.
        """
        return predict(self, x, batch_size)

    # ----- saying what it is

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table: each layer, its output shape, and how many parameters it has."""
        for line in summary_lines(self):
            print_fn(line)

    def config(self) -> dict[str, Any]:
        """The architecture as JSON values: what a checkpoint holds beside the weights."""
        return {
            "input_shape": list(self.input_shape),
            "layers": [{"type": type(x).__name__, **x.config()} for x in self.layers],
            "loss": None if self.loss is None else self.loss.name,
            "loss_settings": {} if self.loss is None else self.loss.settings(),
        }
