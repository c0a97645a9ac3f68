"""The number of BLAS threads: sections with the same number overlap, others wait; it is restored."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
from helpers import MAX_SECONDS

from backends import get_backend
from backends.numpy import blas, products, thread_count
from backends.numpy.thread_count import ThreadCount


class Library:
    """A mock BLAS with one number of threads."""

    def __init__(self, n=4):
        self.n = n
        self.count = ThreadCount(lambda: self.n, self.change)
        self.changes = 0

    def change(self, n):
        self.n = n
        self.changes += 1


def test_a_section_sets_and_restores_the_number():
    library = Library()
    with library.count.section(1):
        assert (library.n, library.count.section_threads, library.count.outside) == (1, 1, 4)
    assert (library.n, library.count.section_threads, library.count.outside) == (4, 0, 4)
    with pytest.raises(ZeroDivisionError), library.count.section(2):
        raise ZeroDivisionError
    assert (library.n, library.count.section_threads) == (4, 0)


def test_a_nested_section_replaces_the_outer_one():
    library, seen = Library(), []
    with library.count.section(1):
        with library.count.section(3):
            seen.append((library.n, library.count.section_threads, library.count.outside))
        seen.append((library.n, library.count.section_threads))
        changes = library.changes
        with library.count.section(1):
            seen.append(library.n)
        assert library.changes == changes
    assert seen == [(3, 3, 4), (1, 1), 1]
    assert library.n == 4


def test_sections_with_the_same_number_overlap():
    library, both = Library(), threading.Barrier(2)

    def work():
        with library.count.section(1):
            both.wait(MAX_SECONDS)  # passes only if the other thread is inside too
            return library.n

    with ThreadPoolExecutor(2) as pool:
        assert [each.result(MAX_SECONDS) for each in [pool.submit(work), pool.submit(work)]] == [1, 1]
    assert library.n == 4


def test_a_section_with_another_number_waits_in_order():
    library, opened, order = Library(), threading.Event(), []

    def other():
        opened.wait(MAX_SECONDS)
        with library.count.section(2):
            order.append(library.n)

    def late():
        with library.count.section(1):
            order.append(library.n)

    with ThreadPoolExecutor(2) as pool:
        with library.count.section(1):
            opened.set()
            waits = pool.submit(other)
            while len(library.count._claims.living()) < 2:
                pass
            overtakes = pool.submit(late)
            while len(library.count._claims.living()) < 3:
                pass
            assert order == []
            assert library.n == 1
        waits.result(MAX_SECONDS)
        overtakes.result(MAX_SECONDS)
    assert sorted(order) == [1, 2]
    assert library.n == 4


def test_many_threads_get_their_numbers():
    library = Library()

    def work(seed):
        for n in np.random.default_rng(seed).integers(1, 4, 200):
            with library.count.section(int(n)):
                if library.n != n:
                    return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))
    assert library.n == 4


def test_the_number_outside_is_never_that_of_a_section_which_opens_meanwhile():
    library, opened = Library(), threading.Event()

    def get():
        library.count._get = lambda: library.n
        other.start()
        opened.wait(MAX_SECONDS)
        n = library.n
        closed.set()
        return n

    def open_section():
        with library.count.section(1):
            opened.set()
            closed.wait(MAX_SECONDS)

    closed = threading.Event()
    other = threading.Thread(target=open_section)
    library.count._get = get
    assert library.count.outside == 4
    other.join(MAX_SECONDS)
    assert opened.is_set()


def test_change_applies_outside_of_sections():
    library = Library()
    assert not library.count.explicit
    library.count.change(2)
    assert library.count.explicit
    with library.count.section(1):
        pass
    assert library.n == library.count.outside == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("inside", "held", "seconds", "expected"),
    [
        (0, 1, MAX_SECONDS, 4), (1, 1, MAX_SECONDS, 1),
        (0, 2, 0.1, 4), (0, 2, MAX_SECONDS, 1), (2, 2, MAX_SECONDS, 1),
    ],
)  # fmt: skip
def test_a_forked_child_keeps_only_its_own_section(inside, held, seconds, expected, monkeypatch):
    """A fork waits for another thread's section of several threads; if it stays open, the child uses one."""
    monkeypatch.setattr(thread_count, "MAX_FORK_WAIT_SECONDS", 0.5)
    library, opened, ended = Library(), threading.Event(), threading.Event()

    def hold():
        with library.count.section(held):
            opened.set()
            ended.wait(seconds)

    def child_is_right():
        found = [library.n]
        with library.count.section(3):
            found.append(library.n)
        return [*found, library.n] == [expected, 3, expected]

    holder = threading.Thread(target=hold)
    holder.start()
    opened.wait(MAX_SECONDS)
    try:
        with library.count.section(inside) if inside else nullcontext():
            child = os.fork()
            if child == 0:
                os._exit(0 if child_is_right() else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        ended.set()
        holder.join()


# --------------------------------------------------------------------------- the rule for products


def counting_blas(monkeypatch, limit=1000):
    """Replace NumPy's BLAS by a mock; products above ``limit`` get all threads."""
    library, seen = Library(), []
    monkeypatch.setattr(products, "numpy_blas", lambda: blas.Blas("counts", library.count))
    monkeypatch.setattr(products, "SINGLE_THREAD_LIMIT", limit)
    monkeypatch.setattr(products, "UNSHARED_LIMIT", 0)
    original = np.matmul
    monkeypatch.setattr(np, "matmul", lambda *a, **k: seen.append(library.n) or original(*a, **k))
    return library, seen


def test_the_threads_of_a_product_depend_on_its_shape_alone(monkeypatch):
    assert products.SINGLE_THREAD_LIMIT >= 100 * 784 * 500  # the largest of the lecture's network
    library, seen = counting_blas(monkeypatch)
    a = np.ones((10, 10), np.float32)
    products.product(a, a)  # 1,000 multiply-adds
    products.product(a, np.ones((10, 11), np.float32))
    products.column_sums(a)
    assert seen == [1, 4, 1]
    with library.count.section(3):
        products.product(a, a)
    library.count.change(2)
    products.product(a, a)
    assert seen[3:] == [3, 2]
    assert library.n == 2


def test_layer_kernels_use_the_threads_of_products(monkeypatch):
    _, seen = counting_blas(monkeypatch)
    backend = get_backend("numpy")
    x, W, b, y = (backend.zeros(shape) for shape in ((20, 30), (30, 40), (40,), (20, 40)))
    backend.kernels.dense(x, W, b, y)
    gradients = backend.zeros(W.shape), backend.zeros(b.shape), backend.zeros(x.shape)
    backend.kernels.dense_backward(y, x, W, gradients)
    assert seen == [4, 4, 1, 4]  # x W; x^T dz, the sums of dz, dz W^T
