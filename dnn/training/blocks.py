"""An update whose batch is cut into blocks: the same bits, whichever threads and workers compute them.

Each block's gradient is computed by itself, with one BLAS thread, as if the block were the batch; the blocks'
gradients, losses and measures are added in the order of a tree (``dnn.workers.tree``). A worker has a subtree
of the blocks, and each of its threads a subtree of those. What a layer draws for an example depends on the
example's row in the whole batch. A layer that mixes examples, as BatchNormalization, sees those of a block;
its running state becomes the mean of what the blocks made of it.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache, partial
from operator import iadd
from typing import Any

from backends import Array, Backend, InputError
from backends.pace import Pace
from dnn.network import Network
from dnn.training.divided import alike
from dnn.training.member import Member, leaves, share_vectors
from dnn.training.step import TrainingStep, settle
from dnn.training.totals import Totals
from dnn.validation.examples import Examples
from dnn.workers import Workers
from dnn.workers.tree import add_up, cuts, require_blocks


class BlockedStep(TrainingStep):
    """``TrainingStep`` for a batch that a team cuts into blocks."""

    def __init__(
        self, network: Network, examples: Examples, order: Array, totals: Totals, team: "Team"
    ) -> None:
        super().__init__(network, examples, order, totals)
        self.team, self.cuts = team, cuts(self.size, team.blocks)

    pick = TrainingStep.pick_numbers  # members pick the examples

    def reserve(self) -> None:
        """Nothing: members have arrays of their own."""

    def runner(self, unroll: int) -> Callable[[int], None]:
        """In one of the library's threads while that is the faster; no bit depends on it."""
        run, member = self.network.backend.capture(self, unroll), self.team.first
        return run if member.threads == 1 else Pace(run, member.threads, lambda: member.in_one_thread)

    def learn(self) -> None:
        """One update on the batch that was picked. Nothing is changed before all workers' sums are there."""
        network, member = self.network, self.team.add_up(self)
        total = self.team.total
        self.totals.join(self.totals.sums, self.totals.joined(member.sums_of(total, self.team.blocks)))
        for state, _, place in member.floats:
            state[...] = state + network.backend.xp.reshape(total[place], state.shape)
        for state, counted in member.others:
            state[...] = counted
        self.team.update()


class Team:
    """This worker's members, one for each thread, or one that has the library's threads; called as
    TrainingStep is, it makes a BlockedStep.
    """

    def __init__(self, network: Network, blocks: int, workers: Workers) -> None:
        self.network, self.blocks, self.workers = network, blocks, workers
        each = blocks // workers.size
        self._threads = _threads(network.backend, each, workers.local_size)
        self._part = range(workers.rank * each, (workers.rank + 1) * each)
        self._zeros = cache(partial(workers.zeros, network.backend))
        self._members: list[Member] = []
        self._pools: list[ThreadPoolExecutor] = []

    def __call__(self, network: Network, examples: Examples, order: Array, totals: Totals) -> BlockedStep:
        step = BlockedStep(network, examples, order, totals, self)
        if self._members:
            self._all(lambda member: member.reserve(step))
        elif not self._alone(step):
            self._meet(step, self._threads, 1)
        return step

    def _alone(self, step: BlockedStep) -> bool:
        """Whether one member does it, in the library's threads: members wait for one another in Python."""
        if self._threads == 1 or not self.network.backend.shares or not alike(leaves(self.network.layers)):
            return False
        self._meet(step, 1, self._threads)
        return self.first.together.get(step, False)

    def _meet(self, step: BlockedStep, members: int, threads: int) -> None:
        """Members with parts of the blocks, each with so many of the library's threads."""
        size = len(self._part) // members
        parts = [self._part[i * size : (i + 1) * size] for i in range(members)]
        makers: list[Callable[[int], Array]] = [self._zeros, *[self.network.backend.zeros] * (members - 1)]
        self._members = [
            Member(self.network, step.totals, self.blocks, part, zeros, threads)
            for part, zeros in zip(parts, makers, strict=True)
        ]
        self.first, self.total = self._members[0], self._members[0].sums[0]  # the sums of a whole batch
        self._before = share_vectors(self._members)
        self._pools = [ThreadPoolExecutor(1) for _ in parts[1:]]  # buffers belong to a thread
        self._all(lambda member: member.reserve(step))

    def close(self) -> None:
        for pool in self._pools:
            pool.shutdown()

    def _all(self, work: Callable[[Member], None]) -> None:
        """Each member does this in its thread; the first in this one."""
        # Without the records that torch keeps in each thread for autograd.
        run = [partial(self.network.backend.capture(partial(work, member), 1), 1) for member in self._members]
        doing = [pool.submit(each) for pool, each in zip(self._pools, run[1:], strict=True)]
        run[0]()
        for other in doing:
            other.result()

    def add_up(self, step: BlockedStep) -> Member:
        """The batch's sums over all blocks, in ``total``; returns a member that has worked on examples."""
        filled = [i for i, (first, end) in enumerate(step.cuts) if first < end]
        able = [member for member in self._members if not {*member.part}.isdisjoint(filled)]
        if able:
            self._all(lambda member: member.work(step, member.part))
        else:  # others have all examples; what layers count must be counted here too
            self.first.work(step, range(filled[0], filled[0] + 1))
            for member in self._members:
                member.sums[0][...] = 0.0
        add_up([member.sums[0][member.n :] for member in self._members], iadd)
        if self.workers.size > 1 or not self._shared:
            self._all(self._add)
            self.workers.add(self.network.backend, self.total)
        return (able or self._members)[0]

    @property
    def _shared(self) -> bool:
        """Whether each member takes the optimizer's step of its place."""
        return self._before is not None and not self.network.frozen

    def _add(self, member: Member) -> None:
        """Of the sums of all members, this one's place."""
        add_up([each.sums[0][member.place] for each in self._members], iadd)

    def update(self) -> None:
        """The optimizer's step, of each member its place."""
        network = self.network
        if self._before is None or not self._shared:
            gradients = network.parameters.gradients
            gradients[...] = self.total[: gradients.shape[0]]
            settle(network)
            network.update()
            return

        def work(member: Member) -> None:
            if self.workers.size == 1:
                self._add(member)
            member.take_step()

        self._before()
        with network.backend.in_threads(self.first.threads):
            self._all(work)


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
    with network.backend.in_threads(1), closing(Team(network, blocks, workers)) as team:
        yield team
