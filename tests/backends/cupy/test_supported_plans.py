"""Which plans the CUDA kernels run, and how long an update keeps its arrays."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from host_cuda import cupy_on_numpy

from backends.cupy import update
from backends.plan import Compressed, Plan, PlannedLayer

pytestmark = pytest.mark.usefixtures("on_the_host")


def make_layer(n_in, n_out, activation="linear"):
    W, b = np.zeros((n_in, n_out), np.float32), np.zeros(n_out, np.float32)
    return PlannedLayer(activation, W, b, W, b, ((W.copy(), b.copy()),))


def make_plan(classes=2, activation="relu"):
    """Return a plan with 3 inputs, 3 hidden units and batches of 2; ``bound_to`` binds its optimizer."""
    layers = make_layer(3, 3, activation), make_layer(3, classes)
    x, y, order = np.zeros((4, 3), np.float32), np.zeros(4, np.int64), np.zeros((2, 2), np.int64)
    vectors = (np.zeros(12 + 4 * classes, np.float32),) * 3
    some = np.zeros(4, np.float32)
    batch = x, 1.0, y, order, order[0, :1]
    return Plan(*batch, layers, vectors, "sgd", (0.9, False), some, some[:1], some[:3], True)


def of_length(n, dtype=np.float32):
    """An array without memory: only its shape counts."""
    return np.broadcast_to(dtype(0), (n,))


def bound_to(backend, plan):
    return replace(plan, optimizer=getattr(backend.kernels, plan.optimizer))


def is_planned(plan, **settings):
    backend = replace(cupy_on_numpy(), **settings)
    return update.can_be_planned(bound_to(backend, plan), backend)


def of_size(n_in, n_out):
    """Return a plan with n_in hidden units, without memory."""
    W = np.broadcast_to(np.float32(0), (n_in, n_out))
    first, last = make_plan().layers
    return replace(make_plan(), layers=(first, replace(last, W=W)))


def test_plans_supported_networks():
    plan = make_plan()
    assert is_planned(plan)
    assert is_planned(replace(plan, x=np.zeros((4, 3), np.uint8)))
    assert is_planned(replace(plan, order=np.zeros((1, 65535), np.int64)))
    assert is_planned(replace(plan, vectors=(of_length(2**31 - 1), *plan.vectors[1:])))
    assert is_planned(make_plan(128))
    assert is_planned(of_size(2**20, 64))  # times 2 examples


OTHERS = {
    "compressed": {"x": Compressed(np.zeros(1, np.float32), np.zeros(1), np.zeros(5), (4, 3))},
    "another dtype": {"x": np.zeros((4, 3))},
    "gaps in x": {"x": np.zeros((4, 6), np.float32)[:, ::2]},
    "gaps in y": {"y": np.zeros(8, np.int64)[::2]},
    "many classes": {"layers": make_plan(129).layers},
    "large products, which cuBLAS does faster": {"layers": of_size(2**20, 65).layers},
    "no hidden layer": {"layers": make_plan().layers[1:]},
    "AMSGrad": {"optimizer": "adam", "vectors": make_plan().vectors[:1] * 5},
    "smoothed labels": {"label_smoothing": 0.1},
    "another activation": {"layers": make_plan(activation="gelu").layers},
    "empty batches": {"order": np.zeros((2, 0), np.int64)},
    "large batches": {"order": np.zeros((1, 65536), np.int64)},
    "many batches": {"order": of_length(2**31, np.int64)[:, None]},
    "many parameters": {"vectors": (of_length(2**31), *make_plan().vectors[1:])},
}


@pytest.mark.parametrize("changed", OTHERS)
def test_does_not_plan_unsupported_networks(changed):
    assert not is_planned(replace(make_plan(), **OTHERS[changed]))


@pytest.mark.parametrize(
    "settings", [{"fused": False}, {"wrap": lambda name, kernel: kernel}, {"precision": "tf32"}]
)
def test_wrapped_kernels_disable_plans(settings):
    assert not is_planned(make_plan(), **settings)


def test_an_update_keeps_its_arrays_alive(monkeypatch):
    def address(array):
        if array is not None:
            reached.append(weakref.ref(array))
        return original(array)

    reached = []
    original = update.address
    monkeypatch.setattr(update, "address", address)
    backend = cupy_on_numpy()
    run = backend.compile_plan(bound_to(backend, make_plan()))
    gc.collect()
    assert run is not None
    # dz, W with two slots, and b with two, for each layer; and what the last layer reads.
    assert len(reached) == 2 * (1 + 3 + 3) + 1
    assert all(reference() is not None for reference in reached)
