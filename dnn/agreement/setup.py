"""Setup: the argument of every level, with the amount of work and the comparison that all levels share."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.claims import nested
from dnn.agreement.bounds import eta
from dnn.agreement.cases import normal
from dnn.agreement.contenders.contender import Contender, require_shapes
from dnn.agreement.records import Bound, Error, Record
from dnn.interop import NoTwin
from dnn.typing import HostArrays


@dataclass(frozen=True)
class Sizes:
    """Sizes of the comparisons."""

    sweep: int = 20000  # inputs in L0's sweep
    batch: int = 100  # batch size of L1 and L2
    candidates: int = 160  # rows from which a batch without kinks is chosen
    hidden: tuple[int, ...] = (500, 500)  # hidden layers of L2's network for relu and cross-entropy
    # Hidden layers of L2's other networks; equal widths, so that a transposed W fits.
    small: tuple[int, ...] = (64, 64)
    batches: int = 8  # batches of L2
    trajectory: int = 100  # updates of L4
    partners: int = 99  # maximum number of activations for each optimizer of L4
    tiny: tuple[int, ...] = (16, 16)  # hidden layers of L4
    tiny_batch: int = 32  # batch size of L4
    large: int = 1 << 20  # each kernel gets once more numbers than these


FULL = Sizes(large=1 << 24)
QUICK = Sizes(sweep=2000, batches=2, trajectory=10, partners=3)


def _in_threads(backend: Backend, n: int) -> AbstractContextManager[None]:
    """Return a context in which products use n threads, or any number if the library cannot set it."""
    with suppress(InputError), backend.in_threads(n):
        return backend.in_threads(n)
    return nullcontext()


@dataclass(frozen=True)
class Setup:
    """A level's name, contenders, oracle, data, sizes and seed."""

    level: str
    contenders: Sequence[Contender]
    oracle: Any  # a BackendContender
    data: Any  # a Data; None: the level has its own
    sizes: Sizes
    seed: int

    def in_threads(self, *, several: bool) -> AbstractContextManager[None]:
        """Use one thread of each library inside the with block; if ``several``, at least 2.

        A step of a small network takes no longer than waking the other threads. If other programs use the
        cores, waking takes ten times as long (measured: 4 ms instead of 0.1 ms per torch product at load 5 on
        2 cores). But a program may be wrong only with several threads, so some comparisons use them.
        """
        backends = [contender.backend for contender in (self.oracle, *self.contenders)]
        return nested([_in_threads(b, max(2, b.thread_count) if several else 1) for b in backends])

    def without_repetitions(self) -> "Setup":
        """Return the setup without the backend "strict", which runs the oracle's kernels."""
        return replace(self, contenders=[c for c in self.contenders if c.backend.name != "strict"])

    def normal(self, purpose: str, shape: tuple[int, ...]) -> np.ndarray:
        """Draw standard normal float32 numbers from the stream of (seed, purpose)."""
        return normal(self.seed, purpose, shape).astype(np.float32)

    def compare(
        self, case: str, compute: Callable[[Contender], HostArrays], bound: Bound,
        error: Error = lambda tensor, x, x64: eta(x, x64),
        note: str = "", expected: HostArrays | None = None,
    ) -> list[Record]:  # fmt: skip
        """Compare each tensor of each contender with the oracle's and return the records.

        An exception, or an array of the wrong library, dtype, device or shape gives a broken record.
        Contenders that raise NoTwin are skipped, and tensors that a partial contender omits.

        Args:
            case: name in the records.
            compute: contender -> named tensors.
            bound: largest allowed error, or a function (tensor, unit roundoff) -> bound.
            error: (tensor, got, expected) -> error.
            expected: the oracle's tensors; None: ``compute`` the oracle.
        """
        expected = compute(self.oracle) if expected is None else expected
        found: list[Record] = []
        for source in self.contenders:
            try:
                got = compute(source)
                require_shapes(got, expected)
            except NoTwin:
                continue
            except Exception as problem:
                what = type(problem).__name__
                found.append(Record(self.level, case, what, source.name, np.inf, 0.0, str(problem)))
                continue
            for tensor, x64 in expected.items():
                if tensor in got or not source.is_partial:
                    far = error(tensor, got[tensor], x64)
                    limit = bound(tensor, source.unit) if callable(bound) else bound
                    found.append(Record(self.level, case, tensor, source.name, far, limit, note))
        return found
