"""Numba's pool of workers: its size, forks, and the threads of the BLAS."""

import gc
import os
from dataclasses import replace

import numpy as np
import pytest
from helpers import build_network
from interruption import in_own_thread, interrupt, line_numbers

from backends import get_backend

pytest.importorskip("numba")

from backends.numba import worker_pool
from backends.numpy import blas
from backends.numpy.thread_count import ThreadCount
from dnn import Dense

if worker_pool.worker_pool() is None:
    pytest.skip("NumPy has no OpenBLAS here, or this is not Linux", allow_module_level=True)

RNG = np.random.default_rng(20)
X = RNG.standard_normal((230, 60)).astype(np.float32)
LABELS = RNG.integers(0, 5, 230)


def fit():
    """Train a network by plans; return its weights."""
    model = build_network([Dense(70, "relu"), Dense(5, "softmax")], (60,), get_backend("numba"), 4)
    model.compile(optimizer="adam")
    model.fit(X, LABELS, batch_size=20, epochs=2)
    return model.parameters.vector.copy()


@pytest.fixture
def pool(monkeypatch):
    """The pool, as with a BLAS of two threads."""
    pool = worker_pool.worker_pool()
    two = ThreadCount(lambda: 2, lambda n: None)
    monkeypatch.setattr(pool, "blas", replace(pool.blas, threads=two))
    return pool


@pytest.mark.usefixtures("pool")
def test_a_fork_has_its_own_workers():
    expected = fit()
    child = os.fork()
    if child == 0:
        gc.freeze()  # finalizers of other tests' garbage may wait for threads that the child lacks
        os._exit(0 if np.array_equal(fit(), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@in_own_thread
def test_workers_that_an_exception_interrupts_are_replaced(error, pool):
    """At any line where the pool dismisses its workers and starts others."""
    expected = fit()

    def change_size():
        pool._resize(3)
        pool._resize(1)

    change_size()
    for n in line_numbers(change_size):
        pool._resize(1)
        interrupt(change_size, n, error)
        assert np.array_equal(fit(), expected)


ALL = worker_pool.MAX_WORKERS
SAID = [("150000 100000", 2), ("max 100000", ALL), ("50000 100000", 1), ("0 1", 1), ("", ALL), (None, ALL)]


@pytest.mark.parametrize(("said", "cores"), SAID)
def test_a_container_quota_limits_the_workers(said, cores, monkeypatch, tmp_path):
    monkeypatch.setattr(worker_pool, "QUOTA_PATH", str(tmp_path / "cpu.max"))
    if said is not None:
        (tmp_path / "cpu.max").write_text(said)
    blas = replace(worker_pool.worker_pool().blas, threads=ThreadCount(lambda: 64, lambda n: None))
    pool = worker_pool.WorkerPool(blas)
    assert pool.workers == cores
    assert get_backend("numba").describe()["workers"] == worker_pool.worker_pool().workers


def test_no_worker_pool_without_a_callable_blas(monkeypatch):
    without_sgemm = replace(blas.numpy_blas(), sgemm=0)
    for name, value in [("numpy_blas", lambda: without_sgemm), ("FUTEX_NUMBER", 0)]:
        with monkeypatch.context() as patched:
            patched.setattr(worker_pool, name, value)
            assert worker_pool.worker_pool.__wrapped__() is None
    assert worker_pool.worker_pool.__wrapped__() is not None


def test_blas_threads_are_restored():
    before = blas.numpy_blas().threads.outside
    fit()
    assert blas.numpy_blas().threads.outside == before
