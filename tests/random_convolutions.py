"""Train random convolutional networks on torch and numpy, for tests that detect memory errors.

A memory error in a library ends, hangs or corrupts the process, so the trainings run in processes of their
own: ``python random_convolutions.py SEED FIRST LAST`` runs some, and ``run_trainings`` starts it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
BOUND = 1e-3
"""Largest distance of an update from NumPy's, relative to its norm. A float32 sum of K = 30,000 products in
random order is off by about u sqrt(K / 2) = 7e-6 of its value, and three updates through four layers add such
errors up: at most 3.1e-5 in 2,000 networks. Overwritten or uninitialised numbers are off by more."""
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
    """Classes and settings of the layers, the shape of one example, batch size and number of updates."""

    layers: tuple[tuple[str, dict[str, Any]], ...]
    input_shape: tuple[int, ...]
    batch: int
    updates: int


_ENDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Flatten", {}),
    ("Dense", {"units": 4, "activation": "softmax"}),
)
_STRIDED = {"filters": 8, "kernel_size": 1, "strides": 2}
_ONE_COLUMN = {"filters": 7, "kernel_size": (1, 3), "strides": (1, 4)}
FAULTY = (
    *(Network((("Conv2D", _STRIDED), *_ENDS), (28, 28, n), 32, 2) for n in (1, 3, 4, 7, 8, 9, 15)),
    Network((("Conv2D", _ONE_COLUMN), *_ENDS), (6, 3, 1), 33, 2),
)
"""Networks that crash or compute wrong results if oneDNN 3.12 gets their strides."""


def _draw_filters(rng: random.Random, channels: int, shape: tuple[int, int]) -> dict[str, Any]:
    """Return random settings of a Conv2D for images of this shape."""
    groups = rng.choice([g for g in (1, 1, 1, 2, 3, channels) if channels % g == 0])
    dilation = rng.choice([(1, 1), (1, 1), (rng.randint(1, 3), rng.randint(1, 3))])
    size = rng.choice([(1, 1), (1, 1), (1, 1), (3, 3), (1, rng.randint(1, 5)), (rng.randint(1, 5), 1)])
    reach = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
    padding: Any = rng.choice(["valid", "same", tuple((rng.randrange(n), rng.randrange(n)) for n in reach)])
    if padding == "valid" and any(k > n for k, n in zip(reach, shape, strict=True)):
        padding = "same"
    if isinstance(padding, tuple) and any(
        n + sum(p) < k for n, p, k in zip(shape, padding, reach, strict=True)
    ):
        padding = "same"
    return {
        "filters": groups * rng.randint(1, max(1, 9 // groups)),
        "kernel_size": size,
        "activation": rng.choice(["tanh", "sigmoid", "linear", "gelu"]),  # smooth: no kinks to disagree at
        "strides": rng.choice([(2, 2), (2, 2), (1, 1), (rng.randint(1, 4), rng.randint(1, 4))]),
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "use_bias": rng.random() < 0.8,
    }


def draw_network(seed: int, number: int) -> Network:
    """Return a random network of one to three convolutions, some with pooling or normalization between."""
    from dnn import Conv2D

    rng = random.Random(f"{seed} {number}")
    channels = rng.randint(1, 9)
    batch = rng.choice([1, 2, 5, 8, 16, 32, 33])
    updates = rng.choice([2, 3])
    if rng.random() < 0.15:
        steps = rng.randint(5, 60)
        settings = {"filters": rng.randint(1, 9), "kernel_size": rng.choice([1, 1, 3]),
                    "strides": rng.randint(1, 4), "padding": rng.choice(["valid", "same"])}  # fmt: skip
        return Network((("Conv1D", settings), *_ENDS), (steps, channels), batch, updates)
    image = (rng.randint(1, 29), rng.randint(1, 29))
    shape = (*image, channels)
    layers: list[tuple[str, dict[str, Any]]] = []
    if min(image) > 3 and rng.random() < 0.2:
        layers.append(("MaxPooling2D", {"pool_size": 2, "padding": "same"}))
        shape = (-(-image[0] // 2), -(-image[1] // 2), channels)
    centred = not layers
    for _ in range(rng.randint(1, 3)):
        settings = _draw_filters(rng, shape[2], shape[:2])
        layers.append(("Conv2D", settings))
        shape = Conv2D(**settings).shape_after(shape)
        # If the mean is large beside the deviation, normalization multiplies rounding errors by the ratio.
        centred = centred and settings["activation"] in ("tanh", "linear")
        if centred and batch * shape[0] * shape[1] > 60:
            layers += [("BatchNormalization", {})] * (rng.random() < 0.4)
    # The average of normalized channels is constant, so its gradient would be rounding errors only.
    normalised = layers[-1][0] == "BatchNormalization"
    flat, dense = _ENDS
    average = ("GlobalAveragePooling2D", {})
    layers += [flat if normalised else rng.choice([flat, flat, average]), dense]
    return Network(tuple(layers), (*image, channels), batch, updates)


def _train(network: Network, backend: Any, data: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Return all parameters before the first and after the last update."""
    from helpers import weights

    import dnn

    layers = [getattr(dnn, name)(**settings) for name, settings in network.layers]
    model = dnn.Sequential(layers, input_shape=network.input_shape, backend=backend, seed=1)
    model.compile(optimizer=dnn.SGD(0.05, momentum=0.9))
    before = weights(model)
    model.fit(*data, batch_size=network.batch, epochs=1, verbose=0)
    return [before, weights(model)]


def measure_distance(network: Network, backends: Any, seed: int) -> float:
    """Train on both backends; return the distance of their updates, relative to the norm of the first.

    Raises AssertionError: an array that has nothing to do with the training was written.
    """
    rng = np.random.default_rng(seed)
    n = network.batch * network.updates
    x = rng.standard_normal((n, *network.input_shape), dtype=np.float32)
    y = rng.integers(0, 4, n)
    guards = [backends[1].from_host(np.full(n, GUARD, np.float32)) for n in GUARD_SIZES]
    (start, wanted), (begun, found) = (_train(network, backend, (x, y)) for backend in backends)
    assert all((backends[1].to_host(guard) == GUARD).all() for guard in guards), "a guard was overwritten"
    assert (start == begun).all()
    wanted, found = (a.astype(np.float64) - start for a in (wanted, found))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def main(seed: int, first: int, last: int) -> None:
    """Train FAULTY and the random networks first to last - 1; print each and its distance."""
    import torch

    from backends import get_backend

    torch.set_num_threads(1)
    backends = get_backend("numpy"), get_backend("torch")
    for network in (*FAULTY, *(draw_network(seed, number) for number in range(first, last))):
        print(network, flush=True)
        print(f"{measure_distance(network, backends, seed)!r}", flush=True)


def run_trainings(
    seed: int, first: int, last: int, environment: dict[str, str] | None = None, timeout: float = 300.0
) -> list[float]:
    """Return the distances of ``main`` in a separate process, in which glibc checks the memory if possible.

    Raises AssertionError: the process crashed, hung, or wrote outside its arrays; with the network.
    """
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")))
    variables = {**os.environ, **CHECKED_MALLOC, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, __file__, *map(str, (seed, first, last))]
    try:
        done = subprocess.run(
            command, env=variables | (environment or {}), capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"no end within {timeout} s after {(error.stdout or b'')[-1000:]!r}") from None
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"ended with {done.returncode} after {lines[-1:]}: {done.stderr[-1000:]}"
    distances = [float(line) for line in lines[1::2]]
    assert len(distances) == len(FAULTY) + last - first
    return distances


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
