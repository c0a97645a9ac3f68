"""L4: whole trainings by ``fit``, with everything that it does, beside a training written out.

Batches from images of bytes with a short last one, dropout from step to step, running averages, penalties,
schedules beyond their ends, one training of more than a thousand updates; then evaluate and predict.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np

from dnn.agreement import bounds, textbook
from dnn.agreement.cases import Data, FitCase
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named
from dnn.losses import CategoricalCrossentropy
from dnn.optimizers import SGD, Adam, Optimizer
from dnn.optimizers.schedules import CosineDecay, LinearDecay

SCHEDULES = (LinearDecay(0.05, 8, 0.01, warmup=3), CosineDecay(0.05, 9, 0.002, warmup=2))
"""tests/dnn/optimizers/test_schedules.py compares the table of every schedule with torch's."""


def fit_cases(data: Data, seed: int) -> Iterator[tuple[str, FitCase]]:
    """(dtype, case): schedules, a long training, and in float32 a few updates."""

    usual: dict[str, Any] = {"loss": "categorical_crossentropy", "l1": 0.002, "l2": 0.003}

    def case(name: str, optimizer: Optimizer, n: int, **settings: Any) -> FitCase:
        rows = data.rows(seed, 0, n)
        pixels = np.unique(np.linspace(0, data.x.shape[1] - 1, 64).astype(int))  # few: training stays tame
        images = np.rint(255.0 * data.x[rows][:, pixels]).astype(np.uint8)
        labels = data.y[rows]
        return FitCase(
            f"fit {name}", images.shape[1], (11,), data.classes, "tanh", optimizer=optimizer, seed=seed,
            images=images, labels=labels, **{**usual, **settings},
        )  # fmt: skip

    for schedule in SCHEDULES:
        yield "float64", case(schedule.name, SGD(schedule, momentum=0.8, nesterov=True), 37)
    # Some examples count more than others, some nothing, as all of one batch, and one class is left out.
    weighted = case(
        "weighted", SGD(0.05, momentum=0.8, nesterov=True), 37, epochs=2,
        loss=CategoricalCrossentropy(ignore_index=2), class_weight={0: 0.25, 1: 3.0},
    )  # fmt: skip
    often = np.arange(37) % 4 / 2.0
    often[textbook.epoch_order(weighted, 1)[-(37 % weighted.batch_size) :]] = 0.0
    yield "float64", replace(weighted, sample_weight=often)
    late = Adam(CosineDecay(0.003, 1030, 0.0003, warmup=40), beta1=0.8, beta2=0.99, epsilon=1e-4)
    # Without l1, whose gradient jumps where a weight changes its sign: in a thousand updates some do so at
    # one update here and at the next one there.
    yield "float64", case("late", late, 138, batch_size=5, epochs=38, rate=0.0, l1=0.0)
    # What a backend may do as a whole (``backends.plan``). With so large an epsilon the step is smooth in g.
    plain: dict[str, Any] = {"rate": 0.0, "normalised": False, "l1": 0.0, "l2": 0.0}
    smooth = Adam(LinearDecay(0.02, 3, 0.01), epsilon=0.5)
    yield "float32", case("whole", smooth, 61, batch_size=33, epochs=2, **plain)
    # Two batches an epoch, of which one is short.
    yield "float32", case("float32", SGD(LinearDecay(0.05, 3)), 61, batch_size=33, epochs=2, normalised=False)


def short_fit_bound(case: FitCase, tensor: str, start: Named, after: Named) -> float:
    """A few float32 updates T of a smooth network at a small rate.

    Each update adds the error of its gradient, as in ``bounds.gradient`` with kappa 1 (the outputs begin at
    0, so that norm(P) < norm(P - Y)), and one rounding of the parameters. What is there already grows by
    1 + rate H an update, H the curvature: below 2 in all, as T rate H < log 2 here.
    """
    updates = case.epochs * -(-len(case.labels) // case.batch_size)
    slope = max(
        bounds.gradient(case.inner, case.outer, i, case.batch_size, 1.0) for i in range(len(case.inner))
    )
    if tensor not in start:
        return 2.0 * updates * slope
    way = bounds.norm(after[tensor] - start[tensor])
    return 2.0 * updates * (slope + bounds.U * bounds.norm(after[tensor]) / way)


def fit_level(setup: Setup) -> Iterator[Record]:
    """Every number of ``textbook.fit``; parameters relative to the way that they went."""
    for dtype, case in fit_cases(setup.data, setup.seed):
        yield from _judge_fit(setup, case, dtype)


def _judge_fit(setup: Setup, case: FitCase, dtype: str) -> list[Record]:
    expected, start = textbook.fit(case)
    if dtype == "float32":  # outputs may be as close as their roundings after an update
        del expected["accuracy"]

    def bound(tensor: str, unit: float) -> float:
        if dtype == "float64":
            return bounds.TRAJECTORY_BOUND
        if tensor in ("before", "learning rate"):
            return bounds.U * (sqrt(case.classes) + 10.0)
        return short_fit_bound(case, tensor, start, expected)

    def error(tensor: str, got: np.ndarray, p: np.ndarray) -> float:
        return bounds.eta_of_path(got, p, start.get(tensor, p))

    note = f"{case.epochs} epochs"
    return setup.judge(case.name, lambda c: c.in_dtype(dtype).fit(case), bound, error, note, expected)
