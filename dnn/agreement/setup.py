"""Setup: the argument of every level."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnn.agreement.bounds import eta
from dnn.agreement.cases import Case, Data, normal
from dnn.agreement.contender import Contender, Network
from dnn.agreement.records import Bound, Error, Record
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Misfit, Named
from dnn.interop.torch.twins import NoTwin


@dataclass(frozen=True)
class Setup:
    """The level's name, the contenders and the oracle, the data, and the sizes of the comparisons."""

    level: str
    contenders: Sequence[Contender]
    oracle: Contender
    data: Data
    sizes: Sizes
    seed: int

    def normal(self, purpose: str, shape: tuple[int, ...], layer: int = 0) -> np.ndarray:
        """Draw standard normal float32 numbers from a stream of this check."""
        return normal(self.seed, purpose, shape, layer).astype(np.float32)

    def open(self, case: Case) -> tuple[Network, list[Network]]:
        """Open a case's network in the oracle and in each contender that has a counterpart of all parts."""
        networks: list[Network] = []
        for contender in self.contenders:
            with suppress(NoTwin):
                networks.append(contender.open(case))
        return self.oracle.open(case), networks

    def judge(
        self, case: str, ask: Callable[[Any], Named], bound: Bound, error: Error | None = None,
        note: str = "", wanted: Named | None = None, askeds: Iterable[Any] | None = None,
    ) -> list[Record]:  # fmt: skip
        """A record of each tensor of each answer. One that was not let in is broken, whatever its numbers.

        Args:
            ask: gives the same tensors; of one that has no such thing (``NoTwin``; a tensor of one that does
                not train) there is no record.
            bound: what the error must not exceed, or (tensor, unit of rounding) -> this.
            error: (tensor, answer, wanted) -> its size; None: ``eta``.
            wanted: the oracle's answer, if it is known already.
            askeds: networks of contenders; None: the contenders.
        """
        wanted = ask(self.oracle) if wanted is None else wanted
        found: list[Record] = []
        for asked in self.contenders if askeds is None else askeds:
            try:
                got = ask(asked)
            except NoTwin:
                continue
            except Misfit as misfit:
                found.append(Record(self.level, case, "door", asked.name, float("inf"), 0.0, str(misfit)))
                continue
            for tensor, x64 in wanted.items():
                if asked.trains or tensor in got:
                    far = error(tensor, got[tensor], x64) if error else eta(got[tensor], x64)
                    limit = bound(tensor, asked.unit) if callable(bound) else bound
                    found.append(Record(self.level, case, tensor, asked.name, far, limit, note))
        return found
