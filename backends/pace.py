"""Updates in all threads or in one, whichever is the faster now, where no bit depends on it.

Threads that work on one product wait for one another. Where another program takes one of the cores, they
wait as long as it runs: an update in one thread is then the faster. While the threads get all the time of
the processor that they could take, and they do take it while they wait, nobody else wants it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import inf
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np

from backends.backend import Backend
from backends.reference.activations import ACTIVATIONS
from backends.reference.signatures import Array
from backends.threads import Way

AT_ONCE = 8  # updates between two looks at the clock, if they take less than LOOK
LOOK = 0.1  # seconds by which a way is known
TRIED = 4  # of the other way, after one that wakes its threads or lets them fall asleep
SHORT = 0.9  # the share of the processor's time, of what all threads could take, below which others take it
GAIN = 0.9  # what the other way's time must be below, of this one's, to be taken
LOST = 2.0  # how many times this way's time a trial may take
WAITS = 0.25, 8.0  # seconds to the next trial: at first, doubled after each that lost, up to at last
LARGEST = 1 << 24  # weights of a layer up to which it is tried whether the bits are the same
MANY = 32768  # outputs of a batch, likewise: of more, torch may share out the losses, which are not tried
SAMPLES = 20  # of numbers for what is computed element by element: only few elements may differ
ODD = 70003  # elements, which leave a rest in each thread's share


class Work(NamedTuple):
    """What an update computes of layers of Dense, and the optimizer's step."""

    batch: int
    layers: Sequence[tuple[str, int, int]]  # activation, n_in, n_out
    step: Callable[..., None]  # the kernel
    slots: int
    settings: tuple[Any, ...]


def steady(backend: Backend, work: Work, run: Callable[[int], None]) -> Callable[[int], None]:
    """``run(n)``, in one thread while that is the faster; ``run`` itself where that is no choice."""
    outputs = work.layers[-1][2] if work.layers else MANY
    small = work.batch * outputs <= MANY and all(n * m <= LARGEST for _, n, m in work.layers)
    if backend.threads is not None or backend.thread_count < 2 or not small:
        return run
    return Pace(run, backend.thread_count, lambda: find_way(backend, work))


class Pace:
    """Calls ``run`` as it is, in so many threads, or inside the way that ``find`` returns, if any."""

    busy = False  # whether the process's last one ended in one thread; then the next begins so

    def __init__(self, run: Callable[[int], None], threads: int, find: Callable[[], Way | None]) -> None:
        self._run, self._threads, self._find = run, threads, find
        self._way = find() if Pace.busy else None
        self.alone, self._trial = self._way is not None, False
        self._count, self._spent, self._used = 0, 0.0, 0.0  # updates, seconds, and those of the processor
        self._at_once = 1
        self._wait = WAITS[0]
        self._next = perf_counter() + self._wait

    def __call__(self, n: int) -> None:
        while n > 0:
            k = 1 if self._trial else min(n, self._at_once)
            start, used = perf_counter(), process_time()
            if self._way is not None and self.alone != self._trial:
                with self._way():
                    self._run(k)
            else:
                self._run(k)
            took = perf_counter() - start
            self._at_once = AT_ONCE if took < LOOK else 1
            self._count += k
            self._spent += took
            self._used += process_time() - used
            n -= k
            if self._trial:
                self._judge()
            elif self._spent >= LOOK:
                self._look()

    def _look(self) -> None:
        """Begin a trial if it is time for one."""
        self._mean = self._spent / self._count  # seconds of an update in the present way
        enough = self._used > SHORT * self._threads * self._spent
        self._count, self._spent, self._used = 0, 0.0, 0.0
        if enough and not self.alone:
            self._wait = WAITS[0]
        elif perf_counter() >= self._next:
            self._way = self._way or self._find()
            if self._way is None:  # nor will there be one
                self._next = inf
            else:
                self._trial, self._count = True, -1

    def _judge(self) -> None:
        """End the trial if enough is known."""
        if self._count == 0:  # that one woke the threads
            self._spent = 0.0
            return
        if self._count < TRIED and self._spent <= LOST * TRIED * self._mean:
            return
        if self._spent < GAIN * self._count * self._mean:
            self.alone = Pace.busy = not self.alone
            self._wait = WAITS[0]
        else:
            self._wait = min(2.0 * self._wait, WAITS[1])
        self._trial, self._count, self._spent, self._used = False, 0, 0.0, 0.0
        self._next = perf_counter() + self._wait


@lru_cache(maxsize=16)
def find_way(backend: Backend, work: Work) -> Way | None:
    """A way to compute in one thread in which all of the work keeps its bits; None: there is none."""

    def results() -> Iterator[int]:
        return (hash(backend.to_host(array).tobytes()) for array in _results(backend, work))

    now = list(results())
    for way in backend.ways_alone():
        with way():
            if all(a == b for a, b in zip(results(), now, strict=True)):
                return way
    return None


def _results(backend: Backend, work: Work) -> Iterator[Array]:
    """What the kernels write, from arrays of the sizes that they have in the work."""
    normal = np.random.default_rng(0).standard_normal(40961)

    def some(*shape: int, scale: float = 1.0) -> Array:
        return backend.from_host(np.resize((normal * scale).astype(backend.dtype_name), shape))

    for kind, n_in, n_out in work.layers:
        x, W, y = some(work.batch, n_in), some(n_in, n_out, scale=n_in**-0.5), some(work.batch, n_out)
        gradients = backend.zeros((n_in, n_out)), backend.zeros(n_out), backend.zeros((work.batch, n_in))
        for fused in ("linear", kind) if ACTIVATIONS[kind].from_output else ("linear",):
            dense, dense_backward = backend.kernels("dense", fused)
            dense(x, W, some(n_out), y)
            dense_backward(some(work.batch, n_out), x, y, W, backend.zeros(y.shape), gradients)
            yield from (y, *gradients)
        there, back = backend.kernels("activation", kind)
        for sample in range(SAMPLES):
            z, out = some(work.batch, n_out, scale=1.0 + sample), backend.zeros(y.shape)
            there(z, out)
            yield out
            dz = backend.zeros(y.shape)
            back(z, z, out, dz)
            yield dz
    p, g, *slots = (some(ODD) ** 2 for _ in range(2 + work.slots))  # a moment is no negative number
    control = backend.from_host(np.asarray([1e-3, 0.5, 0.5, 1.0], dtype=backend.dtype_name))
    work.step(p, g, tuple(slots), control, work.settings)
    yield from (p, *slots)
