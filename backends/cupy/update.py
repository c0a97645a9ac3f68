"""A planned update as few launches: the batch is picked in one; the last bias, softmax and loss are one, and
so is all bookkeeping (``update.cu``). With each layer's product and bias with activation, and on the way back
f' with the bias's gradient and two products, the lecture's network takes 17.

It is the same for CuPy and torch: what starts a kernel and what multiplies are given.
"""

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

    def __init__(self, plan: Plan, backend: Backend, bind: Bind) -> None:
        self.plan, self.backend, self.bind = plan, backend, bind
        self.batch = B = plan.order.shape[1]
        made = numbers(plan.optimizer, plan.settings, plan.scale)
        self.numbers = backend.from_host(made.astype(backend.dtype_name))
        self.form = "bytes" if dtype_of(plan.x) == "uint8" else "floats"  # of x, in kernels' names
        self.kinds = [FUSED_KINDS.index(layer.activation) for layer in plan.layers]
        zeros = backend.zeros
        self.outputs = [zeros((B, layer.W.shape[1])) for layer in plan.layers]
        self.errors = [zeros((B, layer.W.shape[1])) for layer in plan.layers[:-1]] + [self.outputs[-1]]
        self.losses, self.right = zeros(B), zeros(B)
        # Where there is no bias, 0 is added.
        self.b = [zeros(layer.W.shape[1]) if layer.b is None else layer.b for layer in plan.layers]
        self.calls = self.launches()

    def __call__(self, n: int) -> None:
        for _ in range(n):
            for call in self.calls:
                call()

    def launches(self) -> list[Call]:
        """Each of the update, in order."""
        raise NotImplementedError

    def account(self) -> Call:
        """All bookkeeping."""
        plan = self.plan
        reads = self.losses, self.right, self.batch, int(plan.accuracy), plan.rates, plan.rates.shape[0]
        writes = plan.sums, plan.control, plan.position
        return self.bind("account", (1,), (32, 8), *reads, self.numbers, *writes)


class Merged(Update):
    """With the library's products."""

    def __init__(self, plan: Plan, backend: Backend, bind: Bind, matmul: Matmul) -> None:
        self.matmul = matmul
        super().__init__(plan, backend, bind)

    def launches(self) -> list[Call]:
        """Pick the batch, forward, backward, bookkeeping, and the optimizer's step."""
        plan, zeros, width = self.plan, self.backend.zeros, self.plan.x.shape[1]
        self.x, self.y = zeros((self.batch, width)), zeros(self.batch, dtype=plan.y.dtype)
        reads = plan.x, plan.y, plan.order, plan.position, self.batch, width, self.numbers
        grid = -(-width // THREADS), self.batch
        pick = self.bind(f"pick_{self.form}", grid, (THREADS,), *reads, self.x, self.y)
        values, gradients, *slots = plan.vectors
        step = self.bind(*stepping(plan.optimizer, self.numbers, plan.control, gradients, values, slots))
        return [pick, *self.forward(), *self.backward(), self.account(), step]

    def forward(self) -> list[Call]:
        """A product for each layer, and what follows it."""
        x, calls = self.x, list[Call]()
        for layer, kind, b, y in zip(self.plan.layers, self.kinds, self.b, self.outputs, strict=True):
            calls.append(partial(self.matmul, x, layer.W, y))
            n = y.shape[1]
            if y is self.outputs[-1]:
                row = self.y, self.batch, n, self.losses, self.right
                calls.append(self.bind("classify", (-(-self.batch // 4),), (32, 4), y, b, *row))
            else:
                grid = -(-n // THREADS), self.batch
                calls.append(self.bind("bias_activation", grid, (THREADS,), kind, b, n, y))
            x = y
        return calls

    def backward(self) -> list[Call]:
        """f' with the bias's gradient, and one or two products for each layer."""
        inputs, calls = [self.x, *self.outputs[:-1]], list[Call]()
        for i in reversed(range(len(inputs))):
            layer, dz, n = self.plan.layers[i], self.errors[i], self.errors[i].shape[1]
            db = self.backend.zeros(n) if layer.db is None else layer.db
            reads = self.kinds[i], dz, self.outputs[i], self.batch, n
            calls.append(self.bind("backward_and_sums", (-(-n // 32),), (32, 32), *reads, dz, db))
            calls.append(partial(self.matmul, inputs[i].T, dz, layer.dW))
            if i:
                calls.append(partial(self.matmul, dz, layer.W.T, self.errors[i - 1]))
        return calls


def planned(plan: Plan, backend: Backend, bind: Bind, matmul: Matmul) -> Update | None:
    """``run(n)`` for n updates of a plan; None: the kernels do not know all that is in it."""
    return Merged(plan, backend, bind, matmul) if fits(plan, backend) else None
