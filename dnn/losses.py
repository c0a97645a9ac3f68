"""Losses: the number that training minimises, and its gradient with respect to the network's output.

One kernel computes both. The loss of a batch is the mean, or with weights the weighted mean
sum_i w_i l_i / sum_i w_i as in torch (Keras divides by the batch size). Ignored examples have weight 0.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np

from backends import Array, Backend, InputError
from backends.reference import ACTIVATIONS
from backends.reference.arithmetic import quotient
from backends.reference.losses import one_hot
from backends.reference.signatures import LossFunction
from backends.table import Table
from dnn.inputs.advice import expression_of
from dnn.keras_names import Uncallable
from dnn.layers.layer import Layer
from dnn.settings.base import SampleSettings, Settings
from dnn.settings.checks import ClassNumber, Fraction, require_number, resolve

__all__ = [
    "LOSSES", "BinaryCrossentropy", "CategoricalCrossentropy", "Hinge", "Loss", "MeanAbsoluteError",
    "MeanSquaredError", "SparseCategoricalCrossentropy",
]  # fmt: skip


class Loss(Uncallable, Settings):
    """Base of losses: settings. A subclass defines ``compute``, or ``bind``."""

    explained_as = "loss"
    name: ClassVar[str]  # in ``compile`` and in checkpoints
    activation: ClassVar[str | None] = None  # last activation, if the loss contains it and takes logits
    target_range: ClassVar[tuple[float, float] | None] = None  # range of values in rows of targets; None: any
    cure = ""  # advice in the error for rows out of range
    rows = True  # whether targets may be rows, besides class numbers
    threshold = 0.5  # with one output: the answer is yes if the loss's input is above this
    elementwise = False  # whether each of several outputs is such a yes-or-no answer
    # Function of (outputs (B, C), one-hot rows) on the host, 0 where the gradient jumps; None: no jumps.
    kink: ClassVar[Any] = None
    row_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)  # default metrics of targets in rows
    output_activation = "softmax"  # of the last layer of a classifier with this loss

    @property
    def ignored_class(self) -> int | None:
        """Class number of the examples that loss and metrics ignore; None: there are none."""
        return getattr(self, "ignore_index", None)

    def bind(self, backend: Backend) -> LossFunction:
        """Return a kernel of ``backends.reference.losses``, or a function like these; it calls ``compute``.

        It reads outputs or logits (B, C) and targets (B,) or (B, C); it writes losses (B,) and the gradient.
        """

        def run(outputs: Array, targets: Array, losses: Array, gradient: Array) -> None:
            losses[...], dy = self.compute(backend.xp, outputs, one_hot(backend.xp, targets, outputs))
            gradient[...] = quotient(backend.xp, dy, outputs.shape[0])

        return run

    def compute(self, xp: Any, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return the loss of each example (B,) and its gradient (B, C).

        ``xp`` is the array API namespace; outputs and targets are (B, C).
        """
        raise NotImplementedError(f"loss {self.name!r} has neither compute nor bind")

    def check_network(self, layers: Sequence[Layer], n_outputs: int) -> None:
        """Check that the last layers fit the loss.

        Raises InputError: the last activation is neither "linear" nor the one that the loss contains, or the
        latter comes earlier, so that it would be applied twice.
        """
        if self.activation is None:
            return
        if (last := layers[-1].activation) not in (self.activation, "linear"):
            either = f"{self.activation!r} (or 'linear', if the outputs are logits)"
            got = f"the last layer's activation is {last!r}"
            raise InputError(got, f"{either} with the loss {self.name!r}")
        for after, layer in pairwise(layers[::-1]):
            if after.activation not in ("linear", self.activation) or after.parameter_shapes():
                return
            if layer.activation == self.activation:
                got = f"layer {layer.name!r} ends in {layer.activation} and is followed by {after.name!r}"
                why = f"the loss {self.name!r} contains the {layer.activation}"
                raise InputError(got, f"the reverse order, with one {layer.activation}: {why}")

    def check_targets(self, backend: Backend, argument: str, y: Array) -> None:
        """Check targets (N,) or (N, C) on the device against the loss; reads them back.

        Raises InputError: rows, if the loss needs class numbers, or rows with values out of range.
        """
        if y.ndim != 1 and not self.rows:
            got = f"{argument} has shape {tuple(y.shape)}"
            name = expression_of(argument)
            cure = f"use {name}.argmax(axis=1), or for lists numpy.argmax({name}, axis=1)"
            raise InputError(got, f"class numbers ({y.shape[0]},) with the loss {self.name!r}", cure)
        if y.ndim == 1 or self.target_range is None:
            return
        low = float(backend.xp.min(y))
        high = float(backend.xp.max(y)) + 0.0  # no "-0" in the message
        first, last = self.target_range
        if low < first or high > last:
            got = f"{argument} holds values from {low:g} to {high:g}"
            raise InputError(got, f"{first:g} to {last:g} with the loss {self.name!r}", self.cure)


class CategoricalCrossentropy(Loss):
    """L = -1/B sum_i sum_c t_ic log softmax(logits_i)_c, for class numbers or rows of probabilities.

    Args:
        label_smoothing: e in [0, 1): targets become (1 - e) t + e / C, as in torch.nn.CrossEntropyLoss
            (Szegedy et al. 2016); also in the loss of ``evaluate``.
        ignore_index: class number of examples to leave out of loss, gradient, means and metrics; any integer
            (-100 in torch). None: there are none.
    Raises InputError: label_smoothing is out of range.
    """

    label_smoothing: Fraction = 0.0
    ignore_index: ClassNumber = None

    name = "categorical_crossentropy"
    activation = "softmax"
    target_range = (0.0, 1.0)
    cure = "use class numbers, or divide each row by its sum"
    examples: ClassVar[SampleSettings] = ({}, {"label_smoothing": 0.1})

    def bind(self, backend: Backend) -> LossFunction:
        kernel = backend.kernels.softmax_cross_entropy
        e = self.label_smoothing
        ignored = self.ignored_class
        xp = backend.xp

        def run(logits: Array, targets: Array, losses: Array, dlogits: Array) -> None:
            if ignored is not None and targets.ndim == 1:  # any valid class: the weight is 0
                targets = xp.where(targets == ignored, xp.zeros_like(targets), targets)
            if e:
                targets = (1.0 - e) * one_hot(xp, targets, logits) + e / logits.shape[1]
            kernel(logits, targets, losses, dlogits)

        return run

    def check_network(self, layers: Sequence[Layer], n_outputs: int) -> None:
        if n_outputs == 1:
            got = "the network has 1 output, and the softmax of one number is always 1"
            cure = (
                "to predict values end in Dense(1) with the loss 'mse'; for two classes end in "
                "Dense(1, 'sigmoid') with the loss 'binary_crossentropy', or in Dense(2, 'softmax')"
            )
            raise InputError(got, f"one for each class with the loss {self.name!r}", cure)
        super().check_network(layers, n_outputs)


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """``CategoricalCrossentropy`` under Keras's name for class numbers; rows are an error."""

    name = "sparse_categorical_crossentropy"
    rows = False
    examples = ({},)


def _check_weights(argument: str, value: Any) -> float | tuple[float, ...]:
    """Return a number of at least 0, or a tuple of them. Raises InputError: another value."""
    if isinstance(value, (list, tuple)):
        return tuple(require_number(argument, weight, 0.0) for weight in value)
    return require_number(argument, value, 0.0)


class BinaryCrossentropy(Loss):
    """L = -1/(B C) sum_ic t log p + (1 - t) log(1 - p), p = sigmoid(logits): yes or no for each output.

    With more than one output, class numbers become one-hot rows. As in torch.nn.BCEWithLogitsLoss, t log p is
    multiplied by ``pos_weight``: one number, or one for each output, finite and at least 0.
    """

    pos_weight: Annotated[float | tuple[float, ...], _check_weights] = 1.0

    name = "binary_crossentropy"
    examples = ({}, {"pos_weight": 2.5})
    activation = output_activation = "sigmoid"
    target_range = (0.0, 1.0)
    cure = (
        "for three classes or more end in Dense(classes, 'softmax') with the loss "
        "'categorical_crossentropy'; use 0 for no and 1 for yes"
    )
    threshold = 0.0
    elementwise = True

    def check_network(self, layers: Sequence[Layer], n_outputs: int) -> None:
        super().check_network(layers, n_outputs)
        if isinstance(w := self.pos_weight, tuple) and len(w) != n_outputs:
            raise InputError(f"pos_weight has {len(w)} numbers", f"{n_outputs}, one for each output")

    def bind(self, backend: Backend) -> LossFunction:
        """Return the kernel plus (pos_weight - 1) t softplus(-z), with softplus(-z) = log(1 + e^-z)."""
        kernel = backend.kernels.sigmoid_cross_entropy
        if self.pos_weight == 1.0:
            return kernel
        xp = backend.xp
        softplus = ACTIVATIONS["softplus"]
        extra = backend.from_host(np.atleast_1d(self.pos_weight).astype(backend.dtype_name)) - 1.0

        def run(z: Array, targets: Array, losses: Array, dlogits: Array) -> None:
            kernel(z, targets, losses, dlogits)
            t = extra * one_hot(xp, targets, z)
            loss = softplus.forward(xp, -z)
            losses[...] = losses + xp.mean(t * loss, axis=1)
            slope = softplus.backward(xp, t, -z, loss)
            dlogits[...] = dlogits - quotient(xp, slope, z.shape[0] * z.shape[1])

        return run


class Regression(Loss):
    """Base of losses for values: the default metrics of rows are the mean absolute error and R2."""

    row_metrics = "mean_absolute_error", "r2"


class MeanSquaredError(Regression):
    """L = 1/(B C) sum_i sum_c (y_ic - t_ic)^2, for class numbers (as one-hot rows) or rows of values."""

    name = "mean_squared_error"

    def bind(self, backend: Backend) -> LossFunction:
        return backend.kernels.mean_squared_error


class MeanAbsoluteError(Regression):
    """L = 1/(B C) sum_i sum_c |y_ic - t_ic|, targets as in MeanSquaredError; torch.nn.L1Loss."""

    name = "mean_absolute_error"
    kink = staticmethod(lambda y, t: y - t)

    def bind(self, backend: Backend) -> LossFunction:
        return backend.kernels.mean_absolute_error


class Hinge(Loss):
    """L = 1/(B C) sum_i sum_c max(0, 1 - s_ic y_ic), s = 1 where the target is above 0, else -1.

    Keras's Hinge: each class against the rest, with a linear (or tanh) last layer. Targets are class numbers
    or rows of 0 and 1, or of -1 and 1. (torch.nn.MultiMarginLoss compares the class with each other class.)
    """

    name = "hinge"
    target_range = (-1.0, 1.0)
    cure = "use 0 and 1, or -1 and 1"
    threshold = 0.0
    elementwise = True
    output_activation = "linear"
    kink = staticmethod(lambda y, t: 1.0 - np.where(t > 0, y, -y))

    def bind(self, backend: Backend) -> LossFunction:
        return backend.kernels.hinge


LOSSES: Table[type[Loss]] = Table("loss", {c.name: c for c in (
    CategoricalCrossentropy, SparseCategoricalCrossentropy, BinaryCrossentropy,
    MeanSquaredError, MeanAbsoluteError, Hinge,
)})  # fmt: skip
"""Every loss by name. Add your own with ``LOSSES.add("mine", Mine)``."""


def get_loss(loss: str | Loss) -> Loss:
    """Return the loss itself, or the one of this name with default settings. Raises InputError."""
    example = (
        "a loss such as MeanSquaredError() or CategoricalCrossentropy(), or your own, a subclass of "
        "dnn.losses.Regression whose compute(self, xp, outputs, targets) returns the loss of each example "
        "(B,) and its gradient (B, C): docs/guide/own-parts.md"
    )
    return resolve("loss", loss, LOSSES, Loss, example)


def apply_weights(
    xp: Any, weights: Array, losses: Array, gradient: Array, batch_weights: Array = None
) -> None:
    """Apply weights in place: losses_i *= w_i (B,) and gradient_i *= w_i B / sum w (B, C), 0 if all w are 0.

    If the B examples are a block of a batch, the sum is over ``batch_weights``, the weights of the batch.
    """
    total = xp.sum(weights if batch_weights is None else batch_weights, axis=0, keepdims=True)
    scale = weights * quotient(xp, weights.shape[0], xp.where(total == 0, xp.ones_like(total), total))
    losses[...] = losses * weights
    gradient[...] = gradient * scale[:, None]
