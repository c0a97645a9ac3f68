"""Threads: how many a product has, updates in one of them while others want the cores, and the same bits."""

from __future__ import annotations

import os
import runpy
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import backends.pace
from backends import InputError, get_backend
from backends.numpy import blas, products
from backends.pace import GAIN, WAITS, Pace, find_way
from dnn import Sequential
from dnn.layers import BatchNormalization, Dense, Dropout
from dnn.optimizers import SGD, Adam
from dnn.training.planning import work_of

CPU = ("numpy", "numba", "torch")


@pytest.fixture
def rng():
    return np.random.default_rng(5)


class Machine:
    """A clock, and updates that take a time that depends on who else works: (in all threads, in one)."""

    def __init__(self, monkeypatch, all_threads=2.0, one=3.5, used=2.0):
        self.now = self.cpu = 0.0
        self.times, self.used = (all_threads, one), used  # ms; seconds of processor a second in all threads
        self.done, self.found, self.inside = [], 0, False
        monkeypatch.setattr(backends.pace, "perf_counter", lambda: self.now)
        monkeypatch.setattr(backends.pace, "process_time", lambda: self.cpu)
        monkeypatch.setattr(Pace, "busy", False)
        self.has_way = True

    @contextmanager
    def way(self):
        self.inside = True
        yield
        self.inside = False

    def find(self):
        self.found += 1
        return self.way if self.has_way else None

    def run(self, n):
        spent = n * self.times[self.inside] / 1e3
        self.now += spent
        self.cpu += spent * (1.0 if self.inside else self.used)
        self.done += [self.inside] * n

    def disturb(self, all_threads, one, used):
        self.times, self.used = (all_threads, one), used

    def share(self, pace, updates=4000):
        """The share of updates in one thread."""
        before = len(self.done)
        pace(updates)
        assert len(self.done) == before + updates
        return sum(self.done[before:]) / updates


def test_while_nobody_else_works_nothing_is_tried(monkeypatch):
    machine = Machine(monkeypatch)
    assert machine.share(Pace(machine.run, 2, machine.find)) == 0.0
    assert machine.found == 0


def test_beside_others_one_thread_is_taken_and_given_back(monkeypatch):
    machine = Machine(monkeypatch)
    pace = Pace(machine.run, 2, machine.find)
    machine.share(pace)
    machine.disturb(9.0, 3.6, 1.3)
    first = machine.share(pace, 1000)
    assert 0.9 < first < 1.0  # all threads are tried now and then
    assert machine.share(pace) > 0.99
    machine.disturb(2.0, 3.5, 2.0)
    machine.share(pace)
    assert machine.share(pace) == 0.0


def test_a_way_that_is_hardly_faster_is_not_taken(monkeypatch):
    machine = Machine(monkeypatch, 4.0, 4.0 * (GAIN + 0.02), used=1.0)
    assert machine.share(Pace(machine.run, 2, machine.find), 20000) < 0.02
    assert machine.found == 1
    trials = sum(not a and b for a, b in zip(machine.done, machine.done[1:], strict=False))
    seconds = machine.now
    assert 2 <= trials < 8 + seconds / WAITS[1]  # 1/4 s, 1/2 s, ... and then one each 8 s


def test_one_that_is_faster_is_taken(monkeypatch):
    machine = Machine(monkeypatch, 4.0, 4.0 * (GAIN - 0.02), used=1.0)
    assert machine.share(Pace(machine.run, 2, machine.find), 20000) > 0.9


def test_a_trial_that_is_much_slower_ends_at_once(monkeypatch):
    machine = Machine(monkeypatch, 1.0, 100.0, used=1.0)
    machine.share(Pace(machine.run, 2, machine.find), 400)
    assert sum(machine.done) == 2  # the one that wakes, and one that is timed


def test_slow_updates_are_looked_at_one_by_one(monkeypatch):
    """The other way is tried after one of 0.7 s, not after eight; of 2 ms, eight are made at once."""
    machine = Machine(monkeypatch, 700.0, 20.0, used=1.0)
    Pace(machine.run, 2, machine.find)(10)
    assert machine.done[:3] == [False, True, True]
    machine, asked = Machine(monkeypatch), []
    Pace(lambda n: asked.append(n) or machine.run(n), 2, machine.find)(33)
    assert asked == [1, 8, 8, 8, 8]


def test_where_there_is_no_way_it_is_not_looked_for_again(monkeypatch):
    machine = Machine(monkeypatch, 9.0, 3.0, used=1.0)
    machine.has_way = False
    assert machine.share(Pace(machine.run, 2, machine.find)) == 0.0
    assert machine.found == 1


def test_the_next_training_begins_as_the_last_one_ended(monkeypatch):
    machine = Machine(monkeypatch, 9.0, 3.0, used=1.0)
    machine.share(Pace(machine.run, 2, machine.find))
    assert machine.share(Pace(machine.run, 2, machine.find), 8) == 1.0
    machine.has_way = False
    assert machine.share(Pace(machine.run, 2, machine.find), 8) == 0.0


def test_a_new_process_begins_with_all_threads():
    assert runpy.run_path(backends.pace.__file__)["Pace"].busy is False
    assert runpy.run_path(products.__file__)["_blocks"] == (0, 0)
    torchs = pytest.importorskip("backends.torch.dense")
    assert runpy.run_path(torchs.__file__)["_threads"] == 1


# --------------------------------------------------------------------------- the same bits


@contextmanager
def threads(backend, n):
    before = backend.thread_count
    backend.set_threads(n)
    try:
        yield
    finally:
        backend.set_threads(before)


def compiled(name, *layers, optimizer=None, inputs=784, **settings):
    backend = get_backend(name, **settings)
    model = Sequential(list(layers), input_shape=(inputs,), backend=backend, seed=3)
    model.compile(optimizer=optimizer or Adam())
    return model


LECTURE = lambda: (Dense(500, "sigmoid"), Dense(500, "tanh"), Dense(10, "softmax"))  # noqa: E731
ODD = lambda: (Dense(61, "gelu"), Dropout(0.1), Dense(7, "softmax"))  # noqa: E731


@pytest.mark.parametrize("layers", [LECTURE, ODD], ids=["lecture", "odd"])
@pytest.mark.parametrize("name", CPU)
def test_one_thread_gives_the_bits_of_several(name, layers, rng, monkeypatch):
    """Where a way is found at all: for the lecture's network it is, on this project's machines."""
    pytest.importorskip({"numpy": "numpy"}.get(name, name))
    model = compiled(name, *layers())
    x = rng.normal(size=(200, 784)).astype(np.float32)
    y = rng.integers(0, 7, 200)
    with threads(model.backend, 2):
        way = find_way(model.backend, work_of(model, 100))
        if way is None:
            pytest.skip("threads change bits with this library, so that it is always left all of them")
        monkeypatch.setattr(type(model.backend), "planned", lambda self, plan: None)
        results = []
        for alone in (False, True):
            model = compiled(name, *layers())

            def steady(backend, work, run, alone=alone):
                def inside(n):
                    with way():
                        assert backend.thread_count == 1
                        run(n)

                return inside if alone else run

            monkeypatch.setattr("dnn.training.step.steady", steady)
            model.fit(x, y, batch_size=100, epochs=1, verbose=0)
            assert model.backend.thread_count == 2
            results.append(model.backend.to_host(model.parameters.values).tobytes())
    assert results[0] == results[1]


def test_bits_that_differ_are_noticed(monkeypatch):
    """In each of the things that an update computes."""
    work = work_of(compiled("numpy", Dense(5, "sigmoid"), Dense(3, "softmax"), inputs=9), 4)
    backend, state = get_backend("numpy"), {"off": False, "what": ""}

    @contextmanager
    def way():
        state["off"] = True
        yield
        state["off"] = False

    def wrap(name, kind, kernel):
        def call(*arguments):
            kernel(*arguments)
            if state["off"] and name == state["what"]:
                out = arguments[-1][state["which"]] if name == "dense_backward" else arguments[-1]
                out.ravel()[-1] = np.nextafter(out.ravel()[-1], np.float32(9))

        return call

    monkeypatch.setattr(type(backend), "ways_alone", lambda self: [way])
    wrapped = backend.wrapped(wrap)
    assert find_way(wrapped, work) is way
    single = [(what, 0) for what in ("dense", "activation", "activation_backward")]
    for what, which in [*single, *[("dense_backward", i) for i in range(3)]]:
        find_way.cache_clear()
        state.update(what=what, which=which)
        assert find_way(wrapped, work) is None
    find_way.cache_clear()
    state["what"] = ""

    for which in range(3):  # p and both slots

        def step(p, g, slots, control, settings, which=which):
            work.step(p, g, slots, control, settings)
            (p, *slots)[which][0] += state["off"]

        assert find_way(wrapped, work._replace(step=step)) is None


@pytest.mark.parametrize(
    ("layers", "optimizer"),
    [
        ((BatchNormalization(), Dense(3, "softmax")), Adam()),
        ((Dense(3, "softmax"),), SGD(clip_norm=1.0)),
    ],
    ids=["batch statistics", "a norm"],
)
def test_what_is_not_known_to_keep_its_bits_has_all_threads(layers, optimizer):
    assert work_of(compiled("numpy", *layers, optimizer=optimizer, inputs=9), 4) is None


def test_what_is_large_or_asked_for_has_the_threads_that_it_has():
    model = compiled("numpy", Dense(3, "softmax"), inputs=9)
    work, backend = work_of(model, 4), model.backend
    run = lambda n: None  # noqa: E731
    with threads(backend, 2):
        largest = work._replace(batch=8192, layers=[("relu", 1 << 22, 4)])  # exactly at both limits
        for kept in (work, largest):
            assert isinstance(backends.pace.steady(backend, kept, run), Pace)
        assert backends.pace.steady(replace(backend, threads=2), work, run) is run
        assert backends.pace.steady(backend, work._replace(batch=10923), run) is run
        assert backends.pace.steady(backend, work._replace(layers=[("relu", 1 << 20, 17)]), run) is run
    with threads(backend, 1):
        assert backends.pace.steady(backend, work, run) is run


@pytest.mark.parametrize("k", [1, 5, 6, 9, 10, 11, 12, 13, 25])
def test_a_product_in_blocks_has_all_its_terms(k, rng, monkeypatch):
    monkeypatch.setattr(products, "_blocks", (5, 0))
    seen, matmul = [], np.matmul

    class Seen(np.ndarray):
        def __matmul__(self, other):
            seen.append(self.shape[1])
            return matmul(self, other)

    a, b = rng.integers(-9, 9, (4, k)).astype(np.float32), rng.integers(-9, 9, (k, 3)).astype(np.float32)
    out = np.full((4, 3), np.nan, np.float32)
    monkeypatch.setattr(np, "matmul", lambda a, b, out: (seen.append(a.shape[1]), matmul(a, b, out=out)))
    products.product(a.view(Seen), b, out)
    assert (out == a @ b).all()
    rest = {1: [1], 6: [3, 3], 9: [5, 4], 11: [5, 3, 3], 12: [5, 4, 3], 13: [5, 4, 4]}
    blocks = rest.get(k, [5] * (k // 5))
    assert seen == blocks
    monkeypatch.setattr(products, "_blocks", (5, 12 * k))  # a product so small is left to the BLAS
    products.product(a, b, out)
    assert seen == [*blocks, k]


@pytest.mark.parametrize("k", [0, 511, 512, 513, 1024, 1025, 1300])
@pytest.mark.parametrize("shifted", [False, True])
def test_a_product_of_torchs_in_parts_has_all_its_terms(k, shifted, rng, monkeypatch):
    torch = pytest.importorskip("torch")
    from backends.torch import dense

    a, b, shift = (torch.tensor(rng.integers(-9, 9, shape)).float() for shape in ((4, k), (k, 3), (3,)))
    seen, mm, addmm = [], torch.mm, torch.addmm
    monkeypatch.setattr(torch, "mm", lambda a, b, out: (seen.append(a.shape[1]), mm(a, b, out=out)))
    monkeypatch.setattr(
        torch, "addmm", lambda c, a, b, out: (seen.append(a.shape[1]), addmm(c, a, b, out=out))
    )
    out = torch.full((4, 3), torch.nan)
    dense.product(a, b, out, shift if shifted else None)
    assert torch.equal(out, a @ b + (shift if shifted else 0.0))
    assert max(seen) <= 512
    assert len(seen) == max(1, -(-k // 512))


@pytest.mark.parametrize(
    ("shape", "threads", "shares"),
    [
        ((1, 32769), 2, [16385, 16384]), ((100, 500), 2, [25000, 25000]), ((32768,), 2, [32768]),
        ((3, 5, 4001), 8, [30008, 30007]), ((3, 33000), 8, [24750] * 4), ((100, 500), 1, [50000]),
    ],
)  # fmt: skip
def test_one_thread_of_torchs_takes_share_after_share(shape, threads, shares, rng, monkeypatch):
    torch = pytest.importorskip("torch")
    from backends.torch import dense

    backend = get_backend("torch")
    z = rng.normal(size=shape).astype(np.float32)
    y, seen, sigmoid = backend.zeros(shape), [], torch.sigmoid
    monkeypatch.setattr(torch, "sigmoid", lambda z, out: (seen.append(z.numel()), sigmoid(z, out=out)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    with dense.alone():
        backend.kernel("activation", "sigmoid")(backend.from_host(z), y)
    assert np.abs(backend.to_host(y) - 1 / (1 + np.exp(-z.astype(np.float64)))).max() < 1e-6
    assert seen == shares
    backend.kernel("activation", "sigmoid")(backend.from_host(z), y)
    assert seen == [*shares, z.size]
    strided, before = backend.from_host(np.repeat(z, 2, axis=-1))[..., ::2], y.clone()
    with dense.alone():  # of what has gaps there are no shares
        backend.kernel("activation", "sigmoid")(strided, y.zero_())
    assert seen == [*shares, z.size, z.size]
    torch.testing.assert_close(y, before)


# --------------------------------------------------------------------------- how many


@pytest.mark.parametrize("name", CPU)
def test_threads_that_are_asked_for(name):
    pytest.importorskip({"numpy": "numpy"}.get(name, name))
    before = get_backend(name).thread_count
    try:
        backend = get_backend(name, threads=2)
        assert (backend.threads, backend.thread_count, backend.describe()["threads"]) == (2, 2, 2)
        with backend.in_threads(1):
            assert backend.thread_count == 1
        assert backend.thread_count == 2
        with pytest.raises(ZeroDivisionError), backend.in_threads(1):
            raise ZeroDivisionError
        assert get_backend(name).thread_count == 2
        assert get_backend(name).threads is None
    finally:
        get_backend(name, threads=before)


@pytest.mark.parametrize("bad", [0, -1, 1025, True, 2.0, "2", 10**30])
def test_threads_that_cannot_be(bad):
    with pytest.raises(InputError, match=r"threads is .*, expected a whole number from 1 to 1024"):
        get_backend("numpy", threads=bad)


@pytest.mark.parametrize("name", ["numpy", "auto"])
def test_threads_that_can_be(name, monkeypatch):
    asked = []
    monkeypatch.setattr(blas, "set_threads", asked.append)
    assert [get_backend(name, "cpu", threads=n).threads for n in (1, 1024)] == asked == [1, 1024]


def test_a_backend_without_threads_says_so():
    with pytest.raises(InputError, match="threads is 2, expected None: the backend 'strict' has none"):
        get_backend("strict", threads=2)
    backend = get_backend("strict")
    assert backend.thread_count == backend.describe()["threads"] == 1
    with backend.in_threads(1):  # which it has
        pass


def test_a_blas_that_cannot_be_asked(monkeypatch):
    monkeypatch.setattr(blas, "numpy_blas", lambda: None)
    for variable in blas.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    backend = get_backend("numpy")
    assert backend.thread_count == os.cpu_count()
    with monkeypatch.context() as patched:
        patched.setattr(os, "cpu_count", lambda: None)
        assert backend.thread_count == 1
    with pytest.raises(InputError, match="to use 777 threads, which needs threadpoolctl; install it, or set"):
        backend.set_threads(777)
    monkeypatch.setenv("OMP_NUM_THREADS", "777")
    assert backend.thread_count == 777
    backend.set_threads(777)
    assert "blas" not in backend.describe()


def test_the_blas_is_found_by_its_file_and_by_threadpoolctl(monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    ways = [blas._openblas(), blas._by_threadpoolctl()]
    found = [way for way in ways if way is not None]
    assert found
    assert ways[0] is None or ways[1] is not None
    assert len({way.described for way in found}) == 1
    assert ways[1] is None or ways[1].sgemm == 0
    before = found[0].get_threads()
    for way in found:
        way.set_threads(before + 1)
        assert [other.get_threads() for other in found] == [before + 1] * len(found)
        way.set_threads(before)
    none = SimpleNamespace(select=lambda user_api: SimpleNamespace(lib_controllers=[]))
    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", lambda: none)
    assert blas._by_threadpoolctl() is None
