"""Functions that the replacements of mutants use: rounded products, and a correct program of a plan."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends import Backend
from backends.numpy.blas import numpy_blas as numpy_blas
from backends.numpy.products import product
from backends.plan import Compressed, Plan
from backends.reference import ACTIVATIONS, Kernels
from backends.reference.optimizers import RATE, UPDATES
from backends.reference.signatures import Array


def round_tf32(a: Array) -> Array:
    """Round to TF32: float32 with 10 bits of mantissa, by Veltkamp's splitting (Dekker 1971)."""
    single = a.astype(np.float32)
    c = single * np.float32(2**13 + 1)
    return (c - (c - single)).astype(a.dtype)


def rounded_product(a: Array, b: Array, out: Array | None = None) -> Array:
    return product(round_tf32(a), round_tf32(b), out)


def as_dense(x: Any) -> np.ndarray:
    """Return x or a ``Compressed`` matrix as an array."""
    if not isinstance(x, Compressed):
        return np.asarray(x)
    from scipy.sparse import csr_matrix

    return np.asarray(csr_matrix((x.values, x.columns, x.starts), x.shape).toarray())


def run_plan(backend: Backend, plan: Plan) -> Callable[[int], None]:
    """Return a correct ``run(n)`` of a plan."""
    values, gradient, *slots = plan.vectors
    last_rate = len(plan.rates) - 1

    def update() -> None:
        x = as_dense(plan.x)  # it may change between updates
        index = plan.order[plan.position[0]]
        plan.position[...] += 1
        y = plan.y[index]
        h = (x[index] * plan.scale).astype(values.dtype)
        passed = []
        for layer in plan.layers:
            f = ACTIVATIONS[layer.activation]
            z = h @ layer.W + (0 if layer.b is None else layer.b)
            out = f.forward(np, z)
            passed.append((f, h, z, out, layer))
            h = out
        e = plan.label_smoothing
        targets = ((1.0 - e) * np.eye(h.shape[1])[y] + e / h.shape[1]).astype(h.dtype)
        losses, dy = np.empty_like(y, h.dtype), np.empty_like(h)
        Kernels(np).softmax_cross_entropy(h, targets, losses, dy)
        for f, x, z, out, layer in reversed(passed):
            dz = f.backward(np, dy, z, out)
            layer.dW[...] = x.T @ dz
            if layer.db is not None:
                layer.db[...] = dz.sum(axis=0)
            dy = dz @ layer.W.T
        if last_rate:  # else a callback may set the rate
            plan.control[RATE] = plan.rates[min(int(plan.control[UPDATES][0]), last_rate)]
        plan.optimizer(values, gradient, tuple(slots), plan.control, plan.settings)
        plan.sums[:2] += losses.sum(), np.sum(h.argmax(axis=1) == y) * plan.accuracy

    def run(n: int) -> None:
        for _ in range(n):
            update()

    return run
