"""A planned update in few launches (5 for the lecture's network), with its own products (``kernels.cu``).

Networks that these kernels do not support, or with products that cuBLAS computes faster, run layer by layer.
"""

from typing import Any

import numpy as np

from backends.backend import Backend, Step
from backends.cupy import optimizers
from backends.cupy.compilation import bind_launch
from backends.cupy.sources import FUSED_ACTIVATIONS, OPTIMIZERS
from backends.plan import Plan, PlanForms
from backends.reference.signatures import Array

TILE = 32  # columns of a product per block, as in kernels.cu; also the rows of a weight gradient
ROWS = 16  # rows of a forward product per block
WARPS = {"float32": 16, "float64": 8}  # of a block, as in kernels.cu
STEP_WARPS = 8  # of a block of the kernel ``step``
MAX_PRODUCT = 2**27  # multiply-adds; in larger products cuBLAS saves more time than its launches cost
FORMS = PlanForms(
    optimizers=OPTIMIZERS,
    max_slots=2,  # neither AMSGrad nor centered RMSprop
    activations=FUSED_ACTIVATIONS,
    examples=("bytes", "numbers"),
    smoothing=False,
    min_layers=2,
    max_batch_size=65535,  # CUDA's limit of blocks on the second axis
    max_classes=128,  # the threads of a block share the logits of an example
)


def address(array: Array | None) -> int:
    """Return the address of an array's memory; 0 for None."""
    if array is None:
        return 0
    interface = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    return int(interface["data"][0])


def _tiles(columns: int, rows: int, height: int = ROWS) -> tuple[int, int]:
    """Return the grid of blocks, ``height`` x TILE numbers each, for a product of this size."""
    return -(-columns // TILE), -(-rows // height)


class Update:
    """Calling it makes one update of the plan. It keeps all arrays alive that its kernels use by address."""

    def __init__(self, plan: Plan, backend: Backend) -> None:
        self.plan = plan
        kernels = backend.kernels
        self.optimizer = next(kind for kind in OPTIMIZERS if plan.optimizer == getattr(kernels, kind))
        self.backend = backend
        self.batch = plan.order.shape[1]
        self.block = (32, WARPS[backend.dtype_name])
        numbers = optimizers.optimizer_numbers(self.optimizer, plan.settings, plan.scale)
        self.numbers = backend.from_host(np.asarray(numbers, dtype=backend.dtype_name))
        self.kinds = [FUSED_ACTIVATIONS.index(layer.activation) for layer in plan.layers]
        shapes = [(self.batch, layer.W.shape[1]) for layer in plan.layers]
        self.outputs = [backend.zeros(shape) for shape in shapes]
        # dz of the last layer overwrites its logits.
        self.dz = [*(backend.zeros(shape) for shape in shapes[:-1]), self.outputs[-1]]
        self.losses = backend.zeros(self.batch)
        self.correct = backend.zeros(self.batch)
        # Layers without bias add zeros.
        self.b = [backend.zeros(layer.W.shape[1]) if layer.b is None else layer.b for layer in plan.layers]
        last = len(plan.layers) - 1
        self.tickets = backend.zeros(1, dtype=plan.position.dtype)  # blocks of ``step`` that have finished
        # The output layer's kernel also computes dz of the last hidden layer.
        back = map(self.hidden_gradient, reversed(range(last - 1)))
        self.calls = [*map(self.hidden_layer, range(last)), self.output_layer(last), *back, self.step()]

    def __call__(self) -> None:
        for call in self.calls:
            call()

    def hidden_layer(self, i: int) -> Step:
        """Return the launch of a hidden layer's forward pass."""
        plan = self.plan
        n_in, n_out = plan.layers[i].W.shape
        layer = self.kinds[i], plan.layers[i].W, self.b[i], n_out, self.outputs[i]
        tiles = _tiles(n_out, self.batch)
        if i:
            reads = self.outputs[i - 1], self.batch, n_in
            return bind_launch("forward_hidden", tiles, self.block, *reads, *layer)
        gathered = plan.x, plan.order, plan.position, self.batch, n_in, self.numbers
        return bind_launch("forward_gathered", tiles, self.block, *gathered, *layer)

    def output_layer(self, i: int) -> Step:
        """Return the launch of the output layer, the loss and the gradient before; one block per example."""
        plan = self.plan
        n_in, n_out = plan.layers[i].W.shape
        layer = plan.layers[i].W, self.b[i], n_out, self.losses, self.correct, self.outputs[i]
        reads = self.outputs[i - 1], plan.y, plan.order, plan.position, self.batch, n_in
        before = self.kinds[i - 1], self.dz[i - 1]
        return bind_launch("output_hidden", (self.batch,), self.block, *reads, *layer, *before)

    def hidden_gradient(self, i: int) -> Step:
        """Return the launch of a hidden layer's dz, from the next layer's."""
        W = self.plan.layers[i + 1].W
        reads = self.kinds[i], self.dz[i + 1], W, self.outputs[i], self.batch, *W.shape
        return bind_launch("hidden_gradient", _tiles(W.shape[0], self.batch), self.block, *reads, self.dz[i])

    def step(self) -> Step:
        """Return the launch of all weight gradients, the optimizer's step, and the sums over the batch."""
        plan = self.plan
        rows = []
        blocks = 0
        for i, (layer, dz) in enumerate(zip(plan.layers, self.dz, strict=True)):
            n_in, n_out = layer.W.shape
            first = layer.slots[0]
            second = layer.slots[-1]
            arrays = [self.outputs[i - 1] if i else None, dz, layer.W, first[0], second[0]]
            arrays += [layer.b, first[1], second[1]]
            rows.append([*map(address, arrays), n_in, n_out, blocks])
            across, down = _tiles(n_out, n_in + (layer.b is not None), TILE)
            blocks += across * down
        table = self.backend.from_host(np.asarray(rows, dtype=np.int64))
        reads = plan.x, plan.order, plan.position, self.batch, OPTIMIZERS.index(self.optimizer), table
        rest = len(plan.layers), self.numbers, plan.control, plan.rates, plan.rates.shape[0]
        sums = self.losses, self.correct, int(plan.accuracy), plan.sums, self.tickets
        return bind_launch("step", (blocks,), (32, STEP_WARPS), *reads, *rest, *sums)

    def check(self) -> None:
        """Launch every kernel once: make an update and undo it.

        Raises RuntimeError: it had no effect.
        """
        plan = self.plan
        changed = [*plan.vectors, plan.control, plan.sums, plan.position]
        before = [self.backend.xp.asarray(array, copy=True) for array in changed]
        plan.position[...] = 0
        try:
            self()
            done = int(self.backend.to_host(plan.position)[0])
        finally:
            for array, old in zip(changed, before, strict=True):
                array[...] = old
        if done != 1:
            raise RuntimeError("a kernel ran without effect")


def can_be_planned(plan: Plan, backend: Backend) -> bool:
    """Return whether the kernels support everything in the plan, and the backend allows them."""
    forms = backend.plan_forms
    x: Any = plan.x
    batch = plan.order.shape[1]
    return (
        forms is not None
        and forms.contain(plan, backend.kernels)
        and x.flags.c_contiguous
        and plan.y.flags.c_contiguous
        and all(batch * layer.W.shape[0] * layer.W.shape[1] <= MAX_PRODUCT for layer in plan.layers)
        and max(*plan.vectors[0].shape, *plan.order.shape) < 2**31
    )
