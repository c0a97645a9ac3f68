"""L2: compare pre-activations, outputs and gradients of networks on batches of real examples."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement.cases import Case, Data
from dnn.agreement.contender import Network
from dnn.agreement.oracle import safe_rows
from dnn.agreement.propagation import error_limits
from dnn.agreement.records import Record, worst_records
from dnn.agreement.setup import Setup
from dnn.agreement.sizes import Sizes
from dnn.agreement.threads import one_thread
from dnn.losses import LOSSES
from dnn.optimizers import SGD

MAIN_PAIR = ("relu", "categorical_crossentropy")


def network_cases(data: Data, sizes: Sizes, seed: int) -> Iterator[Case]:
    """Yield the lecture's network and smaller ones: every activation with cross-entropy and mean squared
    error, and every loss with relu.
    """
    for activation in ACTIVATIONS:
        for loss in LOSSES:
            if activation == MAIN_PAIR[0] or loss in (MAIN_PAIR[1], "mean_squared_error"):
                hidden = sizes.hidden if (activation, loss) == MAIN_PAIR else sizes.small
                yield data.case(f"-{activation} {loss}", hidden, SGD(), seed, activation, loss)


def batch_without_kinks(setup: Setup, case: Case, truth: Network, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x (B, n) and y (B,) of a step, without rows on which a unit is near a kink."""
    data = setup.data
    rows = data.rows(case.seed, step, setup.sizes.candidates)
    rows = rows[safe_rows(case, truth, data.x[rows], data.y[rows], setup.sizes.batch)]
    return data.x[rows], data.y[rows]


def compare_batch(setup: Setup, truth: Network, others: Sequence[Network], step: int) -> list[Record]:
    """Compare z of each layer, the outputs and the gradient of each parameter on one batch.

    Args:
        truth: the oracle's network. others: the contenders' networks. step: selects the batch.
    """
    case = truth.case
    x, y = batch_without_kinks(setup, case, truth, step)
    expected = truth.compute(x, y)
    _, d = setup.oracle.loss(case.loss, expected["outputs"], y)
    bound = error_limits(case, truth.state().values, x, y, d)
    return setup.judge(
        case.name, lambda network: network.compute(x, y), lambda name, unit: unit * bound[name],
        note=f"batch {step}", expected=expected, sources=others,
    )  # fmt: skip


def network_level(setup: Setup) -> Iterator[Record]:
    """Compare every network on a few batches; yield the worst record for each tensor."""
    sizes = setup.sizes
    for case in network_cases(setup.data, sizes, setup.seed):
        with nullcontext() if case.hidden == sizes.hidden else one_thread():
            truth, others = setup.open(case)
            found: list[Record] = []
            for step in range(sizes.batches):
                found += compare_batch(setup, truth, others, step)
        yield from worst_records(found)
