"""Setup: the argument of every level, with the comparison that all levels share."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dnn.agreement.bounds import eta
from dnn.agreement.cases import Data, normal
from dnn.agreement.contender import Contender
from dnn.agreement.records import Bound, Error, Record
from dnn.agreement.sizes import Sizes
from dnn.agreement.tensors import ArrayMismatch, Named, require_shapes
from dnn.agreement.threads import in_threads
from dnn.interop.torch.twins import NoTwin


@dataclass(frozen=True)
class Setup:
    """A level's name, contenders, oracle, data, sizes and seed."""

    level: str
    contenders: Sequence[Contender]
    oracle: Any  # a BackendContender
    data: Data
    sizes: Sizes
    seed: int

    @property
    def oracle_and_contenders(self) -> Sequence[Contender]:
        """The oracle and the contenders."""
        return (self.oracle, *self.contenders)

    def several_threads_if(self, wanted: bool) -> AbstractContextManager[None]:
        """Return a context with at least 2 threads if ``wanted``, else with the current number."""
        return in_threads(self.oracle_and_contenders, several=True) if wanted else nullcontext()

    def without_repetitions(self) -> "Setup":
        """Return the setup without contenders that only repeat the oracle."""
        return replace(self, contenders=[c for c in self.contenders if not c.repeats_oracle])

    def normal(self, purpose: str, shape: tuple[int, ...], layer: int = 0) -> np.ndarray:
        """Draw standard normal float32 numbers from the stream of (seed, purpose, layer)."""
        return normal(self.seed, purpose, shape, layer).astype(np.float32)

    def compare(
        self, case: str, compute: Callable[[Contender], Named], bound: Bound, error: Error | None = None,
        note: str = "", expected: Named | None = None,
    ) -> list[Record]:  # fmt: skip
        """Compare each tensor of each contender with the oracle's and return the records.

        An exception, or an array of the wrong library, dtype, device or shape gives a broken record.
        Contenders that raise NoTwin are skipped, and tensors that a partial contender omits.

        Args:
            case: name in the records.
            compute: contender -> named tensors.
            bound: largest allowed error, or a function (tensor, unit roundoff) -> bound.
            error: (tensor, got, expected) -> error; None: ``eta``.
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
                what = "array type" if isinstance(problem, ArrayMismatch) else type(problem).__name__
                found.append(Record(self.level, case, what, source.name, float("inf"), 0.0, str(problem)))
                continue
            for tensor, x64 in expected.items():
                if tensor in got or not source.is_partial:
                    far = error(tensor, got[tensor], x64) if error else eta(got[tensor], x64)
                    limit = bound(tensor, source.unit) if callable(bound) else bound
                    found.append(Record(self.level, case, tensor, source.name, far, limit, note))
        return found
