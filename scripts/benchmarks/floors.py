"""Floors: only the matrix products of an update, in the BLAS of NumPy and of torch.

    forward   z = x W        in each layer
    backward  dW = x^T dz    in each layer
              dx = dz W^T    in each but the first

These are eight products for three layers. No library can be faster than its own products.
"""

import importlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from backends import Backend, get_backend
from benchmarks.task import Prepared, Task


def operands(backend: Backend, widths: tuple[int, ...], batch: int) -> list[tuple[Any, Any, Any]]:
    """Return (a, b, out) of each product of one update, in order."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> Any:
        return backend.from_host(rng.uniform(0.1, 1, shape).astype(np.float32))

    forward = []
    backward = []
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        x = random(batch, n_in)
        W = random(n_in, n_out)
        dz = random(batch, n_out)
        forward.append((x, W, backend.zeros((batch, n_out))))
        if i:
            backward.append((dz, W.T, backend.zeros((batch, n_in))))
        backward.append((x.T, dz, backend.zeros((n_in, n_out))))
    return forward + backward[::-1]


def prepare_on(name: str) -> Callable[[Task], Prepared]:
    """Return the ``prepare`` function of the floor of this backend's library."""

    def prepare(task: Task) -> Prepared:
        backend = get_backend(name, task.device)
        matmul = importlib.import_module("torch").mm if name == "torch" else backend.xp.matmul
        products = operands(backend, task.widths, task.settings.batch)

        def run(n: int) -> None:
            for _ in range(n):
                for a, b, out in products:
                    matmul(a, b, out=out)
            backend.synchronize()

        return Prepared(run, None, backend.describe())

    return prepare
