"""One thread's part of an update whose batch is cut into blocks (``dnn.training.blocks``)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from backends import Array
from dnn.copies import assembled, parts_of
from dnn.layers.layer import Layer
from dnn.layers.noise import Random
from dnn.losses import weigh
from dnn.network import Network
from dnn.optimizers.pieces import pieces
from dnn.training.divided import Divided, divisible
from dnn.training.planning import planner
from dnn.training.totals import Totals
from dnn.workers.tree import cuts

UNIT = 16  # numbers of a vector: places begin at a multiple, as the widest registers do


def leaves(layers: Iterable[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield from leaves(layer.inner) if layer.inner else (layer,)


class Member:
    """One thread's part: a network of the same layers with the same values, and its own gradients and state.

    Args:
        totals: of the training; they say what is measured.
        blocks: of a batch; part: those of them that are this thread's, a whole subtree.
        zeros: makes the vector of the part's sums.
        threads: of products, where all blocks are computed at once and these threads change no bits.

    Attributes:
        sums: a vector for each level of the subtree: gradients as they lie in the parameters, then the sums
            of each of all blocks (0 where they are another's), then how much the layers' state changes.
        place: of the gradients, what this thread adds up of all threads; take_step: the optimizer's, there.
    """

    place: slice
    take_step: Callable[[], None]

    def __init__(
        self, network: Network, totals: Totals, blocks: int, part: range,
        zeros: Callable[[int], Array], threads: int,
    ) -> None:  # fmt: skip
        self.whole, self.part, self.threads = network, part, threads
        self._originals = list(leaves(network.layers))
        self._divided = Divided(network.backend) if divisible(self._originals, network.goal) else None
        own = network.backend if self._divided is None else self._divided.backend
        self.network: Network = assembled(parts_of(network), own)
        del vars(self.network)["optimizer_state"]  # its vectors would be as long as all weights
        self.totals = Totals(self.network, totals.weight is not None, totals.classes)
        parameters, backend = network.parameters, network.backend
        self.n, k = parameters.gradients.shape[0], totals.sums.shape[0]
        end = self.n + blocks * k
        self.floats: list[tuple[Array, Array, slice]] = []  # states before the update, of a block; place
        self.others: list[tuple[Array, Array]] = []  # the same of what only counts
        for name, mine in self.network.parameters.state.items():
            before = parameters.state[name]
            if mine.dtype == backend.dtype:
                self.floats.append((before, mine, slice(end, end := end + prod(mine.shape))))
            else:
                self.others.append((before, mine))
        self.sums = [zeros(end), *(backend.zeros(end) for _ in range(len(part).bit_length() - 1))]
        self._leaves = list(leaves(self.network.layers))
        self._attached: list[list[tuple[Layer, Mapping[str, Array], Mapping[str, Array]]]] = []  # by level
        for total in self.sums:
            self.network.redirect(parameters.value, parameters.views(total))
            self._attached.append([(leaf, leaf.value, leaf.gradient) for leaf in self._leaves if leaf.value])
        self.together: dict[Any, bool] = {}  # whether all blocks are computed at once, by step
        self._random = [layer for layer in self._leaves if isinstance(layer, Random)]
        self._batches: dict[Any, tuple[Array, Array]] = {}  # room for the part's rows
        self._plans: dict[tuple[Any, range], Callable[[int], None] | None] = {}

    @contextmanager
    def in_one_thread(self) -> Iterator[None]:
        threads, self.threads = self.threads, 1
        try:
            yield
        finally:
            self.threads = threads

    def reserve(self, step: Any) -> None:
        """Make this thread's arrays for the blocks of a step."""
        sizes = {end - first for first, end in step.cuts} - {0}
        for size in sizes:
            self.network.reserve(size, True)
        step.whole = self._plan(step)
        first, end = self._rows(step, self.part)
        rows = end - first
        self._batches[step] = step.arrays(max(rows, *sizes))
        if self._divided and not step.whole and len(sizes) == 1 and self._filled(step) == list(self.part):
            self.network.reserve(rows, True)
            self.together[step] = self._same_bits(step, rows)

    def sums_of(self, vector: Array, count: int, first: int = 0) -> Array:
        """Of a vector of ``sums``, the losses and measures of so many blocks (count, k); a view."""
        k = self.totals.sums.shape[0]
        start = self.n + first * k
        return self.network.backend.view(vector[start : start + count * k], (count, k))

    def _same_bits(self, step: Any, n: int) -> bool:
        """Whether all blocks at once give the bits of each by itself. No BLAS promises it; which of its
        kernels it takes for so many rows does not depend on the numbers, so it is tried with some.
        """
        backend, found = self.network.backend, []
        x, y = (array[:n, ...] for array in self._batches[step])
        host = np.random.default_rng(0).standard_normal(x.shape)
        x[...] = backend.from_host(host.astype(backend.dtype_name))
        if step.batch_weights is not None:
            step.batch_weights[...] = 1.0
        self._picked = step.cuts[self.part[0]][0], x, y
        for self.together[step] in (False, True):
            self._add_up(step, self.part)
            found.append(backend.to_host(self.sums[0]).tobytes())
        return found[0] == found[1]

    def _plan(self, step: Any) -> bool:
        """Whether the backend computes whole blocks of such a network; the same for all members."""
        make, backend, filled = planner(step), self.whole.backend, self._filled(step)
        if make is None:
            return False
        blocks = self.part if filled[0] in self.part else range(filled[0], filled[0] + 1)
        begins, (first, end) = [step.cuts[block][0] for block in blocks], self._rows(step, blocks)
        cuts, position = tuple(a - first for a in (*begins, end)), backend.zeros(1, dtype=step.index.dtype)
        out, sums = self.sums[0][: self.n], self.sums_of(self.sums[0], len(blocks), blocks[0])
        plan = make(step.index[:, first:end], position, out, sums, whole=step.size, cuts=cuts)
        self._plans[step, blocks] = run = backend.planned(plan)
        return run is not None

    def _rows(self, step: Any, blocks: range) -> tuple[int, int]:
        """Of the batch: the first one of these blocks, and the end."""
        return step.cuts[blocks[0]][0], step.cuts[blocks[-1]][1]

    def _filled(self, step: Any) -> list[int]:
        """The blocks of this part that have examples, else another one that has."""
        filled = [block for block, (first, end) in enumerate(step.cuts) if first < end]
        return [block for block in filled if block in self.part] or filled[:1]

    def work(self, step: Any, blocks: range) -> None:
        """Add up these blocks, a whole subtree, into ``sums[0]``."""
        for mine, original in zip(self._leaves, self._originals, strict=True):
            mine._trainable = original.trainable
        plan = self._plans.get((step, blocks))
        if plan is not None:
            self.sums[0][self.n :] = 0.0
            plan(1)
            return
        first, end = self._rows(step, blocks)
        x, y = (array[: end - first, ...] for array in self._batches[step])
        self._picked = first, x, y
        with self.whole.backend.in_threads(self.threads):
            step.pick_rows(step.index[0, first:end], x, y)
        self._add_up(step, blocks)

    def _add_up(self, step: Any, blocks: range) -> None:
        together = self.together.get(step) and blocks == self.part
        with self.whole.backend.in_threads(self.threads if together else 1):
            (self._blocks if together else self._subtree)(step, blocks, 0)

    def _subtree(self, step: Any, blocks: range, level: int) -> None:
        if len(blocks) == 1:
            self._blocks(step, blocks, level)
            return
        half = len(blocks) // 2
        self._subtree(step, blocks[:half], level)
        self._subtree(step, blocks[half:], level + 1)
        self.sums[level] += self.sums[level + 1]

    def _blocks(self, step: Any, blocks: range, level: int) -> None:
        """Forward and backward on one block, or several at once, into ``sums[level]``."""
        network, out = self.network, self.sums[level]
        first, end = self._rows(step, blocks)
        out[self.n :] = 0.0
        if first == end:
            out[: self.n] = 0.0
            return
        for before, mine, *_ in (*self.floats, *self.others):
            mine[...] = before
        for layer in self._random:
            layer.begin_at(first)
        for leaf, value, gradient in self._attached[level]:
            leaf.attach(value, gradient)
        if self._divided:
            self._divided.blocks = len(blocks)
        start, *arrays = self._picked
        x, y = (array[first - start : end - start, ...] for array in arrays)
        weights = None if step.batch_weights is None else step.batch_weights[first:end]
        outputs, losses, dy = network.loss_of(x, y, training=True)
        share = (end - first) / step.size
        if weights is None:
            dy[...] = dy * share
        else:
            weigh(network.backend.xp, weights, losses, dy, step.batch_weights)
        network.backward(dy)
        self.totals.add_apart(self.sums_of(out, len(blocks), blocks[0]), outputs, y, losses, weights)
        for before, mine, place in self.floats:
            out[place] = network.backend.xp.reshape((mine - before) * share, (-1,))


def share_vectors(members: list[Member]) -> Callable[[], None] | None:
    """Give each member its place of the gradients, and the optimizer's step there; returns what comes before
    these steps, or None: the optimizer's step is one for all places.
    """
    network, n = members[0].whole, members[0].n
    ends = [*(UNIT * end for _, end in cuts(n // UNIT, len(members))[:-1]), n]
    places = [slice(*ends) for ends in pairwise((0, *ends))]
    total, state = members[0].sums[0], network.optimizer_state
    steps = [] if network.penalty else pieces(state, network.parameters, total, places)
    for i, (member, place) in enumerate(zip(members, places, strict=True)):
        member.place = place
        if steps:
            member.take_step = steps[i + 1]
    return steps[0] if steps else None
