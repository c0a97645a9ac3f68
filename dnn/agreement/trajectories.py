"""L4: whole trajectories in float64, where rounding does not hide a wrong formula.

In float32 training is chaotic: two right programs part after a few steps, so a bound would see nothing or
fail by chance. In float64 the same programs stay together for longer than 100 steps.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Case, Data, loss_variants, optimizer_variants
from dnn.agreement.contender import Contender
from dnn.agreement.networks import MAIN
from dnn.agreement.records import Record, judge
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Named
from dnn.losses import Loss
from dnn.optimizers import Optimizer

LEVEL = "L4"


def trajectory_level(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> Iterator[Record]:
    """Every optimizer with every activation, or some of them, and every loss: how far each parameter is from
    the oracle's in the end, relative to how far the oracle's moved."""
    some = min(sizes.partners, len(ACTIVATIONS))
    partners = cycle(ACTIVATIONS)  # each optimizer goes on where the one before stopped
    combinations: list[tuple[tuple[str, Optimizer], str, str, str | Loss]] = [
        (o, a, MAIN[1], MAIN[1]) for o in optimizer_variants() for a in islice(partners, some)
    ]
    first = next(optimizer_variants())
    combinations += [(first, MAIN[0], label, loss) for label, loss in loss_variants() if label != MAIN[1]]
    batches = [data.rows(seed, step, sizes.tiny_batch) for step in range(sizes.trajectory)]
    for (name, optimizer), activation, label, loss in combinations:
        case = data.case(f"{name} {activation} {label}", sizes.tiny, optimizer, seed, activation, loss)
        start = {name: w.astype(np.float64) for name, w in case.weights().items()}

        def ask(c: Contender, case: Case = case) -> Named:
            network = c.open(case, "float64")
            for rows in batches:
                network.step(data.x[rows], data.y[rows])
            return network.state().values

        def error(tensor: str, p: np.ndarray, p64: np.ndarray, start: Named = start) -> float:
            return bounds.norm(p - p64) / (bounds.norm(p64 - start[tensor]) or 1.0)

        yield from judge(
            LEVEL, case.name, ask(oracle), contenders, ask, lambda tensor, unit: bounds.TRAJECTORY,
            error, f"{sizes.trajectory} updates",
        )  # fmt: skip
