"""Convolutions never pass oneDNN the shapes for which it writes outside its memory.

A memory error in a library ends, hangs or corrupts the process. So trainings with these shapes run in another
process, which starts this file as a program.
"""

import os
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers import MAX_SECONDS, NUMPY, others_slow, weights
from kernel_checks import LayoutContender, calls_of

import dnn
from backends import get_backend

BOUND = 1e-3
"""Bound of |update - NumPy's update| / |NumPy's update|. A float32 sum of K = 30,000 products in random order
has a relative error of about u sqrt(K / 2) = 7e-6, and the errors of two updates add up.
Overwritten or uninitialised numbers are off by more."""
GUARD = 0.5
GUARD_SIZES = (16, 200, 1000, 5000, 30_000)
# Makes glibc's allocator check the ends of freed blocks and fill new blocks with garbage; other systems
# ignore it.
CHECKED_MALLOC = {
    "LD_PRELOAD": "libc_malloc_debug.so.0",
    "GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.perturb=165",
}


class Network(NamedTuple):
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


def train(network, backend, data):
    """Return all parameters before the first and after the last update."""
    layers = [dnn.Conv2D(**network.settings), dnn.Flatten(), dnn.Dense(4, "softmax")]
    model = dnn.Sequential(layers, input_shape=network.input_shape, backend=backend, seed=1)
    model.compile(optimizer=dnn.SGD(0.05, momentum=0.9))
    before = weights(model)
    model.fit(*data, batch_size=network.batch, epochs=1, verbose=0)
    return [before, weights(model)]


def measure_distance(network, backends):
    """Train on both backends; return the distance of their updates, relative to the norm of the first.

    Raises AssertionError: an array that has nothing to do with the training was written.
    """
    rng = np.random.default_rng(7)
    n = 2 * network.batch
    x = rng.standard_normal((n, *network.input_shape), dtype=np.float32)
    y = rng.integers(0, 4, n)
    guards = [backends[1].from_host(np.full(n, GUARD, np.float32)) for n in GUARD_SIZES]
    (start, wanted), (begun, found) = (train(network, backend, (x, y)) for backend in backends)
    assert all((backends[1].to_host(guard) == GUARD).all() for guard in guards), "a guard was overwritten"
    assert (start == begun).all()
    wanted, found = (a.astype(np.float64) - start for a in (wanted, found))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def main():
    """Train FAULTY; print each network and its distance."""
    torch.set_num_threads(1)
    backends = NUMPY, get_backend("torch")
    for network in FAULTY:
        print(network, flush=True)
        print(f"{measure_distance(network, backends)!r}", flush=True)


PROCESSORS = {
    "own": {},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}


@pytest.mark.parametrize("processor", others_slow(PROCESSORS, ["own"]))
def test_trainings_agree_with_numpy(processor):
    """The process that trains neither crashes nor hangs; glibc checks its memory, if it can."""
    variables = {**os.environ, **CHECKED_MALLOC, "OMP_NUM_THREADS": "1", **PROCESSORS[processor]}
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, __file__], env=variables, capture_output=True, text=True, timeout=MAX_SECONDS
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"after {lines[-1:]}: {done.stderr[-1000:]}"
    distances = [float(line) for line in lines[1::2]]
    assert len(distances) == len(FAULTY)
    assert max(distances) <= BOUND


@pytest.mark.parametrize("name", ["conv2d", "grouped_conv2d"])
def test_torch_never_gets_shapes_with_known_defects(make_backend, monkeypatch, name):
    """Neither the strides that ``needed_pixels`` avoids, nor borders as wide as the filters (oneDNN#5942)."""
    backend = make_backend("torch")
    calls = []

    def check(x, W, strides, padding, dilation):
        calls.append(x.shape)
        size = np.array(W.shape[2:])
        reach = 1 + (size - 1) * dilation
        windows = (np.array(x.shape[2:]) + 2 * np.array(padding) - reach) // strides + 1
        assert (np.array(strides)[(size == 1) | (windows == 1)] == 1).all()
        assert (padding < reach).all()

    def forward(x, W, b, *geometry, original=torch.conv2d):
        check(x, W, *geometry[:3])
        return original(x, W, b, *geometry)

    def backward(dz, x, W, n, *geometry, original=torch.ops.aten.convolution_backward):
        check(x, W, *geometry[:3])
        return original(dz, x, W, n, *geometry)

    monkeypatch.setattr(torch, "conv2d", forward)
    monkeypatch.setattr(torch.ops.aten, "convolution_backward", backward)
    count = 0
    for kernel in (name, f"{name}_backward"):
        for call in calls_of(kernel):
            LayoutContender(backend).kernel(call)
            count += 1
    assert len(calls) == count


if __name__ == "__main__":
    main()
