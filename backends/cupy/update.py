"""A planned update as few launches: the batch is picked in one; the last bias, softmax and loss are one, and
so is all bookkeeping (``update.cu``). With each layer's product and bias with activation, and on the way back
f' with the bias's gradient and two products, the lecture's network takes 17.

It is the same for CuPy and torch: what starts a kernel and what multiplies are given.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from backends.backend import Backend
from backends.cupy.compiled import dense, dtype_of
from backends.cupy.sources import FUSED_KINDS, OPTIMIZERS
from backends.plan import Compressed, Plan
from backends.reference.signatures import Array, Numbers

Call = Callable[[], None]
Matmul = Callable[[Array, Array, Array], Any]  # of (a, b, out)
Bind = Callable[..., Call]  # of (name, grid, block, *arguments), as ``compiled.bound``
THREADS = 256
MOST_ROWS = 65535  # of a batch: CUDA's most blocks on the second axis


def fits(plan: Plan, backend: Backend) -> bool:
    """Whether the kernels know all that is in the plan, and may be taken."""
    x = plan.x
    return (
        backend.fused
        and backend.wrap is None
        and plan.whole is None
        and not isinstance(x, Compressed)
        and dtype_of(x) in ("uint8", backend.dtype_name)
        and dense(x)
        and dense(plan.y)
        and plan.optimizer in OPTIMIZERS
        and all(layer.activation in FUSED_KINDS for layer in plan.layers)
        and 0 < plan.order.shape[1] <= MOST_ROWS
        and max(*plan.vectors[0].shape, *plan.order.shape) < 2**31
    )


def numbers(optimizer: str, settings: Numbers, scale: float = 1.0) -> np.ndarray:
    """The scale of x and the optimizer's settings as ``dnn::optimize`` has them."""
    rest = [float(setting) for setting in settings]
    betas = [1.0, 0.0, 1.0, 0.0]  # c1 and c2 stay as they are
    if optimizer in ("adam", "adamw"):
        beta1, beta2, *rest = rest
        betas = [beta1, 1.0 - beta1, beta2, 1.0 - beta2]
    elif optimizer == "rmsprop":
        rest[1:1] = [1.0 - rest[0]]
    return np.asarray([scale, *betas, *rest])


def stepping(
    name: str, numbers: Array, control: Array, g: Array, p: Array, slots: Sequence[Array]
) -> list[Any]:
    """How the kernel of an optimizer's step is started."""
    n = p.shape[0]
    reads = OPTIMIZERS.index(name), numbers, control, g, n
    return ["optimizer", (-(-n // THREADS),), (THREADS,), *reads, p, slots[0], slots[-1]]


class Update:
    """The arrays of a planned update, and its launches in the order of ``calls``."""

    def __init__(self, plan: Plan, backend: Backend, bind: Bind, matmul: Matmul) -> None:
        self.plan, self.bind, self.matmul = plan, bind, matmul
        self.batch, self.width = plan.order.shape[1], math.prod(plan.x.shape[1:])
        made = numbers(plan.optimizer, plan.settings, plan.scale)
        self.numbers = backend.from_host(made.astype(backend.dtype_name))
        B, zeros = self.batch, backend.zeros
        self.x, self.y = zeros((B, self.width)), zeros(B, dtype=plan.y.dtype)
        self.outputs = [zeros((B, layer.W.shape[1])) for layer in plan.layers]
        self.errors = [zeros((B, layer.W.shape[1])) for layer in plan.layers[:-1]] + [self.outputs[-1]]
        self.losses, self.right = zeros(B), zeros(B)
        # Without a bias 0 is added, and what is found for it is not used.
        biases = [(layer.b, layer.db) for layer in plan.layers]
        spare = [zeros((2, layer.W.shape[1])) for layer in plan.layers]
        self.b = [a[0] if b is None else b for a, (b, _) in zip(spare, biases, strict=True)]
        self.db = [a[1] if db is None else db for a, (_, db) in zip(spare, biases, strict=True)]
        self.calls = [self.pick(), *self.forward(), *self.backward(), self.account(), self.step()]

    def __call__(self, n: int) -> None:
        for _ in range(n):
            for call in self.calls:
                call()

    def pick(self) -> Call:
        plan, kind = self.plan, "bytes" if dtype_of(self.plan.x) == "uint8" else "floats"
        grid = -(-self.width // THREADS), self.batch
        reads = plan.x, plan.y, plan.order, plan.position, self.batch, self.width, self.numbers
        return self.bind(f"pick_{kind}", grid, (THREADS,), *reads, self.x, self.y)

    def forward(self) -> list[Call]:
        x, calls = self.x, list[Call]()
        for layer, b, y in zip(self.plan.layers, self.b, self.outputs, strict=True):
            calls.append(partial(self.matmul, x, layer.W, y))
            n = y.shape[1]
            if y is self.outputs[-1]:
                row = self.y, self.batch, n, self.losses, self.right
                calls.append(self.bind("classify", (-(-self.batch // 4),), (32, 4), y, b, *row))
            else:
                kind = FUSED_KINDS.index(layer.activation)
                calls.append(
                    self.bind("bias_activation", (-(-n // THREADS), self.batch), (THREADS,), kind, b, n, y)
                )
            x = y
        return calls

    def backward(self) -> list[Call]:
        inputs, calls = [self.x, *self.outputs[:-1]], list[Call]()
        for i in reversed(range(len(inputs))):
            layer, dz, x, n = self.plan.layers[i], self.errors[i], inputs[i], self.errors[i].shape[1]
            reads = FUSED_KINDS.index(layer.activation), dz, self.outputs[i], self.batch, n
            calls.append(self.bind("backward_and_sums", (-(-n // 32),), (32, 32), *reads, dz, self.db[i]))
            calls.append(partial(self.matmul, x.T, dz, layer.dW))
            if i:
                calls.append(partial(self.matmul, dz, layer.W.T, self.errors[i - 1]))
        return calls

    def account(self) -> Call:
        plan = self.plan
        reads = self.losses, self.right, self.batch, int(plan.accuracy), plan.rates, plan.rates.shape[0]
        writes = plan.sums, plan.control, plan.position
        return self.bind("account", (1,), (32, 8), *reads, self.numbers, *writes)

    def step(self) -> Call:
        values, gradients, *slots = self.plan.vectors
        return self.bind(
            *stepping(self.plan.optimizer, self.numbers, self.plan.control, gradients, values, slots)
        )


def planned(plan: Plan, backend: Backend, bind: Bind, matmul: Matmul) -> Callable[[int], None] | None:
    """``run(n)`` for n updates of a plan; None: the kernels do not know all that is in it."""
    return Update(plan, backend, bind, matmul) if fits(plan, backend) else None
