"""Train convolutional networks with which oneDNN writes outside its memory, on torch and numpy.

A memory error in a library ends, hangs or corrupts the process, so the trainings run in a process of their
own: ``python faulty_convolutions.py`` runs them, and ``run_trainings`` starts it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
BOUND = 1e-3
"""Largest distance of an update from NumPy's, relative to its norm. A float32 sum of K = 30,000 products in
random order is off by about u sqrt(K / 2) = 7e-6 of its value, and two updates add such errors up.
Overwritten or uninitialised numbers are off by more."""
GUARD = 0.5
GUARD_SIZES = (16, 200, 1000, 5000, 30_000)
# Makes glibc's allocator check the ends of freed blocks and fill new blocks with garbage; other systems
# ignore it.
CHECKED_MALLOC = {
    "LD_PRELOAD": "libc_malloc_debug.so.0",
    "GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.perturb=165",
}


@dataclass(frozen=True)
class Network:
    """Settings of the only convolution, the shape of one example, and the batch size."""

    settings: dict[str, Any]
    input_shape: tuple[int, ...]
    batch: int


_STRIDED = {"filters": 8, "kernel_size": 1, "strides": 2}
_ONE_COLUMN = {"filters": 7, "kernel_size": (1, 3), "strides": (1, 4)}
FAULTY = (
    *(Network(_STRIDED, (28, 28, n), 32) for n in (1, 3, 4, 7, 8, 9, 15)),
    Network(_ONE_COLUMN, (6, 3, 1), 33),
)
"""Networks that crash or compute wrong results if oneDNN 3.12 gets their strides."""


def _train(network: Network, backend: Any, data: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Return all parameters before the first and after the last update."""
    from helpers import weights

    import dnn

    layers = [dnn.Conv2D(**network.settings), dnn.Flatten(), dnn.Dense(4, "softmax")]
    model = dnn.Sequential(layers, input_shape=network.input_shape, backend=backend, seed=1)
    model.compile(optimizer=dnn.SGD(0.05, momentum=0.9))
    before = weights(model)
    model.fit(*data, batch_size=network.batch, epochs=1, verbose=0)
    return [before, weights(model)]


def measure_distance(network: Network, backends: Any) -> float:
    """Train on both backends; return the distance of their updates, relative to the norm of the first.

    Raises AssertionError: an array that has nothing to do with the training was written.
    """
    rng = np.random.default_rng(7)
    n = 2 * network.batch
    x = rng.standard_normal((n, *network.input_shape), dtype=np.float32)
    y = rng.integers(0, 4, n)
    guards = [backends[1].from_host(np.full(n, GUARD, np.float32)) for n in GUARD_SIZES]
    (start, wanted), (begun, found) = (_train(network, backend, (x, y)) for backend in backends)
    assert all((backends[1].to_host(guard) == GUARD).all() for guard in guards), "a guard was overwritten"
    assert (start == begun).all()
    wanted, found = (a.astype(np.float64) - start for a in (wanted, found))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def main() -> None:
    """Train FAULTY; print each network and its distance."""
    import torch

    from backends import get_backend

    torch.set_num_threads(1)
    backends = get_backend("numpy"), get_backend("torch")
    for network in FAULTY:
        print(network, flush=True)
        print(f"{measure_distance(network, backends)!r}", flush=True)


def run_trainings(environment: dict[str, str] | None = None, timeout: float = 300.0) -> list[float]:
    """Return the distances of ``main`` in a separate process, in which glibc checks the memory if possible.

    Raises AssertionError: the process crashed, hung, or wrote outside its arrays; with the network.
    """
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")))
    variables = {**os.environ, **CHECKED_MALLOC, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, __file__]
    try:
        done = subprocess.run(
            command, env=variables | (environment or {}), capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"no end within {timeout} s after {(error.stdout or b'')[-1000:]!r}") from None
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"ended with {done.returncode} after {lines[-1:]}: {done.stderr[-1000:]}"
    distances = [float(line) for line in lines[1::2]]
    assert len(distances) == len(FAULTY)
    return distances


if __name__ == "__main__":
    main()
