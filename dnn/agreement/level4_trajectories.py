"""L4: compare training trajectories in float64, where rounding does not hide a wrong formula.

Float32 training is chaotic: two correct programs diverge after a few steps, so a bound would either miss
mistakes or fail by chance. In float64 correct programs stay together for more than 100 steps.
"""

from collections.abc import Iterator
from itertools import cycle, islice

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Case, loss_variants, optimizer_variants
from dnn.agreement.contenders.contender import Batches
from dnn.agreement.level2_networks import MAIN_PAIR
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup


def trajectory_level(setup: Setup) -> Iterator[Record]:
    """Compare parameters after training, relative to how far the oracle's parameters moved.

    Trains every optimizer with ``sizes.partners`` activations and every loss.
    """
    data = setup.data
    sizes = setup.sizes
    rows = [data.rows(setup.seed, step, sizes.tiny_batch) for step in range(sizes.trajectory)]
    batches = [(data.x[some], data.y[some]) for some in rows]
    count = min(sizes.partners, len(ACTIVATIONS))
    partners = cycle(ACTIVATIONS)  # each optimizer continues the cycle of the one before
    relu, usual = MAIN_PAIR
    losses = dict(loss_variants())
    optimizers = list(optimizer_variants())
    trainings = [(o, kind, usual) for o in optimizers for kind in islice(partners, count)]
    trainings += [(optimizers[0], relu, label) for label in losses if label != usual]
    for (name, optimizer), activation, label in trainings:
        title = f"{name} {activation} {label}"
        case = data.case(title, sizes.tiny, optimizer, setup.seed, activation, losses[label])
        yield from _judge_trajectory(setup, case, batches)


def _judge_trajectory(setup: Setup, case: Case, batches: Batches) -> list[Record]:
    start = case.weights()
    return setup.compare(
        case.name, lambda c: c.in_dtype("float64").train(case, batches), bounds.TRAJECTORY_BOUND,
        lambda tensor, x, x64: bounds.eta(x, x64, start[tensor]), f"{setup.sizes.trajectory} updates",
    )  # fmt: skip
