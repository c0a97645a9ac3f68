"""torch on CUDA: planned updates and Adam by the kernels' text, which a made-up compiler compiles here."""

from __future__ import annotations

import contextlib
import inspect
import logging
import re
from dataclasses import replace

import host_cuda
import numpy as np
import pytest
import torch
from helpers import assert_close
from kernel_checks import assert_equals_reference
from planned_runs import SMOOTH

from backends import get_backend
from backends.cupy import sources
from backends.torch import compiled, optimizers
from backends.torch.backend import TorchBackend
from dnn import Dense, Sequential
from dnn.layers import Rescaling
from dnn.optimizers import SGD, Adam, AdamW
from dnn.optimizers.schedules import LinearDecay
from dnn.training.loop import Batches

if host_cuda.COMPILER is None:
    pytest.skip("no C++ compiler", allow_module_level=True)

CACHED = compiled.raw_kernel, compiled.compiles, optimizers._numbers, optimizers._advance


class OnTheHost(TorchBackend):
    """What torch does on CUDA, with tensors of the CPU."""

    device_type = "cuda"


@pytest.fixture
def started(monkeypatch):
    """(name, blocks) of what is started by torch's private call, which is made up."""
    calls = []

    def compile_kernel(text, name):
        (real,) = re.findall(r"^#define REAL (\w+)$", text, re.MULTILINE)
        kernel = host_cuda.raw(name, real)

        def start(grid, block, args):
            assert len(grid) == len(block) == 3
            calls.append((name, int(np.prod(grid))))
            given = [np.int32(a) if type(a) is int else a.detach().numpy() for a in args]
            kernel(grid[:2], block[:2], tuple(given))

        return start

    def on_cpu(make):
        return lambda *values, device=None, **settings: make(*values, **settings)

    monkeypatch.setattr(torch.cuda, "_compile_kernel", compile_kernel, raising=False)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    for name in ("full", "tensor"):
        monkeypatch.setattr(torch, name, on_cpu(getattr(torch, name)))
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    for function in CACHED:
        function.cache_clear()
    yield calls
    for function in CACHED:
        function.cache_clear()


def backend_of(dtype="float32"):
    return OnTheHost("torch", get_backend("torch").xp, torch.device("cpu"), dtype)


RNG = np.random.default_rng(7)
X, Y = RNG.integers(0, 256, (83, 37)).astype(np.uint8), RNG.integers(0, 5, 83)


def trained(backend, optimizer):
    layers = [Rescaling(1 / 255), Dense(33, "sigmoid"), Dense(17, "relu"), Dense(5, "softmax")]
    model = Sequential(layers, input_shape=(37,), backend=backend, seed=4)
    model.compile(optimizer=optimizer)
    history = model.fit(X, Y, batch_size=20, epochs=2).history
    return model.backend.to_host(model.parameters.values), history["loss"], history["accuracy"]


TIE = 1.5 / len(X)
"""An example with two logits equal to rounding may count as right or not."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer", [Adam(LinearDecay(0.01, 9), epsilon=SMOOTH), AdamW(epsilon=SMOOTH), SGD(0.1, momentum=0.5)]
)
def test_a_plan_leaves_what_the_layers_leave(started, optimizer, dtype):
    planned = trained(backend_of(dtype), optimizer)
    assert "classify" in {name for name, _ in started}
    layers = trained(get_backend("torch", dtype=dtype), optimizer)
    bound = 3e-6 if dtype == "float32" else 1e-14
    assert_close(planned[0], layers[0], bound)
    assert planned[1] == pytest.approx(layers[1], rel=bound)
    assert planned[2] == pytest.approx(layers[2], abs=TIE)


def test_the_lectures_update_is_17_launches(started, monkeypatch):
    layers = [Rescaling(1 / 255), Dense(50, "relu"), Dense(50, "relu"), Dense(10, "softmax")]
    model = Sequential(layers, input_shape=(20,), backend=backend_of())
    model.compile(optimizer=Adam(LinearDecay(0.01, 9)))
    x, y = RNG.integers(0, 256, (60, 20)).astype(np.uint8), RNG.integers(0, 10, 60)
    mm = torch.mm
    monkeypatch.setattr(torch, "mm", lambda *a, **o: started.append(("mm", 1)) or mm(*a, **o))
    batches = Batches(model, model.door.admit(x, y), 20)
    batches.begin(1)
    started.clear()
    batches.run(2)
    assert len(started) == 2 * 17


def test_a_recorded_update_has_products_of_its_own(started, monkeypatch):
    """What torch.cuda.graph is given, run here as it is."""
    made = []

    def graphs(step, unroll, device):
        made.append(unroll)
        return lambda n: [step() for _ in range(n)]

    monkeypatch.setattr("backends.torch.backend.CudaGraphs", graphs)
    recorded = replace(backend_of(), graphs=True)
    planned = trained(recorded, Adam(epsilon=SMOOTH))
    assert {name for name, _ in started} == {
        "bias_activation", "forward_bytes", "forward_hidden", "answer_hidden", "below", "step_bytes",
        "account",
    }  # fmt: skip
    assert set(made) == {25}
    layers = trained(get_backend("torch"), Adam(epsilon=SMOOTH))
    assert_close(planned[0], layers[0], 3e-6)
    assert planned[2] == pytest.approx(layers[2], abs=TIE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variant", ["plain", "strided", "special"])
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_is_the_reference(started, name, variant, dtype):
    backend = backend_of(dtype)
    assert backend.kernel(name).args[:2] == (name, True)
    assert_equals_reference(backend, name, None, variant)
    assert {name for name, _ in started} == {"bias_activation", "optimizer"}


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_fills_a_card(started, name):
    """torch's fused step has a block for 65,536 numbers: for the lecture's network 10."""
    backend = backend_of()
    p, g, m, v, control = (backend.zeros(n) for n in (648_016,) * 4 + (4,))
    started.clear()
    settings = (0.9, 0.999, 1e-8) + ((0.01,) if name == "adamw" else ())
    backend.kernel(name)(p, g, (m, v), control, settings)
    ((kernel, blocks),) = started
    assert kernel == "optimizer"
    assert blocks >= 132


@pytest.mark.parametrize("trouble", ["no call", "wrong numbers", "an error", "AMD"])
def test_without_the_call_the_layers_do_it(started, monkeypatch, trouble):
    def nothing(text, name):
        if trouble == "an error":
            raise OSError("CUDA_HOME environment variable is not set")
        return lambda *arguments: None

    if trouble == "no call":
        monkeypatch.delattr(torch.cuda, "_compile_kernel")
    elif trouble == "AMD":
        monkeypatch.setattr(torch.version, "hip", "6.4")
    else:
        monkeypatch.setattr(torch.cuda, "_compile_kernel", nothing)
    backend = backend_of()
    assert compiled.compiles() is False
    assert backend.kernel("adam").args[:2] == ("adam", False)
    found, wanted = (trained(b, Adam()) for b in (backend, get_backend("torch")))
    assert found[2] == pytest.approx(wanted[2], abs=TIE)


def test_torchs_own_call_takes_what_it_is_given():
    """Its signature, and that it makes C ints of ints, as far as can be seen without a card."""
    if not hasattr(torch.cuda, "_compile_kernel"):
        pytest.skip("this torch has no such call")
    from torch.cuda import _utils

    inspect.signature(torch.cuda._compile_kernel).bind(sources.module("classify", "float"), "classify")
    inspect.signature(_utils._CudaKernel.__call__).bind(None, (1, 1, 1), (32, 4, 1), [])
    assert "ctypes.c_int(arg)" in inspect.getsource(_utils._CudaKernel.__call__)
