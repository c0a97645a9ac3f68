"""A planned update without cuBLAS (``products.cu``), which CuPy can record: 7 launches for three layers.

Forward a launch for each layer, of which the first picks its rows itself; back one for each layer but the
first, one for all gradients with the optimizer's step, so that none is written; and one for all bookkeeping.
"""

from typing import Any

import numpy as np

from backends.backend import Backend
from backends.cupy.sources import OPTIMIZERS
from backends.cupy.update import Bind, Call, Update, fits
from backends.plan import Plan
from backends.reference.signatures import Array

TILE, BLOCK = 32, (32, 8)  # as in products.cu
MOST_CLASSES = 128  # a warp makes all logits of an example


def address(array: Array | None) -> int:
    """Where any library's array begins in memory; 0: there is none."""
    if array is None:
        return 0
    if hasattr(array, "data_ptr"):
        return int(array.data_ptr())
    described: Any = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    return int(described["data"][0])


def _tiles(columns: int, rows: int) -> tuple[int, int]:
    return -(-columns // TILE), -(-rows // TILE)


class Whole(Update):
    """With products of its own."""

    def launches(self) -> list[Call]:
        """Forward, backward, the optimizer's step, and bookkeeping."""
        plan = self.plan
        table, blocks = self.table()
        reads = plan.x, plan.order, plan.position, self.batch, OPTIMIZERS.index(plan.optimizer), table
        rest = len(plan.layers), self.numbers, plan.control, plan.rates, plan.rates.shape[0]
        step = self.bind(f"step_{self.form}", (blocks,), BLOCK, *reads, *rest)
        last = len(plan.layers) - 1
        back = map(self.below, reversed(range(last)))
        return [*map(self.forward, range(last)), self.answer(last), *back, step, self.account()]

    def forward(self, i: int) -> Call:
        """A hidden layer."""
        plan, (n_in, n_out) = self.plan, self.plan.layers[i].W.shape
        layer = self.kinds[i], plan.layers[i].W, self.b[i], n_out, self.outputs[i]
        tiles = _tiles(n_out, self.batch)
        if i:
            return self.bind("forward_hidden", tiles, BLOCK, self.outputs[i - 1], self.batch, n_in, *layer)
        picked = plan.x, plan.order, plan.position, self.batch, n_in, self.numbers
        return self.bind(f"forward_{self.form}", tiles, BLOCK, *picked, *layer)

    def answer(self, i: int) -> Call:
        """The last layer and the loss; a warp for each example."""
        plan, (n_in, n_out) = self.plan, self.plan.layers[i].W.shape
        x, form, scale = (self.outputs[i - 1], "hidden", ()) if i else (plan.x, self.form, (self.numbers,))
        reads = x, plan.y, plan.order, plan.position, self.batch, n_in, *scale, plan.layers[i].W, self.b[i]
        writes = self.losses, self.right, self.outputs[i]
        return self.bind(f"answer_{form}", (-(-self.batch // BLOCK[1]),), BLOCK, *reads, n_out, *writes)

    def below(self, i: int) -> Call:
        """dz of a hidden layer, from that of the next."""
        W = self.plan.layers[i + 1].W
        reads = self.kinds[i], self.errors[i + 1], W, self.outputs[i], self.batch, *W.shape
        return self.bind("below", _tiles(W.shape[0], self.batch), BLOCK, *reads, self.errors[i])

    def table(self) -> tuple[Array, int]:
        """A row for each layer, as products.cu has it, on the device; and the number of blocks of all."""
        rows, blocks = [], 0
        for i, (layer, dz) in enumerate(zip(self.plan.layers, self.errors, strict=True)):
            n_in, n_out = layer.W.shape
            first, second = layer.slots[0], layer.slots[-1]
            places = [self.outputs[i - 1] if i else None, dz, layer.W, first[0], second[0]]
            places += [layer.b, first[1], second[1]]
            rows.append([*map(address, places), n_in, n_out, blocks])
            across, down = _tiles(n_out, n_in + (layer.b is not None))
            blocks += across * down
        return self.backend.from_host(np.asarray(rows, dtype=np.int64)), blocks


def planned(plan: Plan, backend: Backend, bind: Bind) -> Update | None:
    """``run(n)`` for n updates of a plan; None: the kernels do not know all that is in it."""
    if backend.precision != "float32" or plan.layers[-1].W.shape[1] > MOST_CLASSES or not fits(plan, backend):
        return None
    return Whole(plan, backend, bind)
