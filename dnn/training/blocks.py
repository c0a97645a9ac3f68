"""An update on a batch that is cut into blocks, so that its bits do not depend on the number of workers.

The gradient of each block is computed as if the block were the batch, with one thread, one block after
another. The gradients, losses and metrics of the blocks are added in the order of a balanced binary tree
(``dnn.distributed.tree``). A worker computes one subtree of the blocks, and the sums of the workers are added
in the order of the same tree. So one worker and eight workers do the same floating-point operations.

Random layers draw for an example by its row in the batch. A layer that uses batch statistics, such as
BatchNormalization, sees one block at a time (Hoffer et al. 2017, "Train longer, generalize better", ghost
batches). Its running state becomes the mean of the states after each block.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from math import prod

from backends import Array, Backend, InputError
from dnn.distributed.tree import block_bounds, tree_sum
from dnn.inputs.examples import Examples
from dnn.io.notices import warn
from dnn.layers.layer import Layer
from dnn.losses import apply_weights
from dnn.network import Network
from dnn.training.step import Cut, TrainingStep, finish_gradients
from dnn.training.totals import Totals


class BlockedStep(TrainingStep):
    """``TrainingStep`` for batches that are cut into blocks."""

    def __init__(
        self, network: Network, examples: Examples, order: Array, totals: Totals, cut: Cut
    ) -> None:  # fmt: skip
        self.blocks, self.workers = blocks, workers = cut
        each = blocks // workers.size
        self._subtree = range(workers.rank * each, (workers.rank + 1) * each)
        self._bounds = block_bounds(order.shape[1], blocks)
        filled = [block for block, (first, end) in enumerate(self._bounds) if first < end]
        # If all blocks of a worker are empty, it computes another's, so that the counters of layers advance.
        self._computed = [block for block in filled if block in self._subtree] or filled[:1]
        super().__init__(network, examples, order, totals)
        self._block_totals = Totals(network, totals.weight is not None, totals.classes)
        # There is one vector to add for each level of the worker's subtree. It consists of the gradients
        # (n,), the sums of every block, and the change of the layers' state.
        layer_state = network.parameters.state
        dtype = network.backend.dtype
        self._before = {name: network.backend.xp.zeros_like(array) for name, array in layer_state.items()}
        n = network.parameters.gradient_vector.shape[0]
        end = n + blocks * totals.sums.shape[0]
        self._gradients = slice(0, n)
        self._sums = slice(n, end)
        self._averaged: dict[str, slice] = {}  # floating-point state, which is averaged; counters are not
        for name, array in layer_state.items():
            if array.dtype == dtype:
                self._averaged[name] = slice(end, end + prod(array.shape))
                end += prod(array.shape)
        end += -end % workers.size  # the workers add equal slices
        self._vectors = [network.backend.zeros(end) for _ in range(len(self._subtree).bit_length())]

    pick = TrainingStep.pick_numbers  # the rows are picked block by block, see ``_compute``

    def reserve(self) -> None:
        sizes = {self._bounds[block][1] - self._bounds[block][0] for block in self._computed}
        for size in sizes:
            self.network.reserve(size, training=True)
        self.allocate(max(sizes), sparse=False)

    def learn(self) -> None:
        """Make one update; the parameters change after the sums of all workers have arrived."""
        network = self.network
        total = self._vectors[0]
        layer_state = network.parameters.state
        for name, array in layer_state.items():
            self._before[name][...] = array
        if self._computed[0] in self._subtree:
            self._add_subtree(self._subtree, 0)
        else:
            self._compute(self._computed[0], total)
            total[...] = 0.0
        self.workers.add(network.backend, total)
        for name, entries in self._averaged.items():
            change = network.backend.xp.reshape(total[entries], layer_state[name].shape)
            layer_state[name][...] = self._before[name] + change
        sums = network.backend.view(total[self._sums], (self.blocks, -1))
        of_batch = tree_sum([sums[i, ...] for i in range(self.blocks)], self.totals.join)
        self.totals.join(self.totals.sums, of_batch)
        network.parameters.gradient_vector[...] = total[self._gradients]
        finish_gradients(network)
        network.apply_gradients()

    def _add_subtree(self, blocks: range, level: int) -> None:
        """Write the sum over these blocks, a complete subtree, into the vector of this level."""
        if len(blocks) == 1:
            self._compute(blocks[0], self._vectors[level])
            return
        half = len(blocks) // 2
        self._add_subtree(blocks[:half], level)
        self._add_subtree(blocks[half:], level + 1)
        self._vectors[level] += self._vectors[level + 1]

    def _compute(self, block: int, out: Array) -> None:
        """Write the contribution of one block to the sums of the batch into ``out``.

        The rows of every block are copied to the same address, so that even their alignment in memory does
        not depend on the number of workers.
        """
        network = self.network
        layer_state = network.parameters.state
        first, end = self._bounds[block]
        out[...] = 0.0
        if first == end:
            return
        for name, array in layer_state.items():
            array[...] = self._before[name]
        fraction = (end - first) / self.size
        index = self.index[0, first:end]
        x = self._load(self.x, index)
        y = self.batch_y[: end - first, ...]
        self._gather(self.y, index, y, 1.0)
        weights = None if self.batch_weights is None else self.batch_weights[first:end]
        loss_inputs, losses, dy = network.loss_of(x, y, training=True, first_row=first)
        if weights is None:
            dy[...] = dy * fraction
        else:
            apply_weights(network.backend.xp, weights, losses, dy, self.batch_weights)
        network.backward(dy)
        out[self._gradients] = network.parameters.gradient_vector
        self._block_totals.clear()
        self._block_totals.add(loss_inputs, y, losses, weights)
        network.backend.view(out[self._sums], (self.blocks, -1))[block, ...] = self._block_totals.sums
        for name, entries in self._averaged.items():
            change = (layer_state[name] - self._before[name]) * fraction
            out[entries] = network.backend.xp.reshape(change, (-1,))


def all_layers(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Yield the layers, and after each container the layers in it."""
    for layer in layers:
        yield layer
        yield from all_layers(layer.inner)


def limit_threads(backend: Backend, blocks: int) -> AbstractContextManager[None]:
    """With blocks, compute each product in one thread: the number of threads may change its bits.

    Warns if the number of threads of this backend's library cannot be set, as with Accelerate on macOS.
    """
    if blocks == 1:
        return nullcontext()
    try:
        with backend.in_threads(1):
            pass
    except InputError as error:
        warn(f"the bits of blocks may depend on the number of threads: {error}")
        return nullcontext()
    return backend.in_threads(1)
