"""A plan: what an update of a network of dense layers does, as data, for a backend that can do it whole."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from backends.reference.signatures import Array


@dataclass(frozen=True)
class PlannedLayer:
    """y = f(x W + b) of one layer, and where its parameters' slots lie.

    ``W`` is (n_in, n_out), ``b`` (n_out,) or None; ``dW``, ``db`` are where their gradients belong. ``slots``
    holds for each slot of the optimizer what lies beside W and b: arrays of their shapes.
    """

    activation: str
    W: Array
    b: Array | None
    dW: Array
    db: Array | None
    slots: tuple[tuple[Array, Array | None], ...]


class Compressed(NamedTuple):
    """N rows of which only what is not 0 is kept, as in SciPy's CSR; columns in order, each at most once."""

    values: Array  # (nnz,) of the backend's dtype
    columns: Array  # (nnz,) int32
    starts: Array  # (N + 1,) int64: row i is from starts[i] to starts[i + 1]
    shape: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """An update: pick a batch, forward, loss, backward, a step of the optimizer, sums.

    The last layer's softmax belongs to the loss, the cross-entropy of class numbers. All arrays are those of
    the model and the training, which a run reads and changes as the layers would.

    Attributes:
        x: (N, n_in) uint8 or of the backend's dtype, or compressed; times ``scale`` when a batch is picked.
        y: (N,) int64. order: (batches, B) int64, the rows of each batch; position: (1,) int64, the next one.
        layers: the last has activation "linear": it gives the logits.
        vectors: of which the layers' arrays are views: values, gradients, each slot of the optimizer; (n,).
        optimizer: the name of its kernel. settings: the kernel's. control: (4,), as it takes it.
        rates: (R,) learning rate of each update; the last one for all after them.
        sums: (3,): of the examples' losses, and of right answers if ``accuracy``.
        unroll: how many updates a backend that records them replays at a time.
    """

    x: Array | Compressed
    scale: float
    y: Array
    order: Array
    position: Array
    layers: tuple[PlannedLayer, ...]
    vectors: tuple[Array, ...]
    optimizer: str
    settings: tuple[Any, ...]
    control: Array
    rates: Array
    sums: Array
    accuracy: bool
    unroll: int = 25
