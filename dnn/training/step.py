"""One update on one batch; this module alone defines what an update does.

Everything that varies between updates (position in the epoch, counters of the optimizer, sum of losses) is in
arrays on the device. So an update reads nothing back, and a backend may record it and replay it
(``dnn.training.runners``).
"""

from typing import NamedTuple

from backends import Array, Backend, InputError
from dnn.distributed.group import Workers
from dnn.distributed.tree import require_blocks
from dnn.inputs.examples import Examples
from dnn.losses import apply_weights
from dnn.network import Network
from dnn.training.loading import BatchLoader
from dnn.training.totals import Totals


def gradients(
    network: Network, x: Array, y: Array, weights: Array | None = None, totals: Totals | None = None
) -> Array:
    """Compute the gradients of one batch: forward, loss and backward, buffers reserved.

    Afterwards ``network.parameters.gradient_vector`` is the gradient of the batch's (weighted) mean loss plus
    that of the penalty; it is 0 for frozen layers.

    Args:
        x: (B, *input_shape).
        y: (B,) class numbers or (B, C) rows.
        weights: (B,) weight of each example; None: all 1.
        totals: sums to which the batch is added; None: no sums.
    Returns the loss of each example times its weight, (B,).
    """
    loss_inputs, losses, dy = network.loss_of(x, y, training=True)
    if weights is not None:
        apply_weights(network.backend.xp, weights, losses, dy)
    network.backward(dy)
    finish_gradients(network)
    if totals is not None:
        totals.add(loss_inputs, y, losses, weights)
    return losses


def finish_gradients(network: Network) -> None:
    """Add the gradients of the penalty to those of the loss, and set those of frozen layers to 0."""
    if network.penalty is not None:
        network.penalty.add_gradients()
    for name in network.frozen_names:
        network.parameters.gradient_by_name[name][...] = 0.0


class Cut(NamedTuple):
    """How each batch is cut: the number of blocks, and the group of processes that share them."""

    blocks: int = 1
    workers: Workers = Workers()

    def check(self, backend: Backend) -> "Cut":
        """Return the same. Raises InputError: not a power of two, less than the workers, or CUDA graphs."""
        blocks = require_blocks(self.blocks, self.workers.size)
        if blocks > 1 and getattr(backend, "graphs", False):
            raise InputError(f"blocks is {blocks} with graphs", "1: a graph contains updates of one process")
        return Cut(blocks, self.workers)


WHOLE = Cut()


class TrainingStep:
    """Pick the next batch and make one update on it.

    A call takes no arguments and reads nothing back, so a backend may record it.
    ``dnn.training.blocks.BlockedStep`` is the step for batches that are cut into blocks.

    Args:
        network: compiled.
        examples: all examples of the training.
        order: (batches, B) int64, the rows of each batch; a view that the caller refills each epoch.
        totals: sums to which losses and metrics are added.
    """

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
        self._gather = backend.kernels.gather_rows
        self.reserve()

    def reserve(self) -> None:
        """Allocate the arrays of a batch and the buffers of the network."""
        self.network.reserve(self.size, training=True)
        self.allocate(self.size)

    def allocate(self, n: int, sparse: bool = True) -> None:
        """Allocate the arrays for n examples and their targets; arguments as of ``BatchLoader``."""
        self._load = BatchLoader(self.network, self.x, n, sparse).load
        self.batch_y = self.network.backend.zeros((n, *self.y.shape[1:]), dtype=self.y.dtype)

    def seek(self, batch: int) -> None:
        """Make this batch of ``order`` the next one."""
        self.position[...] = batch

    def __call__(self) -> None:
        self.pick()
        self.learn()

    def pick(self) -> None:
        """Load the batch of the next row of ``order``."""
        self.pick_numbers()
        index = self.index[0, ...]
        self.batch_x = self._load(self.x, index)
        self._gather(self.y, index, self.batch_y, 1.0)

    def pick_numbers(self) -> None:
        """Load the row numbers of the batch and the weights of its examples."""
        self._gather(self.order, self.position, self.index, 1.0)
        if self.weights is not None:
            self._gather(self.weights, self.index[0, ...], self.batch_weights, 1.0)
        self.position += 1

    def learn(self) -> None:
        """Make one update on the batch that is loaded."""
        gradients(self.network, self.batch_x, self.batch_y, self.batch_weights, self.totals)
        self.network.apply_gradients()
