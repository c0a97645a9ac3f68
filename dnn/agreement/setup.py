"""Setup: the argument of every level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dnn.agreement.cases import Case, Data
from dnn.agreement.contender import Contender, Network, open_networks
from dnn.agreement.draws import normal
from dnn.agreement.records import Bound, Error, Record, judge
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Named


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

    def judge(
        self, case: str, ask: Callable[[Contender], Named], bound: Bound, error: Error | None = None,
        note: str = "", wanted: Named | None = None,
    ) -> list[Record]:  # fmt: skip
        """Compare each contender's answer with the oracle's (``wanted``, if it is known already)."""
        wanted = ask(self.oracle) if wanted is None else wanted
        return judge(self.level, case, wanted, self.contenders, ask, bound, error, note)

    def open(self, case: Case) -> tuple[Network, list[Network]]:
        """Open a case's network in the oracle and in each contender that can."""
        return self.oracle.open(case), open_networks(self.contenders, case)
