"""L2: pre-activations, outputs and gradients of whole networks on batches of real examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from math import isqrt

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Case, Data, ImageCase
from dnn.agreement.contender import Contender, Network
from dnn.agreement.oracle import magnification, safe_rows
from dnn.agreement.records import Record, refused, worst_of_each
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Misfit
from dnn.agreement.threads import one_thread
from dnn.losses import LOSSES
from dnn.optimizers import SGD

LEVEL = "L2"
MAIN = ("relu", "categorical_crossentropy")


def cases(data: Data, sizes: Sizes, seed: int) -> Iterator[Case]:
    """The lecture's network, and smaller ones: every activation with cross-entropy and squares, every loss
    with relu, and one with a convolution."""
    for activation in ACTIVATIONS:
        for loss in LOSSES:
            if activation != MAIN[0] and loss not in (MAIN[1], "mean_squared_error"):
                continue
            main = (activation, loss) == MAIN
            hidden = sizes.hidden if main else sizes.small
            widths = "-".join(map(str, (data.x.shape[1], *hidden, data.classes)))
            yield Case(f"{widths} {activation} {loss}", data.x.shape[1], hidden, data.classes,
                       activation, loss, SGD(), seed)  # fmt: skip
    n = data.x.shape[1]
    if n >= 16 and isqrt(n) ** 2 == n:
        yield ImageCase(
            f"{n} convolution tanh {MAIN[1]}", n, (6,), data.classes, "tanh", MAIN[1], SGD(), seed
        )


def batch_of(
    case: Case, data: Data, truth: Network, sizes: Sizes, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """x (B, n) and y (B,) of a step: rows on which no unit is near a kink."""
    rows = data.rows(case.seed, step, sizes.candidates)
    rows = rows[safe_rows(case, truth, data.x[rows], data.y[rows], sizes.batch)]
    return data.x[rows], data.y[rows]


def compare(
    level: str, case: Case, truth: Network, others: Sequence[tuple[str, Network]],
    x: np.ndarray, y: np.ndarray, note: str = "",
) -> Iterator[Record]:  # fmt: skip
    """Records of one batch: z of each layer, what the loss takes, gradient of each parameter."""
    z64, outputs64, g64 = truth.pre_activations(x), truth.predict(x), truth.gradients(x, y)
    kappa = magnification(case, outputs64, y)
    index = {name: i for i, name in enumerate(z64)}
    for backend, network in others:
        try:
            z, outputs, g = network.pre_activations(x), network.predict(x), network.gradients(x, y)
        except Misfit as error:
            yield refused(level, case.name, backend, error)
            continue
        for name, i in index.items():
            bound = bounds.forward(case.inner, i, network.unit)
            yield Record(level, case.name, f"z {name}", backend, bounds.eta(z[name], z64[name]), bound, note)
        bound = bounds.forward(case.inner, len(index) - 1, network.unit)
        yield Record(level, case.name, "outputs", backend, bounds.eta(outputs, outputs64), bound, note)
        for name, x64 in g64.items():
            layer = index[name.rsplit(".", maxsplit=1)[0]]
            summed = len(x) * case.places[layer]
            bound = bounds.gradient(case.inner, case.outer, layer, summed, kappa, network.unit)
            yield Record(level, case.name, f"d {name}", backend, bounds.eta(g[name], x64), bound, note)


def network_level(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> Iterator[Record]:
    """Every activation and every loss; the worst of a few batches for each tensor."""
    for case in cases(data, sizes, seed):
        with nullcontext() if case.hidden == sizes.hidden else one_thread():
            truth = oracle.open(case, "float64")
            others = [(c.name, c.open(case)) for c in contenders]
            found: list[Record] = []
            for step in range(sizes.batches):
                x, y = batch_of(case, data, truth, sizes, step)
                found += compare(LEVEL, case, truth, others, x, y, f"batch {step}")
        yield from worst_of_each(found)
