"""A planned update as few launches, in two forms.

With the library's products (``update.cu``) the lecture's network takes 17, and without cuBLAS
(``products.cu``), which CuPy can record, 7: see docs/gpu.md. It is the same for CuPy and torch: what starts a
kernel and what multiplies are given.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from backends.backend import Backend, Step
from backends.cupy.compiled import dense, dtype_of
from backends.cupy.sources import FUSED_KINDS, OPTIMIZERS
from backends.plan import Compressed, Plan
from backends.reference.signatures import Array, Arrays, Numbers

Matmul = Callable[..., Any]  # of (a, b, out=)
Bind = Callable[..., Step]  # of (name, grid, block, *arguments), as ``compiled.bound``
THREADS = 256
TILE, BLOCK = 32, (32, 8)  # as in products.cu
MOST_ROWS = 65535  # of a batch: CUDA's most blocks on the second axis
MOST_CLASSES = 128  # in products.cu a warp makes all logits of an example


def numbers(optimizer: str, settings: Numbers, scale: float = 1.0) -> list[float]:
    """The scale of x and the optimizer's settings as ``dnn::optimize`` has them."""
    rest = [float(setting) for setting in settings]
    betas = [1.0, 0.0, 1.0, 0.0]  # c1 and c2 stay as they are
    if optimizer in ("adam", "adamw"):
        beta1, beta2, *rest = rest
        betas = [beta1, 1.0 - beta1, beta2, 1.0 - beta2]
    elif optimizer == "rmsprop":
        rest[1:1] = [1.0 - rest[0]]
    return [scale, *betas, *rest]


def stepping(name: str, numbers: Array, control: Array, g: Array, p: Array, slots: Arrays) -> list[Any]:
    """How the kernel of an optimizer's step is started."""
    n = p.shape[0]
    reads = OPTIMIZERS.index(name), numbers, control, g, n
    return ["optimizer", (-(-n // THREADS),), (THREADS,), *reads, p, slots[0], slots[-1]]


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


class Update:
    """The arrays of a planned update, and in both forms what makes its launches."""

    def __init__(self, plan: Plan, backend: Backend, bind: Bind) -> None:
        self.plan, self.backend, self.bind = plan, backend, bind
        self.batch = B = plan.order.shape[1]
        made = numbers(plan.optimizer, plan.settings, plan.scale)
        self.numbers = backend.from_host(np.asarray(made, dtype=backend.dtype_name))
        self.form = "bytes" if dtype_of(plan.x) == "uint8" else "floats"  # of x, in kernels' names
        self.kinds = [FUSED_KINDS.index(layer.activation) for layer in plan.layers]
        zeros = backend.zeros
        self.outputs = [zeros((B, layer.W.shape[1])) for layer in plan.layers]
        self.errors = [zeros((B, layer.W.shape[1])) for layer in plan.layers[:-1]] + [self.outputs[-1]]
        self.losses, self.right = zeros(B), zeros(B)
        # Where there is no bias, 0 is added.
        self.b = [zeros(layer.W.shape[1]) if layer.b is None else layer.b for layer in plan.layers]

    def account(self) -> Step:
        """All bookkeeping."""
        plan = self.plan
        reads = self.losses, self.right, self.batch, int(plan.accuracy), plan.rates, plan.rates.shape[0]
        writes = plan.sums, plan.control, plan.position
        return self.bind("account", (1,), BLOCK, *reads, self.numbers, *writes)

    # ----- with the library's products

    def merged(self, matmul: Matmul) -> list[Step]:
        """Pick the batch, forward, backward, bookkeeping, and the optimizer's step."""
        plan, zeros, width = self.plan, self.backend.zeros, self.plan.x.shape[1]
        x, y = zeros((self.batch, width)), zeros(self.batch, dtype=plan.y.dtype)
        reads = plan.x, plan.y, plan.order, plan.position, self.batch, width, self.numbers
        grid = -(-width // THREADS), self.batch
        pick = self.bind(f"pick_{self.form}", grid, (THREADS,), *reads, x, y)
        (values, gradients), slots = plan.vectors[:2], plan.vectors[2:]
        step = self.bind(*stepping(plan.optimizer, self.numbers, plan.control, gradients, values, slots))
        inputs = [x, *self.outputs[:-1]]
        return [pick, *self.forward(matmul, inputs, y), *self.backward(matmul, inputs), self.account(), step]

    def forward(self, matmul: Matmul, inputs: list[Array], targets: Array) -> Iterator[Step]:
        """A product for each layer, and what follows it."""
        for i, (x, y) in enumerate(zip(inputs, self.outputs, strict=True)):
            yield partial(matmul, x, self.plan.layers[i].W, out=y)
            n = y.shape[1]
            if y is self.outputs[-1]:
                row = self.b[i], targets, self.batch, n, self.losses, self.right
                yield self.bind("classify", (-(-self.batch // 4),), (32, 4), y, *row)
            else:
                grid = -(-n // THREADS), self.batch
                yield self.bind("bias_activation", grid, (THREADS,), self.kinds[i], self.b[i], n, y)

    def backward(self, matmul: Matmul, inputs: list[Array]) -> Iterator[Step]:
        """f' with the bias's gradient, and one or two products for each layer."""
        for i in reversed(range(len(inputs))):
            layer, dz, n = self.plan.layers[i], self.errors[i], self.errors[i].shape[1]
            db = self.backend.zeros(n) if layer.db is None else layer.db
            reads = self.kinds[i], dz, self.outputs[i], self.batch, n
            yield self.bind("backward_and_sums", (-(-n // 32),), (32, 32), *reads, dz, db)
            yield partial(matmul, inputs[i].T, dz, out=layer.dW)
            if i:
                yield partial(matmul, dz, layer.W.T, out=self.errors[i - 1])

    # ----- with products of its own

    def whole(self) -> list[Step]:
        """Forward, backward, the optimizer's step, and bookkeeping."""
        plan = self.plan
        table, blocks = self.table()
        reads = plan.x, plan.order, plan.position, self.batch, OPTIMIZERS.index(plan.optimizer), table
        rest = len(plan.layers), self.numbers, plan.control, plan.rates, plan.rates.shape[0]
        step = self.bind(f"step_{self.form}", (blocks,), BLOCK, *reads, *rest)
        last = len(plan.layers) - 1
        back = map(self.below, reversed(range(last)))
        return [*map(self.hidden, range(last)), self.answer(last), *back, step, self.account()]

    def hidden(self, i: int) -> Step:
        """A hidden layer forward."""
        plan, (n_in, n_out) = self.plan, self.plan.layers[i].W.shape
        layer = self.kinds[i], plan.layers[i].W, self.b[i], n_out, self.outputs[i]
        tiles = _tiles(n_out, self.batch)
        if i:
            return self.bind("forward_hidden", tiles, BLOCK, self.outputs[i - 1], self.batch, n_in, *layer)
        picked = plan.x, plan.order, plan.position, self.batch, n_in, self.numbers
        return self.bind(f"forward_{self.form}", tiles, BLOCK, *picked, *layer)

    def answer(self, i: int) -> Step:
        """The last layer and the loss; a warp for each example."""
        plan, (n_in, n_out) = self.plan, self.plan.layers[i].W.shape
        x, form, scale = (self.outputs[i - 1], "hidden", ()) if i else (plan.x, self.form, (self.numbers,))
        reads = x, plan.y, plan.order, plan.position, self.batch, n_in, *scale, plan.layers[i].W, self.b[i]
        writes = self.losses, self.right, self.outputs[i]
        return self.bind(f"answer_{form}", (-(-self.batch // BLOCK[1]),), BLOCK, *reads, n_out, *writes)

    def below(self, i: int) -> Step:
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


def planned(plan: Plan, backend: Backend, bind: Bind, matmul: Matmul | None = None) -> Step | None:
    """An update of a plan, with this ``matmul`` or with products of its own.

    None: the kernels do not know all that is in it, or may not be taken.
    """
    x = plan.x
    known = (
        backend.fused
        and backend.wrap is None
        and not isinstance(x, Compressed)
        and dtype_of(x) in ("uint8", backend.dtype_name)
        and dense(x)
        and dense(plan.y)
        and plan.optimizer in OPTIMIZERS
        and all(layer.activation in FUSED_KINDS for layer in plan.layers)
        and 0 < plan.order.shape[1] <= MOST_ROWS
        and max(*plan.vectors[0].shape, *plan.order.shape) < 2**31
    )
    own = backend.precision == "float32" and plan.layers[-1].W.shape[1] <= MOST_CLASSES
    if not known or (matmul is None and not own):
        return None
    update = Update(plan, backend, bind)
    calls = update.whole() if matmul is None else update.merged(matmul)

    def step() -> None:
        for call in calls:
            call()

    return step
