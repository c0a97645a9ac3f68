"""L4: whole trajectories in float64, where rounding does not hide a wrong formula; and float32 drift.

In float32 training is chaotic: two right programs part after a few steps, so a bound would see nothing or
fail by chance. In float64 the same programs stay together for longer than 100 steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Case, Data, loss_variants, optimizer_variants
from dnn.agreement.contender import Contender
from dnn.agreement.networks import MAIN
from dnn.agreement.records import Record, refused
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Misfit, Named
from dnn.losses import Loss
from dnn.optimizers import Adam, Optimizer

LEVEL = "L4"


def trajectory_level(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> Iterator[Record]:
    """Every optimizer with every activation: how far each parameter is from the oracle's in the end,
    relative to how far the oracle's moved."""
    combinations: list[tuple[tuple[str, Optimizer], str, str, str | Loss]] = [
        (o, a, MAIN[1], MAIN[1]) for o in optimizer_variants() for a in ACTIVATIONS
    ]
    first = next(optimizer_variants())
    combinations += [(first, MAIN[0], label, loss) for label, loss in loss_variants() if label != MAIN[1]]
    batches = [data.rows(seed, step, sizes.tiny_batch) for step in range(sizes.trajectory)]
    for (name, optimizer), activation, label, loss in combinations:
        case = Case(f"{name} {activation} {label}", data.x.shape[1], sizes.tiny, data.classes,
                    activation, loss, optimizer, seed)  # fmt: skip
        truth = oracle.open(case, "float64")
        start = truth.state().values
        for rows in batches:
            truth.step(data.x[rows], data.y[rows])
        end = truth.state().values
        for c in contenders:
            try:
                network = c.open(case, "float64")
                for rows in batches:
                    network.step(data.x[rows], data.y[rows])
                values = network.state().values
            except Misfit as error:
                yield refused(LEVEL, case.name, c.name, error)
                continue
            for tensor, p64 in end.items():
                moved = bounds.norm(p64 - start[tensor]) or 1.0
                measured = bounds.norm(values[tensor] - p64) / moved
                note = f"{sizes.trajectory} updates"
                yield Record(LEVEL, case.name, tensor, c.name, measured, bounds.TRAJECTORY, note)


def drift(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> dict[str, list[float]]:
    """Float32 trajectories: each contender's distance from the oracle after each step, relative to how
    far the oracle moved. Shown, never judged."""
    activation, loss = MAIN
    case = Case("drift", data.x.shape[1], sizes.small, data.classes, activation, loss, Adam(), seed)

    def flat(named: Named) -> np.ndarray:
        return np.concatenate([v.ravel() for v in named.values()])

    truth = oracle.open(case, "float64")
    start = flat(truth.state().values)
    networks = [(c.name, c.open(case)) for c in contenders]
    found: dict[str, list[float]] = {name: [] for name, _ in networks}
    for step in range(sizes.drift):
        rows = data.rows(seed, step, sizes.batch)
        truth.step(data.x[rows], data.y[rows])
        here = flat(truth.state().values)
        moved = bounds.norm(here - start)
        for name, network in networks:
            network.step(data.x[rows], data.y[rows])
            found[name].append(bounds.norm(flat(network.state().values) - here) / moved)
    return found
