"""L4: compare trainings by ``fit`` with the training written out in ``textbook``.

They cover uint8 images, a short last batch, dropout, running averages, penalties, schedules past their end,
a training of more than a thousand updates, and then evaluate and predict.
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
"""Schedules of the fits. tests/dnn/optimizers/test_schedules.py compares every schedule with torch."""


def fit_cases(data: Data, seed: int) -> Iterator[tuple[str, FitCase]]:
    """Yield (dtype, case): schedules, weights and a long training in float64; a few updates in float32."""

    usual: dict[str, Any] = {"loss": "categorical_crossentropy", "l1": 0.002, "l2": 0.003}

    def case(name: str, optimizer: Optimizer, n: int, **settings: Any) -> FitCase:
        rows = data.rows(seed, 0, n)
        pixels = np.unique(
            np.linspace(0, data.x.shape[1] - 1, 64).astype(int)
        )  # few inputs keep training stable
        images = np.rint(255.0 * data.x[rows][:, pixels]).astype(np.uint8)
        labels = data.y[rows]
        return FitCase(
            f"fit {name}", images.shape[1], (11,), data.classes, "tanh", optimizer=optimizer, seed=seed,
            images=images, labels=labels, **{**usual, **settings},
        )  # fmt: skip

    for schedule in SCHEDULES:
        yield "float64", case(schedule.name, SGD(schedule, momentum=0.8, nesterov=True), 37)
    # Example weights of 0 to 1.5, one batch in which all weights are 0, and an ignored class.
    weighted = case(
        "weighted", SGD(0.05, momentum=0.8, nesterov=True), 37, epochs=2,
        loss=CategoricalCrossentropy(ignore_index=2), class_weight={0: 0.25, 1: 3.0},
    )  # fmt: skip
    often = np.arange(37) % 4 / 2.0
    often[textbook.epoch_order(weighted, 1)[-(37 % weighted.batch_size) :]] = 0.0
    yield "float64", replace(weighted, sample_weight=often)
    late = Adam(CosineDecay(0.003, 1030, 0.0003, warmup=40), beta1=0.8, beta2=0.99, epsilon=1e-4)
    # Without l1: its gradient jumps when a weight changes sign, and in a thousand updates rounding shifts
    # some of these sign changes by one update.
    yield "float64", case("late", late, 138, batch_size=5, epochs=38, rate=0.0, l1=0.0)
    # A backend may run these updates by a plan (``backends.plan``). A large epsilon makes the step smooth in
    # g.
    plain: dict[str, Any] = {"rate": 0.0, "normalised": False, "l1": 0.0, "l2": 0.0}
    smooth = Adam(LinearDecay(0.02, 3, 0.01), epsilon=0.5)
    yield "float32", case("whole", smooth, 61, batch_size=33, epochs=2, **plain)
    # Two batches an epoch, the second one short.
    yield "float32", case("float32", SGD(LinearDecay(0.05, 3)), 61, batch_size=33, epochs=2, normalised=False)


def short_fit_bound(case: FitCase, tensor: str, start: Named, after: Named) -> float:
    """Return the bound of a tensor after T float32 updates of a smooth network at a small rate.

    Each update adds the error of its gradient, as in ``bounds.gradient`` with kappa 1 (the outputs start at
    0, so norm(P) < norm(P - Y)), and one rounding of the parameters. An existing error grows by a factor of
    1 + rate H per update, H the curvature: by less than 2 in total, since T rate H < log 2 here.

    Args:
        start, after: parameters before and after the training; other tensors are not in ``start``.
    """
    updates = case.epochs * -(-len(case.labels) // case.batch_size)
    slope = max(
        bounds.gradient(case.inner, case.outer, i, case.batch_size, 1.0) for i in range(len(case.inner))
    )
    if tensor not in start:
        return 2.0 * updates * slope
    distance = bounds.norm(after[tensor] - start[tensor])
    return 2.0 * updates * (slope + bounds.U * bounds.norm(after[tensor]) / distance)


def fit_level(setup: Setup) -> Iterator[Record]:
    """Compare every array of ``textbook.fit``, parameters relative to how far training moved them."""
    for dtype, case in fit_cases(setup.data, setup.seed):
        yield from _judge_fit(setup, case, dtype)


def _judge_fit(setup: Setup, case: FitCase, dtype: str) -> list[Record]:
    expected, start = textbook.fit(case)
    if dtype == "float32":  # outputs may be equal up to rounding, so the predicted class may differ
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
