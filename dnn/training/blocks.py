"""An update whose batch is cut into blocks: the same bits, whichever threads and workers compute them.

Each block's gradient is computed by itself, with one BLAS thread, as if the block were the batch; the blocks'
gradients, losses and measures are added in the order of a tree (``dnn.workers.tree``). A worker has a subtree
of the blocks, and each of its threads a subtree of those. What a layer draws for an example depends on the
example's row in the whole batch. A layer that mixes examples, as BatchNormalization, sees those of a block;
its running state becomes the mean of what the blocks made of it.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from copy import copy
from math import prod
from operator import iadd
from typing import Any

from backends import Array, Backend, InputError
from dnn.layers.layer import Layer
from dnn.layers.noise import Random
from dnn.losses import weigh
from dnn.network import Network
from dnn.training.step import TrainingStep, settle
from dnn.training.totals import Totals
from dnn.validation.examples import Examples
from dnn.workers import Workers
from dnn.workers.tree import add_up, cuts, require_blocks


def _leaves(layers: Iterable[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield from _leaves(layer.inner) if layer.inner else (layer,)


class Member:
    """One thread's part: a network of the same layers with the same values, and its own gradients and state.

    Args:
        totals: of the training; they say what is measured.
        blocks: of a batch; part: those of them that are this thread's, a whole subtree.

    Attributes:
        sums: a vector for each level of the subtree: gradients as they lie in the parameters, then the sums
            of each of all blocks (0 where they are another's), then how much the layers' state changes.
    """

    def __init__(self, network: Network, totals: Totals, blocks: int, part: range) -> None:
        self.whole, self.network, self.part = network, copy(network), part
        del vars(self.network)["optimizer_state"]  # its vectors would be as long as all weights
        self.totals = Totals(self.network, totals.weight is not None, totals.classes)
        parameters, backend = network.parameters, network.backend
        self.n, k = parameters.gradients.shape[0], totals.sums.shape[0]
        self.places = [slice(self.n + i * k, self.n + (i + 1) * k) for i in range(blocks)]
        end = self.n + blocks * k
        self.floats: list[tuple[Array, Array, slice]] = []  # states before the update, of a block; place
        self.others: list[tuple[Array, Array]] = []  # the same of what only counts
        for name, mine in self.network.parameters.state.items():
            before = parameters.state[name]
            if mine.dtype == backend.dtype:
                self.floats.append((before, mine, slice(end, end := end + prod(mine.shape))))
            else:
                self.others.append((before, mine))
        self.sums = [backend.zeros(end) for _ in range(len(part).bit_length())]
        self._views = [parameters.views(total) for total in self.sums]
        self._leaves = list(_leaves(self.network.layers))
        self._originals = list(_leaves(network.layers))
        self._random = [layer for layer in self._leaves if isinstance(layer, Random)]
        self._batches: dict[BlockedStep, tuple[Array, Array]] = {}  # the rows of a block

    def reserve(self, step: "BlockedStep") -> None:
        """Make this thread's arrays for the blocks of a step."""
        sizes = {end - first for first, end in step.cuts} - {0}
        for size in sizes:
            self.network.reserve(size, True)
        self._batches[step] = step.arrays(max(sizes))

    def work(self, step: "BlockedStep", blocks: range) -> None:
        """Add up these blocks, a whole subtree, into ``sums[0]``."""
        for mine, original in zip(self._leaves, self._originals, strict=True):
            mine._trainable = original.trainable
        # Without the records that torch keeps in each thread for autograd.
        self.network.backend.capture(lambda: self._subtree(step, blocks, 0), 1)(1)

    def _subtree(self, step: "BlockedStep", blocks: range, level: int) -> None:
        if len(blocks) == 1:
            self._block(step, blocks[0], level)
            return
        half = len(blocks) // 2
        self._subtree(step, blocks[:half], level)
        self._subtree(step, blocks[half:], level + 1)
        self.sums[level] += self.sums[level + 1]

    def _block(self, step: "BlockedStep", block: int, level: int) -> None:
        """Forward and backward on one block, into ``sums[level]``."""
        network, out, (first, end) = self.network, self.sums[level], step.cuts[block]
        out[self.n :] = 0.0
        if first == end:
            out[: self.n] = 0.0
            return
        for before, mine, *_ in (*self.floats, *self.others):
            mine[...] = before
        for layer in self._random:
            layer.begin_at(first)
        network.redirect(self.whole.parameters.value, self._views[level])
        x, y = (a[: end - first, ...] for a in self._batches[step])
        step.pick_rows(step.index[0, first:end], x, y)
        weights = None if step.batch_weights is None else step.batch_weights[first:end]
        outputs, losses, dy = network.loss_of(x, y, training=True)
        share = (end - first) / step.size
        if weights is None:
            dy[...] = dy * share
        else:
            weigh(network.backend.xp, weights, losses, dy, step.batch_weights)
        network.backward(dy)
        self.totals.clear()
        self.totals.add(outputs, y, losses, weights)
        out[self.places[block]] = self.totals.sums
        for before, mine, place in self.floats:
            out[place] = network.backend.xp.reshape((mine - before) * share, (-1,))


class BlockedStep(TrainingStep):
    """``TrainingStep`` for a batch that a team cuts into blocks."""

    def __init__(
        self, network: Network, examples: Examples, order: Array, totals: Totals, team: "Team"
    ) -> None:
        super().__init__(network, examples, order, totals)
        self.team, self.cuts = team, cuts(self.size, team.blocks)

    def reserve(self) -> None:
        """Nothing: members have arrays of their own, and pick the examples."""

    def runner(self, unroll: int) -> Callable[[int], None]:
        return self.network.backend.capture(self, unroll)

    def pick(self) -> None:
        self.pick_numbers()

    def learn(self) -> None:
        """One update on the batch that was picked. Nothing is changed before all workers' sums are there."""
        network, member = self.network, self.team.add_up(self)
        total = self.team.total
        network.parameters.gradients[...] = total[: member.n]
        settle(network)
        sums = add_up([total[place] for place in member.places], self.totals.join)
        self.totals.join(self.totals.sums, sums)
        for state, _, place in member.floats:
            state[...] = state + network.backend.xp.reshape(total[place], state.shape)
        for state, counted in member.others:
            state[...] = counted
        network.update()


class Team:
    """This worker's threads, each with a member; called as TrainingStep is, it makes a BlockedStep."""

    def __init__(self, network: Network, blocks: int, workers: Workers) -> None:
        self.network, self.blocks, self.workers = network, blocks, workers
        each = blocks // workers.size
        threads = _threads(network.backend, each, workers.local_size)
        part, first = each // threads, workers.rank * each
        self._parts = [range(first + i * part, first + (i + 1) * part) for i in range(threads)]
        self._members: list[Member] = []
        self._pools = [ThreadPoolExecutor(1) for _ in self._parts[1:]]  # buffers belong to a thread

    def __call__(self, network: Network, examples: Examples, order: Array, totals: Totals) -> BlockedStep:
        if not self._members:
            self._members = [Member(network, totals, self.blocks, part) for part in self._parts]
        step = BlockedStep(network, examples, order, totals, self)
        self._all(lambda member: member.reserve(step))
        return step

    def close(self) -> None:
        for pool in self._pools:
            pool.shutdown()

    @property
    def total(self) -> Array:
        """Where the sums of a whole batch are."""
        return self._members[0].sums[0]

    def _all(self, work: Callable[[Member], None]) -> None:
        """Each member does this in its thread; the first in this one."""
        first, *others = self._members
        doing = [pool.submit(work, member) for pool, member in zip(self._pools, others, strict=True)]
        work(first)
        for other in doing:
            other.result()

    def add_up(self, step: BlockedStep) -> Member:
        """The batch's sums over all blocks, in ``total``; returns a member that has worked on examples."""
        filled = [i for i, (first, end) in enumerate(step.cuts) if first < end]
        able = [member for member in self._members if not {*member.part}.isdisjoint(filled)]
        if able:
            self._all(lambda member: member.work(step, member.part))
        else:  # others have all examples; what layers count must be counted here too
            self._members[0].work(step, range(filled[0], filled[0] + 1))
            for member in self._members:
                member.sums[0][...] = 0.0
        total = add_up([member.sums[0] for member in self._members], iadd)
        self.workers.add(self.network.backend, total)
        return (able or self._members)[0]


def _threads(backend: Backend, blocks: int, processes: int) -> int:
    """A power of two of threads for so many blocks, of this machine's cores that so many processes share."""
    if backend.device_type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, min(blocks, cores // processes))
    return 1 << (share.bit_length() - 1)


@contextmanager
def steps_in_blocks(network: Network, blocks: int, workers: Workers) -> Iterator[Any]:
    """What makes the steps of a training: TrainingStep itself, or for blocks a team that is open in here.

    Raises InputError: blocks that are no power of two or fewer than the workers, or CUDA graphs, which hold
    whole updates of one process.
    """
    if require_blocks(blocks, workers.size) == 1:
        yield TrainingStep
        return
    if getattr(network.backend, "graphs", False):
        raise InputError(f"blocks is {blocks} with graphs", "1: a graph holds an update of one process")
    with network.backend.one_thread(), closing(Team(network, blocks, workers)) as team:
        yield team
