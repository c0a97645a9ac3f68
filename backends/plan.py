"""Plan: one update of a network of dense layers as data, so that a backend can run it as one unit.

A backend declares by ``PlanForms`` which plans it compiles.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backends.reference import ACTIVATIONS, Kernels
from backends.reference.signatures import Array, OptimizerStep


@dataclass(frozen=True)
class PlannedLayer:
    """One layer, y = f(x W + b), with its gradients and optimizer slots.

    Attributes:
        activation: the name of f.
        W: (n_in, n_out). b: (n_out,) or None.
        dW, db: their gradients, to be written; same shapes.
        slots: for each optimizer slot, the arrays for W and b; same shapes.
    """

    activation: str
    W: Array
    b: Array | None
    dW: Array
    db: Array | None
    slots: tuple[tuple[Array, Array | None], ...]


class Compressed(NamedTuple):
    """A sparse matrix of N rows, as SciPy's CSR; the columns of a row are sorted and unique."""

    values: Array  # (nnz,), the backend's dtype
    columns: Array  # (nnz,) int32
    starts: Array  # (N + 1,) int64: row i is starts[i]:starts[i + 1]
    shape: tuple[int, int]

    @property
    def density(self) -> float:
        """The share of nonzero numbers."""
        return float(self.values.shape[0] / (self.shape[0] * self.shape[1]))


@dataclass(frozen=True)
class Plan:
    """One update: load a batch, forward, loss, backward, optimizer step, sums of loss and accuracy.

    The loss is the cross-entropy of class numbers, and it includes the last layer's softmax. The arrays are
    the model's own: an update reads and writes them exactly as layer-by-layer execution does.

    Attributes:
        x: (N, n_in), uint8 or the backend's dtype, or ``Compressed``. scale: factor of each batch of x.
        y: (N,) int64, class numbers.
        order: (batches, B) int64, the rows of each batch. position: (1,) int64, the next batch.
        layers: the last has the activation "linear"; its outputs are the logits.
        vectors: (n,) each: all values, all gradients, each optimizer slot. The layers' arrays are views.
        optimizer: its kernel, a bound method. settings, control: the kernel's arguments; control is (4,).
        rates: (R,) learning rate of each update; the last one repeats. If R > 1, an update first writes its
            rate to ``control[RATE]`` (``backends.reference.optimizers``). If R = 1, it must leave
            ``control[RATE]`` as it is, since a callback may have changed it.
        sums: of the epoch: the losses, then the number of correct predictions if ``accuracy``, then others.
        forms: a backend that records the updates adds "graphs" to it.
        label_smoothing: e in [0, 1); the target of the loss is 1 - e + e / C for the class and e / C for the
            others.
        examples: the training set, if x holds one batch of it at a time. A choice between forms of the update
            may depend on its numbers, but not on those of a batch. None: x.
    """

    x: Array | Compressed
    scale: float
    y: Array
    order: Array
    position: Array
    layers: tuple[PlannedLayer, ...]
    vectors: tuple[Array, ...]
    optimizer: OptimizerStep
    settings: tuple[Any, ...]
    control: Array
    rates: Array
    sums: Array
    accuracy: bool
    label_smoothing: float = 0.0
    examples: Array | Compressed | None = None
    forms: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class PlanForms:
    """The plans that a backend compiles: the values of each property. Defaults: all that a plan can have.

    The backend refuses other plans. The agreement check trains with every pair of these values, and requires
    that each of these trainings runs as a plan.

    Attributes:
        optimizers: names of the kernels. max_slots: largest number of the optimizer's slots.
        examples: "bytes", "numbers" (of the backend's dtype) and "sparse" (``Compressed``).
        max_density: largest share of nonzero numbers in sparse examples.
        smoothing: whether labels may be smoothed.
    """

    dtypes: tuple[str, ...] = ("float32", "float64")
    optimizers: tuple[str, ...] = ("sgd", "adagrad", "rmsprop", "adam")
    max_slots: int = 3
    activations: tuple[str, ...] = tuple(kind for kind in ACTIVATIONS if kind != "softmax")
    examples: tuple[str, ...] = ("bytes", "numbers", "sparse")
    max_density: float = 1.0
    smoothing: bool = True
    min_layers: int = 1
    max_batch_size: int = 2**31
    max_classes: int = 2**31

    def contain(self, plan: Plan, kernels: Kernels) -> bool:
        """Return whether a plan, with an optimizer of these kernels, has the declared values."""
        dtype = str(plan.vectors[0].dtype)
        if isinstance(plan.x, Compressed):
            form = "sparse" if plan.x.density <= self.max_density else ""
        else:
            form = {"uint8": "bytes", dtype: "numbers"}.get(str(plan.x.dtype), "")
        return (
            dtype in self.dtypes
            and form in self.examples
            and any(plan.optimizer == getattr(kernels, name) for name in self.optimizers)
            and len(plan.vectors) - 2 <= self.max_slots
            and all(layer.activation in self.activations for layer in plan.layers)
            and (self.smoothing or plan.label_smoothing == 0.0)
            and self.min_layers <= len(plan.layers)
            and 0 < plan.order.shape[1] <= self.max_batch_size
            and plan.layers[-1].W.shape[1] <= self.max_classes
        )
