"""Planned updates by the CUDA kernels, run on the host: same results as layers, in few launches."""

import host_cuda
import numpy as np
import planned_runs
import pytest
from helpers import both_dtypes
from planned_runs import SMOOTH, assert_nonfinite_spreads, assert_same_results

from backends.cupy import compilation, update
from dnn import Dense
from dnn.layers import Flatten, Rescaling
from dnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.optimizers.schedules import CosineDecay

pytestmark = pytest.mark.usefixtures("on_the_host")

RNG = np.random.default_rng(16)
LABELS = RNG.integers(0, 5, 83)
FLOATS = RNG.standard_normal((83, 37)).astype(np.float32)
BYTES = RNG.integers(0, 256, (83, 37)).astype(np.uint8)
HIDDEN = [Dense(33, "sigmoid"), Dense(17, "relu"), Dense(5, "softmax")]
ADAM = Adam(epsilon=SMOOTH)
CASES = {
    "a short last batch": (HIDDEN, FLOATS, ADAM, 20),
    "bytes": ([Rescaling(1 / 255), Dense(41, "tanh"), Dense(5), Dense(5, "softmax")], BYTES, ADAM, 83),
    "batches of one": ([Dense(7, "sigmoid"), Dense(5, "softmax")], FLOATS[:9], ADAM, 1),
    "many classes": ([Dense(7, "relu"), Dense(70, "softmax")], FLOATS, ADAM, 9),
    "without a bias": (
        [Dense(40, "tanh", use_bias=False), Dense(5, "softmax", use_bias=False)], FLOATS,
        Adam(beta1=0.8, epsilon=SMOOTH), 10,
    ),
    "images": ([Flatten(), Dense(9), Dense(5, "softmax")], BYTES[:, 1:].reshape(-1, 4, 9), ADAM, 10),
    "a falling rate": (HIDDEN, FLOATS, Adam(CosineDecay(0.01, 6), epsilon=SMOOTH), 10),
    "decay": (HIDDEN, FLOATS, AdamW(epsilon=SMOOTH, weight_decay=0.3), 32),
    "sgd": (HIDDEN, FLOATS, SGD(0.1), 32),
    "momentum": (HIDDEN, FLOATS, SGD(0.1, momentum=0.5, nesterov=True), 32),
    "rmsprop": (HIDDEN, FLOATS, RMSprop(1e-3, epsilon=SMOOTH, momentum=0.5), 32),
    "adagrad": (HIDDEN, FLOATS, Adagrad(epsilon=SMOOTH), 32),
}  # fmt: skip


def run_training(case, *, planned=True, dtype="float32", **settings):
    """Train by plans, or layer by layer."""
    layers, x, optimizer, batch = case
    case = layers, x if x.dtype == np.uint8 else x.astype(dtype), optimizer, batch
    return planned_runs.run_training(
        case, host_cuda.cupy_on_numpy(dtype), planned, LABELS[: len(x)], **settings
    )


@both_dtypes
@pytest.mark.parametrize("name", CASES)
def test_a_plan_gives_the_results_of_the_layers(name, dtype):
    _, x, *_ = CASES[name]
    plan, seen = run_training(CASES[name], dtype=dtype)
    assert all(seen)
    layers, _ = run_training(CASES[name], planned=False, dtype=dtype)
    assert_same_results(plan, layers, 3e-6 if dtype == "float32" else 1e-14, len(x))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nonfinite_weights_spread_as_in_layers(value):
    case = CASES["a short last batch"]
    assert_nonfinite_spreads(
        lambda planned, **settings: run_training(case, planned=planned, **settings), value
    )


# --------------------------------------------------------------------------- races


class Watched:
    """A kernel that also runs each block alone: no two blocks may write the same place."""

    writes = {}  # noqa: RUF012  # kernel -> places seen written
    behind = []  # noqa: RUF012  # arrays with addresses in tables

    def __init__(self, name, real, pixel):
        self.name, self.kernel = name, host_cuda.raw(name, real, pixel)

    def __call__(self, grid, block, arguments):
        arrays = [a for a in arguments if isinstance(a, np.ndarray)]
        if self.name == "step":
            arrays = [*arrays[:-1], *self.behind]  # all blocks count in the last one, the tickets
        before = [a.copy() for a in arrays]
        write_counts = [np.zeros(a.shape, int) for a in arrays]
        for one in range(int(np.prod(grid))):
            host_cuda.library().host_order(0, one)
            self.kernel(grid, block, arguments)
            for a, b, count in zip(arrays, before, write_counts, strict=True):
                bits = f"u{a.dtype.itemsize}"
                count += np.ascontiguousarray(a).view(bits) != b.view(bits)
                a[...] = b
        host_cuda.library().host_order(0, -1)
        assert all(count.max(initial=0) <= 1 for count in write_counts), (
            f"{self.name}: two blocks write one place"
        )
        self.kernel(grid, block, arguments)
        after = [a.copy() for a in arrays]
        for a, b in zip(arrays, before, strict=True):
            a[...] = b
        host_cuda.library().host_order(1, -1)  # the last block and the last thread first
        self.kernel(grid, block, arguments)
        host_cuda.library().host_order(0, -1)
        for a, b in zip(arrays, after, strict=True):
            assert a.tobytes() == b.tobytes(), f"{self.name}: what it leaves depends on the order"
        Watched.writes[self.name] = Watched.writes.get(self.name, 0) + sum(int(c.sum()) for c in write_counts)


@pytest.mark.parametrize("name", ["a short last batch", "bytes", "many classes", "momentum"])
def test_blocks_write_disjoint_places_in_any_order(name, monkeypatch):
    def address(array):
        Watched.behind += [] if array is None else [array]
        return original(array)

    original = update.address
    plain, _ = run_training(CASES[name], epochs=1)
    Watched.writes.clear()
    Watched.behind.clear()
    monkeypatch.setattr(compilation, "raw_kernel", Watched)
    monkeypatch.setattr(update, "address", address)
    watched, seen = run_training(CASES[name], epochs=1)
    assert all(seen)
    assert len(Watched.writes) >= 3
    assert all(Watched.writes.values())
    np.testing.assert_array_equal(watched["values"], plain["values"])
