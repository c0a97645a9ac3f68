"""L4: compare trainings by ``fit`` with the training written out in ``textbook.training``.

They cover images of bytes and numbers, sparse ones, a short last batch, dropout, augmentation, running
averages, penalties, schedules past their end, frozen layers, several calls of fit, a stop and a resume, a
training of more than a thousand updates, networks that a backend may run by a plan, and then evaluate and
predict.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import numpy as np

from backends.plan import PlanForms
from dnn.agreement import bounds
from dnn.agreement.cases import Data, FitCase, Session
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.plan_fits import plan_cases
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup
from dnn.agreement.textbook import training as textbook
from dnn.callbacks import LearningRateScheduler, ReduceLROnPlateau
from dnn.layers import (
    BatchNormalization,
    Dropout,
    Flatten,
    GaussianNoise,
    RandomElastic,
    RandomRotation,
    RandomTranslation,
    Reshape,
)
from dnn.losses import CategoricalCrossentropy
from dnn.optimizers import SGD, Adam, AdamW, Optimizer
from dnn.optimizers.schedules import CosineDecay, LinearDecay
from dnn.typing import HostArrays

MISTAKES = "row", "label", "weight", "rate"
NORMALISATION = BatchNormalization(momentum=0.3, epsilon=0.01), Dropout(0.25)


def make_case(
    data: Data, seed: int, name: str, optimizer: Optimizer, n: int, n_in: int = 64,
    classes: int | None = None, **settings: Any,
) -> FitCase:  # fmt: skip
    """Return a case with n examples of n_in bytes; ``classes`` other than those of the data."""
    rows = np.resize(data.rows(seed, 0, n), n)
    labels = data.y[rows]
    if classes:
        labels = (labels * 28 + np.arange(n) % 5) % classes
    # Few inputs keep training stable. Pixels that are dark in all images would have no effect.
    sums = data.x.sum(axis=0)
    bright = np.flatnonzero(sums >= sums.max() / 8.0)
    pixels = bright[np.linspace(0, len(bright) - 1, n_in + 2)[1:-1].astype(int)]
    return FitCase(
        f"fit {name}", n_in, classes=classes or data.classes, optimizer=optimizer, seed=seed,
        images=np.rint(255.0 * data.x[rows[:, None], pixels]).astype(np.uint8), labels=labels,
        **{"loss": "categorical_crossentropy", "hidden": (11,), "activation": "tanh", **settings},
    )  # fmt: skip


def fit_cases(data: Data, seed: int) -> Iterator[FitCase]:
    """Yield weights, a long training and others in float64."""
    case = partial(make_case, data, seed)
    nesterov = SGD(0.05, momentum=0.8, nesterov=True)
    # Example weights of 0 to 1.5, one batch in which all weights are 0, and an ignored class.
    often = np.arange(37) % 4 / 2.0
    often[textbook.epoch_batches(seed, 1, 37, 8)[-1]] = 0.0
    uneven = Session(epochs=2, class_weight={0: 0.25, 1: 3.0})
    yield case(
        "weighted", nesterov, 37, loss=CategoricalCrossentropy(ignore_index=2), sample_weight=often,
        sessions=(uneven,), l1=0.002, l2=0.003, between=NORMALISATION,
    )  # fmt: skip
    late = Adam(CosineDecay(0.003, 1030, 0.0003, warmup=40), beta1=0.8, beta2=0.99, epsilon=1e-4)
    # Without l1: its gradient jumps when a weight changes sign, and in a thousand updates rounding shifts
    # some of these sign changes by one update.
    yield case("late", late, 138, sessions=(Session(5, 38),), l2=0.003, between=NORMALISATION[:1])
    # Several calls of fit: stopped and resumed, with frozen layers, with the examples in other rows,
    # with a last batch of one row.
    frozen = "dense_1", "batch_normalization_1"
    resumed = (
        Session(9, 2, stop=2), Session(10, 1, "balanced", frozen), Session(10, 1, shift=5), Session(10, 1),
        Session(10, 1, frozen=("dense_2",)), Session(10, 1, frozen=frozen[1:]),
    )  # fmt: skip
    smooth = AdamW(LinearDecay(0.02, 7, 0.01), epsilon=0.5, weight_decay=0.2)
    yield case("resumed", smooth, 37, l2=0.003, between=NORMALISATION, sessions=resumed)
    before = (
        Reshape((8, 8, 1)), RandomTranslation(2), RandomRotation(25.0),
        RandomElastic(6.0, 2.0, degrees=20.0, scale=0.2, shear=0.3), Flatten(), GaussianNoise(0.3),
    )  # fmt: skip
    yield case("augmented", nesterov, 37, before=before, sessions=(Session(8, 2),))
    scheduler = LearningRateScheduler(lambda epoch, rate: rate * (1.0 + epoch) / 2.0)
    sessions = Session(10, 3, stop=2), Session(10, 2)
    yield case("scheduled", nesterov, 37, callbacks=(scheduler,), sessions=sessions)
    plateau = ReduceLROnPlateau("val_loss", 0.5, patience=2, min_delta=0.4, cooldown=1, min_lr=0.1)
    sessions = Session(8, 14), Session(8, 3)
    yield case("plateau", SGD(0.5), 37, callbacks=(plateau,), sessions=sessions)
    sessions = uneven, Session(class_weight="balanced")
    yield case("two classes", nesterov, 37, classes=2, l2=0.003, sessions=sessions)


def short_fit_bound(case: FitCase, tensor: str, start: HostArrays, after: HostArrays) -> float:
    """Return the bound of a tensor after T float32 updates of a smooth network at a small rate.

    Each update adds the error of its gradient and one rounding of the parameters. A gradient has the errors
    of the sums forward, backward and over the batch; P - Y does not magnify them, since the network is hardly
    trained. An existing error grows by a factor of 1 + rate H per update, H the curvature: by less than 4 in
    total for the cases here, so by about 2 averaged over the updates.

    Args:
        start, after: parameters before and after the training; other tensors are not in ``start``.
    """
    updates = sum(s.epochs * -(-len(case.labels) // s.batch_size) for s in case.sessions)
    batch = max(s.batch_size for s in case.sessions)
    sums = (*case.inner, *case.inner, *case.outer, batch)
    slope = bounds.forward(sums)
    distance = bounds.norm(after[tensor] - start[tensor]) if tensor in start else 0.0
    if distance:
        slope += bounds.U * bounds.norm(after[tensor]) / distance
    return 2.0 * updates * slope


def fit_level(setup: Setup) -> Iterator[Record]:
    """Compare every array of ``textbook.fit``, parameters relative to how far training moved them.

    Backends that declare plans train with these; the others with all that a plan can have.
    """
    for case in fit_cases(setup.data, setup.seed):
        yield from judge_fit(setup.without_repetitions() if case.name == "fit late" else setup, case)
    groups: dict[PlanForms | None, list[Contender]] = {}
    for contender in setup.without_repetitions().contenders:
        groups.setdefault(contender.backend.plan_forms, []).append(contender)
    for forms, contenders in groups.items():
        for case in plan_cases(partial(make_case, setup.data, setup.seed), forms or PlanForms()):
            yield from judge_fit(replace(setup, contenders=contenders), case, must_plan=forms is not None)


def judge_fit(setup: Setup, case: FitCase, must_plan: bool = False) -> Iterator[Record]:
    """Compare a case in each of its dtypes, and then the textbook's training with a mistake: it must differ.

    Args:
        must_plan: whether all updates must run as a plan.
    """
    expected, start = textbook.fit(case)
    if must_plan:
        expected["planned"] = np.ones(1)
    starts = expected | start  # only parameters have a start; errors of others are relative to their size

    def bound(dtype: str, tensor: str, unit: float = 0.0) -> float:
        if dtype == "float64":
            return bounds.TRAJECTORY_BOUND
        if tensor == "accuracy":
            return inf  # rounding may exchange the largest probability and that of the label
        if tensor in ("before", "learning rate"):
            return bounds.forward([case.classes])
        return short_fit_bound(case, tensor, start, expected)

    def compute(dtype: str, contender: Contender) -> HostArrays:
        return contender.in_dtype(dtype).fit(case)

    for dtype in case.dtypes:
        yield from setup.compare(
            case.name, partial(compute, dtype), partial(bound, dtype),
            lambda tensor, x, x64: bounds.eta(x, x64, starts[tensor]), dtype, expected,
        )  # fmt: skip
    kind = MISTAKES[sum(map(ord, case.name)) % 4]
    got, begin = textbook.fit(*make_mistake(case, kind))
    change = max(
        bounds.eta(got[name] - begin[name] + p, expected[name], p) / bound(case.dtypes[-1], name)
        for name, p in start.items()
    )
    if change < 1.0:
        yield Record(setup.level, case.name, f"one {kind} changed", "textbook", 1.0 / (change or 1e-30), 1.0)


def make_mistake(case: FitCase, kind: str) -> tuple[FitCase, HostArrays, float]:
    """Return the arguments of ``textbook.fit`` with another row, label, weight, or rate.

    The row is the one with the largest sum among those that count, without the first ones: the rate of their
    update may be 0. If a batch has 70 rows or more, some rows are changed.
    """
    session = case.sessions[0]
    n = len(case.labels)
    (order,) = textbook.epoch_batches(case.seed, 1, n, n)
    order = (order[n // 20 :] - session.shift) % n
    sums = case.images[order].sum(axis=1) * textbook.example_weights(case, session.class_weight)[order]
    rows = order[np.argsort(-sums)[: 1 + session.batch_size // 70]]
    images = case.images.copy()
    labels = case.labels.copy()
    weights = case.weights()
    W = weights["dense_1.W"]
    if kind == "row":
        images[rows] = 0
    if kind == "label":
        labels[rows] = (labels[rows] + 1) % case.classes
    if kind == "weight":
        W[case.images[rows[0]].argmax(), 0] += 8.0 * np.abs(W).max()
    wrong = replace(case, images=images, labels=labels)
    return wrong, weights, 1.01 if kind == "rate" else 1.0
