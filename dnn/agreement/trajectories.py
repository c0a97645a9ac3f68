"""L4: whole trajectories in float64, where rounding does not hide a wrong formula.

In float32 training is chaotic: two right programs part after a few steps, so a bound would see nothing or
fail by chance. In float64 the same programs stay together for longer than 100 steps.
"""

from collections.abc import Iterator
from itertools import cycle, islice

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import loss_variants, optimizer_variants
from dnn.agreement.contender import Contender
from dnn.agreement.networks import MAIN
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named
from dnn.losses import Loss
from dnn.optimizers import Optimizer


def trajectory_level(setup: Setup) -> Iterator[Record]:
    """Every optimizer with every activation, or some of them, and every loss: how far each parameter is from
    the oracle's in the end, relative to how far the oracle's moved."""
    some = min(setup.sizes.partners, len(ACTIVATIONS))
    partners = cycle(ACTIVATIONS)  # each optimizer goes on where the one before stopped
    for name, optimizer in optimizer_variants():
        for activation in islice(partners, some):
            yield from _judge_trajectory(setup, name, optimizer, activation, MAIN[1], MAIN[1])
    name, optimizer = next(optimizer_variants())
    for label, loss in loss_variants():
        if label != MAIN[1]:
            yield from _judge_trajectory(setup, name, optimizer, MAIN[0], label, loss)


def _judge_trajectory(
    setup: Setup, name: str, optimizer: Optimizer, activation: str, label: str, loss: str | Loss
) -> list[Record]:
    data = setup.data
    sizes = setup.sizes
    title = f"{name} {activation} {label}"
    case = data.case(title, sizes.tiny, optimizer, setup.seed, activation, loss)
    batches = [data.rows(setup.seed, step, sizes.tiny_batch) for step in range(sizes.trajectory)]
    start = case.weights()

    def ask(c: Contender) -> Named:
        network = c.in_dtype("float64").open(case)
        for rows in batches:
            network.step(data.x[rows], data.y[rows])
        return network.state().values

    def error(tensor: str, p: np.ndarray, p64: np.ndarray) -> float:
        return bounds.eta_of_way(p, p64, start[tensor])

    return setup.judge(title, ask, bounds.TRAJECTORY, error, f"{sizes.trajectory} updates")
