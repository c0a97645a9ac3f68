"""The work of one update in counts, which are equal on every machine, so that a slower update is found."""

import sys
import tracemalloc
from dataclasses import replace

import pytest
from benchmarks.ours import build, make_run
from benchmarks.task import WORKLOADS, load
from helpers import others_slow
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from backends import get_backend

LIMITS = {  # backend -> calls of functions by one update, for each workload
    "numpy": (670, 670, 590, 620, 2320, 700, 820, 1010, 9830),
    "numba": (0, 0, 0, 0, 0, 0, 750, 1000, 9820),
    "torch": (180, 180, 170, 180, 430, 180, 250, 300, 340),
}
KIBIBYTES = (450, 450, 55, 2310, 400, 4400, 450, 790, 8110)  # of temporary arrays on NumPy
TENSORS = (9, 9, 6, 9, 6, 9, 27, 19, 17)  # new ones on torch


def trainer(backend, workload):
    """Return a function that makes n updates, after two that allocate what later updates share.

    An epoch has six.
    """
    settings = replace(WORKLOADS[workload], updates=10)
    task = load(settings)
    task = replace(task, x=task.x[: 6 * settings.batch], y=task.y[: 6 * settings.batch])
    run = make_run(build(task, get_backend(backend, threads=1)), task)
    run(2)
    return run


def calls(run, n):
    """Return how many functions n updates call, those of Python and those of C."""
    events = []
    sys.setprofile(lambda frame, event, argument: events.append(event))
    try:
        run(n)
    finally:
        sys.setprofile(None)
    return events.count("call") + events.count("c_call")


class NewTensors(TorchDispatchMode):
    """Counts the tensors that torch's functions return in memory of their own."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.count += len(memories(result) - memories((args, kwargs)))
        return result


def memories(values):
    return {leaf.untyped_storage().data_ptr() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)}


@pytest.fixture(autouse=True)
def products_of_onednn(monkeypatch):
    """Count the same calls on every processor."""
    monkeypatch.setattr("backends.torch.dense.PREFERS_ONEDNN", True)
    monkeypatch.setattr("backends.torch.dense.ONEDNN_COMPUTES_DW", False)


@pytest.mark.parametrize("backend", LIMITS)
@pytest.mark.parametrize("workload", others_slow(WORKLOADS, ["784-500-500-10, batch 100, 19 % nonzero"]))
def test_calls_of_an_update(backend, workload):
    run = trainer(backend, workload)
    limit = dict(zip(WORKLOADS, LIMITS[backend], strict=True))[workload]
    three, one = [], []
    for _ in range(2):  # a thread that another test left behind may end in between, which costs calls once
        three.append(calls(run, 3))
        one.append(calls(run, 1))
        run(2)
    assert 0.9 * limit <= (min(three) - min(one)) / 2 <= 1.01 * limit, "fewer need a lower limit"


@pytest.mark.slow
@pytest.mark.parametrize(("workload", "limit"), [*zip(WORKLOADS, KIBIBYTES, strict=True)])
def test_temporary_arrays_of_an_update_on_numpy(workload, limit):
    run = trainer("numpy", workload)
    tracemalloc.start()
    try:
        run(1)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        run(1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.9 * limit <= (peak - before) / 1024 <= limit


@pytest.mark.slow
@pytest.mark.parametrize(("workload", "limit"), [*zip(WORKLOADS, TENSORS, strict=True)])
def test_new_tensors_of_an_update_on_torch(workload, limit):
    run = trainer("torch", workload)
    with NewTensors() as found:
        run(1)
    assert 0.9 * limit <= found.count <= limit
