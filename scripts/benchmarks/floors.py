"""The floors: an update's own matrix products, and nothing else, in the BLAS of NumPy and of torch.

    forward   z = x W        in each layer
    backward  dW = x^T dz    in each layer
              dx = dz W^T    in each but the first

Eight products for three layers; no library can be faster than its own.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from backends import Backend, get_backend
from benchmarks.task import Prepared, Task

Product = Callable[..., Any]


def flops(widths: tuple[int, ...], batch: int) -> int:
    """Multiplications and additions of one update's products: 309.8 million in the lecture's network.

    >>> flops((784, 500, 500, 10), 100)
    309800000
    """
    pairs = [a * b for a, b in pairwise(widths)]
    return 2 * batch * (3 * sum(pairs) - pairs[0])


def products(backend: Backend, matmul: Product, widths: tuple[int, ...], batch: int) -> Callable[[], None]:
    """A function that does one update's products, by ``matmul(a, b, out=)``, into buffers that are there."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> Any:
        array = backend.zeros(shape)
        array[...] = backend.from_host(rng.uniform(0.1, 1, size=shape).astype(backend.dtype_name))
        return array

    forwards: list[tuple[Any, Any, Any]] = []
    backwards: list[tuple[Any, Any, Any]] = []
    x = random(batch, widths[0])
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        W = random(n_in, n_out)
        dz = random(batch, n_out)
        z = random(batch, n_out)
        forwards.append((x, W, z))
        layer = [(x.T, dz, backend.zeros((n_in, n_out)))]
        if i:
            layer.append((dz, W.T, backend.zeros((batch, n_in))))
        backwards = layer + backwards
        # A fresh input: z itself would be multiplied again and again, and grow.
        x = random(batch, n_out)

    def update() -> None:
        for a, b, out in (*forwards, *backwards):
            matmul(a, b, out=out)

    return update


def library_matmul(backend: Backend) -> Product:
    """The product with ``out=`` of a backend's library."""
    if backend.name == "torch":
        import torch as library

        product: Product = library.mm
        return product
    if backend.name == "cupy":
        return backend.xp.matmul  # type: ignore[no-any-return]
    return np.matmul


def on(name: str, matmul: Product | None = None) -> Callable[[Task], Prepared]:
    """How the floor of this backend's library is prepared; without ``matmul(a, b, out=)`` its usual one."""

    def prepare(task: Task) -> Prepared:
        backend = get_backend(name, task.device, precision=task.settings.precision)
        update = products(backend, matmul or library_matmul(backend), task.widths, task.settings.batch)

        def run(n: int) -> None:
            for _ in range(n):
                update()
            backend.synchronize()

        return Prepared(run, None, backend.describe())

    return prepare
