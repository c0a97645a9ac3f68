"""L2: pre-activations, outputs and gradients of whole networks on batches of real examples."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from math import isqrt

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement.cases import Case, Data, ImageCase
from dnn.agreement.contender import Network
from dnn.agreement.draws import normal
from dnn.agreement.oracle import safe_rows
from dnn.agreement.propagation import limits
from dnn.agreement.records import Record, judge, worst_of_each
from dnn.agreement.setup import Setup
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Named
from dnn.agreement.threads import one_thread
from dnn.losses import LOSSES
from dnn.optimizers import SGD

MAIN = ("relu", "categorical_crossentropy")


def cases(data: Data, sizes: Sizes, seed: int) -> Iterator[Case]:
    """The lecture's network, and smaller ones: every activation with cross-entropy and squares, every loss
    with relu, and one with a convolution."""
    for activation in ACTIVATIONS:
        for loss in LOSSES:
            if activation == MAIN[0] or loss in (MAIN[1], "mean_squared_error"):
                hidden = sizes.hidden if (activation, loss) == MAIN else sizes.small
                yield data.case(f"-{activation} {loss}", hidden, SGD(), seed, activation, loss)
    n = data.x.shape[1]
    if n >= 16 and isqrt(n) ** 2 == n:
        name = f"{n} convolution tanh {MAIN[1]}"
        yield ImageCase(name, n, (6,), data.classes, "tanh", MAIN[1], SGD(), seed)


def batch_of(
    case: Case, data: Data, truth: Network, sizes: Sizes, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """x (B, n) and y (B,) of a step: rows on which no unit is near a kink.

    Images get noise: in an even background a convolution's gradient adds up thousands of equal terms, whose
    roundings are not independent.
    """
    rows = data.rows(case.seed, step, sizes.candidates)
    rows = rows[safe_rows(case, truth, data.x[rows], data.y[rows], sizes.batch)]
    x = data.x[rows]
    if isinstance(case, ImageCase):
        x = x + (0.3 * normal(case.seed, "noise", x.shape, step)).astype(np.float32)
    return x, data.y[rows]


def compare(
    level: str, case: Case, truth: Network, others: Sequence[Network], x: np.ndarray, y: np.ndarray, note: str
) -> list[Record]:
    """Records of one batch: z of each layer, what the loss takes, gradient of each parameter."""

    def ask(network: Network) -> Named:
        z = network.pre_activations(x)
        outputs = network.predict(x)
        g = network.gradients(x, y)
        named = {**{f"z {name}": v for name, v in z.items()}, "outputs": outputs}
        return {**named, **{f"d {name}": v for name, v in g.items()}}

    wanted = ask(truth)
    _, d = truth.owner.loss(case.loss, wanted["outputs"], y)
    bound = limits(case, truth.state().values, x, y, d)
    return judge(level, case.name, wanted, others, ask, lambda name, unit: unit * bound[name], note=note)


def network_level(setup: Setup) -> Iterator[Record]:
    """Every activation and every loss; the worst of a few batches for each tensor."""
    data = setup.data
    sizes = setup.sizes
    for case in cases(data, sizes, setup.seed):
        with nullcontext() if case.hidden == sizes.hidden else one_thread():
            truth, others = setup.open(case)
            found: list[Record] = []
            for step in range(sizes.batches):
                x, y = batch_of(case, data, truth, sizes, step)
                found += compare(setup.level, case, truth, others, x, y, f"batch {step}")
        yield from worst_of_each(found)
