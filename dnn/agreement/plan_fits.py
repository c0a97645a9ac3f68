"""Networks that a backend may run by a plan (``backends.plan``); every pair of two settings occurs.

Two more have numbers of rows and of columns beyond 2^16.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement.cases import FitCase, Session
from dnn.agreement.covering import cover_pairs
from dnn.losses import CategoricalCrossentropy
from dnn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from dnn.optimizers.schedules import Constant, CosineDecay, LinearDecay, OneCycle, Schedule, StepDecay

OPTIMIZERS: tuple[Optimizer, ...] = (
    SGD(0.0025, momentum=0.5), SGD(0.005), Adagrad(0.005, epsilon=0.5),
    RMSprop(0.00125, decay=0.8, epsilon=0.5, centered=True, momentum=0.5),
    Adam(0.005, beta2=0.9, epsilon=0.5), Adam(0.005, epsilon=0.5, amsgrad=True),
    AdamW(0.005, epsilon=0.5, weight_decay=0.3),
)  # fmt: skip
"""A large epsilon makes the step smooth in g."""
SCHEDULES: tuple[Callable[[Any], float | Schedule], ...] = (
    float, lambda rate: Constant(rate, warmup=4), lambda rate: LinearDecay(rate, 4, rate / 2.0),
    lambda rate: LinearDecay(0.0, 3, rate), lambda rate: CosineDecay(rate, 4, rate / 4.0, warmup=1),
    lambda rate: OneCycle(rate, 5), lambda rate: StepDecay(rate, 4, 2, 0.5),
)  # fmt: skip
SESSIONS = (
    (Session(131, 1, shift=7), Session(65, 2)),  # a short last batch, and other examples
    (Session(69, 2), Session(69, 1)),  # a last batch of one row
    (Session(5, 1, stop=1),),  # more updates than a plan unrolls
)
HIDDEN = ((11,), (), (9, 16, 8), (261, 65), (13, 8, 8, 9))
FORMS = "bytes", "dense bytes", "numbers", "dense numbers", "scaled", "sparse", "sparse scaled"
"""Examples: with empty rows or dense; bytes or numbers; or scaled, without Rescaling and some biases."""


def plan_cases(make_case: Callable[..., FitCase]) -> Iterator[FitCase]:
    """Yield cases, made by ``make_case(name, optimizer, n, n_in, **settings)`` with n examples."""
    kinds = [kind for kind in ACTIVATIONS if kind != "softmax"]
    rows = cover_pairs(
        kinds, OPTIMIZERS, SCHEDULES, SESSIONS, HIDDEN, FORMS, (64, 1, 300), (0.0, 0.3),
        (None, 2, 3, 257), ("float64", "float32"),
        # Without a bias a unit may be near its kink.
        allowed=lambda activation, *row: not ACTIVATIONS[activation].kink or "scaled" not in row[4],
    )  # fmt: skip
    for activation, optimizer, schedule, sessions, hidden, form, n_in, smoothing, classes, dtype in rows:
        planned = replace(optimizer, learning_rate=schedule(optimizer.learning_rate))
        case = make_case(
            f"plan {activation} {hidden} {optimizer.name} {form} {n_in}", planned, 139, n_in, hidden=hidden,
            activation=activation, sessions=sessions, loss=CategoricalCrossentropy(label_smoothing=smoothing),
            sparse="sparse" in form, plain="scaled" in form, dtype=dtype, classes=classes,
        )  # fmt: skip
        yield replace(case, images=as_form(case.images, form))
    smooth = Adam(0.0005, epsilon=0.5)
    yield make_case("plan 70001 rows", smooth, 70001, 3, sessions=(Session(1000, 1),))
    wide = make_case("plan 70001 columns", smooth, 23, 70001, sessions=(Session(9, 2),), sparse=True)
    yield replace(wide, images=as_form(wide.images, "sparse"))


def as_form(images: np.ndarray, form: str) -> np.ndarray:
    """Return images (N, n) of bytes in another form; some rows are empty or full, some have one number."""
    x = images.copy()
    x[3::9] = 0
    full = slice(None) if "dense" in form else slice(4, None, 9)
    x[full] = np.maximum(x[full], 1 + np.arange(x.shape[1], dtype=np.uint8) % 200)
    x[5::9, 1:] = 0  # one number
    x[5::9, 0] = 7
    numbers = x if "bytes" in form else x.astype(np.float32)
    return numbers / np.float32(255.0) if "scaled" in form else numbers
