"""One update on one batch: the only place where it is written what an update does.

Everything that varies between updates (the position in the epoch, the optimizer's counters, the loss so far)
is in arrays on the device. So an update reads nothing back, and a backend may record one and replay it
(``dnn.training.runners``).
"""

from backends import Array
from dnn.losses import weigh
from dnn.network import Network
from dnn.training.totals import Totals
from dnn.validation.examples import Examples
from dnn.validation.rows import row_gatherer


def gradients(
    network: Network, x: Array, y: Array, weights: Array | None = None, totals: Totals | None = None
) -> Array:
    """Forward, loss and backward on one reserved batch: all of an update but the optimizer's step.

    Afterwards the network's gradients are those of the batch's (weighted) mean loss and of the penalty; of
    frozen layers they are 0. Returns each example's loss times its weight, (B,).

    Args:
        x: (B, *input_shape); y: (B,) class numbers or (B, C) rows.
        weights: (B,) of the examples; None: all count alike.
        totals: where the batch is added.
    """
    outputs, losses, dy = network.loss_of(x, y, training=True)
    if weights is not None:
        weigh(network.backend.xp, weights, losses, dy)
    network.backward(dy)
    finish_gradients(network)
    if totals is not None:
        totals.add(outputs, y, losses, weights)
    return losses


def finish_gradients(network: Network) -> None:
    """To the gradients of the loss those of the penalty; and 0 for frozen layers."""
    if network.penalty is not None:
        network.penalty.add_gradients()
    for name in network.frozen_names:
        network.parameters.gradient[name][...] = 0.0


class TrainingStep:
    """Pick the next batch and make one update on it. No arguments, no read: a backend may record it.

    Where the batch is cut into blocks, ``dnn.distributed.blocks.BlockedStep`` does it.

    Args:
        examples: all of them; network: compiled.
        order: (batches, B) int64, which rows make which batch; a view that the caller refills.
        totals: where the losses and right predictions are added.
    """

    blocks = 1

    def __init__(self, network: Network, examples: Examples, order: Array, totals: Totals) -> None:
        self.network = network
        self.order = order
        self.totals = totals
        self.x, self.y, self.weights = examples
        backend = network.backend
        self.size = order.shape[1]
        self.position = backend.zeros(1, dtype=backend.xp.int64)
        self.index = backend.zeros((1, self.size), dtype=backend.xp.int64)
        self.batch_weights = None if self.weights is None else backend.zeros(self.size)
        self._gather, self._gather_x = backend.kernel("gather_rows"), row_gatherer(backend, self.x)
        self.scale = network.scale
        self.reserve()

    def reserve(self) -> None:
        self.network.reserve(self.size, training=True)
        self.batch_x, self.batch_y = self.arrays(self.size)

    def arrays(self, n: int) -> tuple[Array, Array]:
        """Room for n examples and their targets."""
        x = self.x
        y = self.y
        zeros = self.network.backend.zeros
        return zeros((n, *x.shape[1:])), zeros((n, *y.shape[1:]), dtype=y.dtype)

    def seek(self, batch: int) -> None:
        """Go on with this batch of ``order``."""
        self.position[...] = batch

    def __call__(self) -> None:
        self.pick()
        self.learn()

    def pick(self) -> None:
        """Fill the batch's arrays from the next row of ``order``."""
        self.pick_numbers()
        self.pick_rows(self.index[0, ...], self.batch_x, self.batch_y)

    def pick_numbers(self) -> None:
        """Which examples the batch has, and their weights."""
        self._gather(self.order, self.position, self.index, 1.0)
        if self.weights is not None:
            self._gather(self.weights, self.index[0, ...], self.batch_weights, 1.0)
        self.position += 1

    def pick_rows(self, index: Array, x: Array, y: Array) -> None:
        """Into x and y the examples and targets with these numbers (B,)."""
        self._gather_x(self.x, index, x, self.scale)
        self._gather(self.y, index, y, 1.0)

    def learn(self) -> None:
        gradients(self.network, self.batch_x, self.batch_y, self.batch_weights, self.totals)
        self.network.update()
