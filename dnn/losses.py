"""Goals: the number that training makes small, and its gradient with respect to the network's output.

Both come from one kernel, which also divides by the batch size: the goal is the batch's mean loss. With
weights it is the weighted mean, sum_i w_i l_i / sum_i w_i over the batch, as torch's losses have it with
``weight`` (Keras divides by the batch size instead).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from backends import Backend, InputError
from backends.dispatch import Kernel
from backends.reference import ACTIVATIONS
from backends.reference.losses import TARGETS, as_dense
from backends.table import Table
from dnn.layers.description import plain
from dnn.layers.layer import Layer
from dnn.validation.ranges import Checked, Share
from dnn.validation.settings import LATER, made, require_number

__all__ = [
    "LOSSES", "BinaryCrossentropy", "CategoricalCrossentropy", "Hinge", "Loss", "MeanAbsoluteError",
    "MeanSquaredError", "SparseCategoricalCrossentropy",
]  # fmt: skip

Array = Any


@dataclass(frozen=True)
class Loss(Checked):
    """A goal; a frozen dataclass of its settings, and a kernel by name.

    Attributes:
        name: in ``compile`` and in checkpoints.
        kernel: the kernel that computes it, for ``bind``.
        activation: the output activation that the kernel contains, so that it takes the network's
            logits; None: the kernel takes the network's output as it is.
        span: smallest and largest value in rows of targets; None: any.
        cure: what to do with rows that hold others.
        rows: whether targets may be rows too, beside class numbers.
        boundary: a network with one output says yes where what the loss takes is above this.
        elementwise: so does each of several outputs, where targets are rows.
        kink: (outputs (B, C), one-hot rows) on the host -> what is 0 where the gradient jumps; None: nowhere.
        examples: settings with which the checks make the loss; the first are its usual ones.
    """

    name: ClassVar[str]
    kernel: ClassVar[str] = ""
    activation: ClassVar[str | None] = None
    span: ClassVar[tuple[float, float] | None] = None
    cure: ClassVar[str] = ""
    rows: ClassVar[bool] = True
    boundary: ClassVar[float] = 0.5
    elementwise: ClassVar[bool] = False
    kink: ClassVar[Any] = None
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def measures(self, classes: bool) -> tuple[str, ...]:
        """The natural measures beside this loss, names in ``dnn.measures.MEASURES``.

        Args:
            classes: whether targets are class numbers, else rows of values.
        """
        return ("accuracy",)

    @property
    def ending(self) -> str:
        """A classifier's last activation with this loss."""
        return self.activation or "softmax"

    def bind(self, backend: Backend) -> dict[str, Kernel]:
        """Form of target -> function of (outputs or logits, targets, losses, their mean's gradient)."""
        if self.kernel:
            return {form: backend.kernel(self.kernel, form) for form in TARGETS}

        def run(form: str, outputs: Array, targets: Array, losses: Array, gradient: Array) -> None:
            rows = as_dense(backend.xp, form, targets, outputs)
            values, gradients = self.compute(backend.xp, outputs, rows)
            losses[...] = values
            gradient[...] = gradients / outputs.shape[0]

        return {form: partial(run, form) for form in TARGETS}

    def compute(self, xp: Any, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """In a loss of your own, without a kernel: each example's loss (B,) and its gradient (B, C), for
        outputs and targets (B, C); xp is the backend's array API namespace.
        """
        raise NotImplementedError(f"loss {self.name!r} has neither a kernel nor compute")

    def check_network(self, layers: Sequence[Layer], outputs: int) -> None:
        """Refuse layers whose end does not fit.
        Raises InputError: the last layer's activation is another than the loss's own or "linear", or the
        loss's own comes earlier, where the loss cannot take it out.
        """
        if self.activation is None:
            return
        last = layers[-1]
        if last.activation not in (self.activation, "linear"):
            raise InputError(
                f"the last layer's activation is {last.activation!r}, expected {self.activation!r} (or "
                f"'linear', whose outputs are then logits) with the loss {self.name!r}"
            )
        for layer, after in reversed(list(pairwise(layers))):
            if after.activation != "linear" or after.parameter_shapes():
                return
            if layer.activation == self.activation:
                raise InputError(
                    f"layer {layer.name!r} ends in {layer.activation} and is followed by {after.name!r}, "
                    f"expected the {layer.activation} last with the loss {self.name!r}, which contains it; "
                    f"put {after.name!r} before it"
                )

    def check_targets(self, backend: Backend, argument: str, y: Array) -> None:
        """Refuse admitted targets that do not fit, (N,) class numbers or (N, C) rows; reads the device.
        Raises InputError: rows where the loss takes none, or whose values are out of range.
        """
        if y.ndim != 1 and not self.rows:
            raise InputError(
                f"{argument} has shape {tuple(y.shape)}, expected class numbers ({y.shape[0]},) with the "
                f"loss {self.name!r}; use {argument}.argmax(axis=1)"
            )
        if y.ndim == 1 or self.span is None:
            return
        low, high = float(backend.xp.min(y)), float(backend.xp.max(y)) + 0.0  # no "-0" in the message
        if low < self.span[0] or high > self.span[1]:
            raise InputError(
                f"{argument} holds values from {low:g} to {high:g}, expected {self.span[0]:g} to "
                f"{self.span[1]:g} with the loss {self.name!r}; {self.cure}"
            )

    def settings(self) -> dict[str, Any]:
        """What makes it again, beside its name, as JSON values."""
        return {n: plain(v) for n, v in asdict(self).items() if n not in LATER or v != getattr(type(self), n)}


@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """L = -1/B sum_i sum_c t_ic log softmax(logits_i)_c, for class numbers or rows of probabilities.

    Args:
        label_smoothing: e in [0, 1), else InputError: targets become (1 - e) t + e / C, as in
            torch.nn.CrossEntropyLoss (Szegedy et al. 2016); evaluate's loss too.
    """

    label_smoothing: Share = 0.0

    name = "categorical_crossentropy"
    kernel = "softmax_cross_entropy"
    activation = "softmax"
    span = (0.0, 1.0)
    cure = "use class numbers, or divide each row by its sum"
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"label_smoothing": 0.1})

    def bind(self, backend: Backend) -> dict[str, Kernel]:
        kernels, e = super().bind(backend), float(self.label_smoothing)

        def smoothed(form: str, logits: Array, targets: Array, losses: Array, dlogits: Array) -> None:
            t = (1.0 - e) * as_dense(backend.xp, form, targets, logits) + e / logits.shape[1]
            kernels["dense"](logits, t, losses, dlogits)

        return {form: partial(smoothed, form) for form in TARGETS} if e else kernels

    def check_network(self, layers: Sequence[Layer], outputs: int) -> None:
        super().check_network(layers, outputs)
        if outputs == 1:
            raise InputError(
                f"the network has 1 output, expected one for each class with the loss {self.name!r}, since "
                f"the softmax of one number is always 1; use 'binary_crossentropy', or Dense(2, 'softmax')"
            )


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """``CategoricalCrossentropy`` for class numbers alone: Keras's name, which refuses rows."""

    name = "sparse_categorical_crossentropy"
    rows = False
    examples = ({},)


@dataclass(frozen=True)
class BinaryCrossentropy(Loss):
    """L = -1/(B C) sum_ic t log p + (1 - t) log(1 - p), p = sigmoid(logits): yes or no for each output.

    Class numbers with more than one output are one-hot rows. As torch.nn.BCEWithLogitsLoss.

    Args:
        pos_weight: t log p is multiplied by it, so that a yes counts more than a no; finite, at least 0, one
            number or one for each output.
    """

    pos_weight: float | tuple[float, ...] = 1.0

    name = "binary_crossentropy"
    examples = ({}, {"pos_weight": 2.5})
    kernel = "sigmoid_cross_entropy"
    activation = "sigmoid"
    span = (0.0, 1.0)
    cure = "use 0 for no and 1 for yes"
    boundary = 0.0
    elementwise = True

    def __post_init__(self) -> None:
        each = self.pos_weight if isinstance(self.pos_weight, (list, tuple)) else [self.pos_weight]
        numbers = tuple(require_number("pos_weight", weight, 0.0) for weight in each)
        object.__setattr__(self, "pos_weight", numbers if each is self.pos_weight else numbers[0])

    def check_network(self, layers: Sequence[Layer], outputs: int) -> None:
        super().check_network(layers, outputs)
        if isinstance(self.pos_weight, tuple) and len(self.pos_weight) != outputs:
            raise InputError(
                f"pos_weight has {len(self.pos_weight)} numbers, expected {outputs}, one for each output"
            )

    def bind(self, backend: Backend) -> dict[str, Kernel]:
        """With weights a yes has more: (pos_weight - 1) t times log(1 + e^-z), whose derivative is p - 1."""
        kernels, xp = super().bind(backend), backend.xp
        extra = backend.from_host(np.atleast_1d(self.pos_weight).astype(backend.dtype_name)) - 1.0

        def weighted(form: str, z: Array, targets: Array, losses: Array, dlogits: Array) -> None:
            kernels[form](z, targets, losses, dlogits)
            t, e = extra * as_dense(xp, form, targets, z), xp.exp(-xp.abs(z))
            below = xp.where(z < 0, -z, xp.zeros_like(z)) + xp.log1p(e)
            rest = xp.where(z < 0, xp.ones_like(e), e) / (1.0 + e)  # 1 - p without cancellation
            losses[...] = losses + xp.mean(t * below, axis=1)
            dlogits[...] = dlogits - t * rest / (z.shape[0] * z.shape[1])

        return kernels if self.pos_weight == 1.0 else {form: partial(weighted, form) for form in TARGETS}


@dataclass(frozen=True)
class Regression(Loss):
    """Base of losses for rows of values, whose natural measures are the mean absolute error and R2."""

    def measures(self, classes: bool) -> tuple[str, ...]:
        return super().measures(classes) if classes else ("mean_absolute_error", "r2")


@dataclass(frozen=True)
class MeanSquaredError(Regression):
    """L = 1/(B C) sum_i sum_c (y_ic - t_ic)^2, for class numbers (as one-hot rows) or rows of values."""

    name = "mean_squared_error"
    kernel = "mean_squared_error"


@dataclass(frozen=True)
class MeanAbsoluteError(Regression):
    """L = 1/(B C) sum_i sum_c |y_ic - t_ic|, targets as for squares; torch.nn.L1Loss."""

    name = "mean_absolute_error"
    kernel = "mean_absolute_error"
    kink = staticmethod(lambda y, t: y - t)


@dataclass(frozen=True)
class Hinge(Loss):
    """L = 1/(B C) sum_i sum_c max(0, 1 - s_ic y_ic), s = 1 where the target is above 0, else -1.

    Keras's Hinge: each class against the rest, for a last layer that is linear (or tanh). Targets are class
    numbers, or rows of 0 and 1, or of -1 and 1. (torch.nn.MultiMarginLoss is another: the right class
    against each of the others.)
    """

    name = "hinge"
    kernel = "hinge"
    span = (-1.0, 1.0)
    cure = "use 0 and 1, or -1 and 1"
    boundary = 0.0
    elementwise = True
    ending = "linear"
    kink = staticmethod(lambda y, t: 1.0 - np.where(t > 0, y, -y))

    def check_network(self, layers: Sequence[Layer], outputs: int) -> None:
        if ACTIVATIONS[last := layers[-1].activation].never_negative:
            raise InputError(
                f"the last layer's activation is {last!r}, expected 'linear' or 'tanh' with the loss "
                f"{self.name!r}, which wants outputs below -1 for what is not the class"
            )


LOSSES: Table[type[Loss]] = Table("loss", {c.name: c for c in (
    CategoricalCrossentropy, SparseCategoricalCrossentropy, BinaryCrossentropy,
    MeanSquaredError, MeanAbsoluteError, Hinge,
)})  # fmt: skip
"""Every loss by name; one of your own: ``LOSSES.add("mine", Mine)``."""


SHORT = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "bce": "binary_crossentropy"}
"""Keras's other names."""


def get_loss(loss: str | Loss) -> Loss:
    """The loss of this name with its usual settings, or the loss that it is; else InputError."""
    loss = SHORT.get(loss, loss) if isinstance(loss, str) else loss
    return made("loss", loss, LOSSES, Loss, "a loss such as MeanSquaredError()")


def weigh(xp: Any, weights: Array, losses: Array, gradient: Array) -> None:
    """From a mean to the weighted mean: ``losses_i = w_i losses_i``, ``gradient_i *= w_i B / sum w``.

    A batch whose weights are all 0 has the gradient 0. Reads weights (B,); writes losses (B,) and gradient
    (B, C), which hold the unweighted ones.
    """
    total = xp.sum(weights, axis=0, keepdims=True)
    share = weights * (weights.shape[0] / xp.where(total == 0, xp.ones_like(total), total))
    losses[...] = losses * weights
    gradient[...] = gradient * share[:, None]
