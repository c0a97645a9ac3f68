"""Planned updates by the CUDA kernels, run on the host: same results as layers, in few launches."""

from __future__ import annotations

import types

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import planned_runs
import pytest
from helpers import both_dtypes
from planned_runs import SMOOTH, assert_nonfinite_spreads, assert_same_results

from backends.cupy import compilation, update
from dnn import Dense
from dnn.commands import train_options
from dnn.commands.model import build_model
from dnn.layers import Flatten, Rescaling
from dnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.optimizers.schedules import CosineDecay
from dnn.training.loop import Batches

if host_cuda.COMPILER is None:
    pytest.skip("no C++ compiler", allow_module_level=True)

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


def make_backend(dtype="float32"):
    return host_cuda.CupyOverridesOnNumpy("cupy", npx, "cpu", dtype)


@pytest.fixture(autouse=True)
def on_the_host(monkeypatch):
    host_cuda.install(monkeypatch)


def run_training(case, *, planned=True, dtype="float32", **settings):
    """Train by plans, or layer by layer."""
    layers, x, optimizer, batch = case
    case = layers, x if x.dtype == np.uint8 else x.astype(dtype), optimizer, batch
    return planned_runs.run_training(case, make_backend(dtype), planned, LABELS[: len(x)], **settings)


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


# --------------------------------------------------------------------------- how many launches


def count_launches(monkeypatch):
    """Record the names of all kernels launched from now on."""
    started = []

    def noting(make):
        def made(name, *rest):
            kernel = make(name, *rest)

            def start(*arguments):
                started.append(name)
                kernel(*arguments)

            return start

        return made

    monkeypatch.setattr(compilation, "raw_kernel", noting(host_cuda.raw))
    monkeypatch.setattr(compilation, "elementwise", noting(host_cuda.Elementwise))
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda *a, **o: started.append("matmul") or matmul(*a, **o))
    return started


def test_an_update_of_the_lecture_network_takes_5_launches(monkeypatch):
    """With train.py's own metrics and schedule, on noise of MNIST's shape; the hidden layers are narrower."""
    x, y = RNG.integers(0, 256, (400, 784)).astype(np.uint8), RNG.integers(0, 10, 400)
    data = types.SimpleNamespace(x_train=x, image_shape=(28, 28), classes=10)
    asked = train_options.make_parser().parse_args(["--hidden", "50", "50"])
    model = build_model(asked, make_backend(), data, len(x))
    started = count_launches(monkeypatch)
    batches = Batches(model, model.input_pipeline.validate(x, y), asked.batch_size)
    batches.begin(1)
    started.clear()
    batches.run(2)
    assert started == 2 * [
        "forward_gathered", "forward_hidden", "output_hidden", "hidden_gradient", "step",
    ]  # fmt: skip
    assert batches.totals.names == ("loss", "accuracy")
    assert batches.network.optimizer_state.rates.shape[0] > 1


# --------------------------------------------------------------------------- races


class Watched:
    """A kernel that also runs each block alone: no two blocks may write the same place."""

    writes: dict[str, int] = {}  # noqa: RUF012  # kernel -> places seen written
    behind: list[np.ndarray] = []  # noqa: RUF012  # arrays with addresses in tables

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


def test_finds_a_race(monkeypatch):
    monkeypatch.setattr(compilation, "raw_kernel", Watched)

    def launch_step(layers):
        """Launch the optimizer step of this number of layers with the same weights."""
        x, dz, W, b = (np.ones(shape, np.float32) for shape in ((2, 3), (2, 4), (3, 4), 4))
        monkeypatch.setattr(Watched, "behind", [dz, W, b])
        layer = [0, *map(update.address, (dz, W, W, W, b, b, b)), 3, 4]
        table = np.asarray([[*layer, first_block] for first_block in range(layers)])
        numbers, control, rates, batch = np.ones(9, np.float32), *np.ones((3, 4), np.float32)
        rows = x, np.zeros((1, 2), np.int64), np.zeros(1, np.int64), 2
        sums = batch, batch, 1, batch.copy(), np.zeros(1, np.int64)
        arguments = *rows, 0, table, layers, numbers, control, rates, 1, *sums
        compilation.bind_launch("step", (layers,), (32, update.STEP_WARPS), *arguments)()

    launch_step(1)
    with pytest.raises(AssertionError, match="step: two blocks write one place"):
        launch_step(2)
    line = np.arange(5, dtype=np.float32)[:, None]
    one = np.ones((1, 1), np.float32)
    with pytest.raises(AssertionError, match="multiply_in_order: what it leaves depends on the order"):
        # Each thread reads what the next one writes.
        compilation.bind_launch("multiply_in_order", (1,), (256,), line[1:], one, line[:4], 4, 1, 1)()
