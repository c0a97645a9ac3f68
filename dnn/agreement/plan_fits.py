"""Networks that a backend may run by a plan (``backends.plan``); every pair of two settings occurs.

Three more have numbers of batches beyond 2^9, and of rows and columns beyond 2^16.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from backends import get_backend
from backends.plan import PlanForms
from backends.reference import ACTIVATIONS
from dnn.agreement.calls.covering import cover_pairs
from dnn.agreement.cases import FitCase, Session
from dnn.losses import CategoricalCrossentropy
from dnn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from dnn.optimizers.schedules import Constant, CosineDecay, LinearDecay, OneCycle, Schedule, StepDecay

OPTIMIZERS: tuple[Optimizer, ...] = (
    SGD(0.04, momentum=0.5), SGD(0.08), Adagrad(0.08, epsilon=0.5),
    RMSprop(0.02, decay=0.8, epsilon=0.5, centered=True, momentum=0.5),
    Adam(0.08, beta2=0.9, epsilon=0.5), Adam(0.08, epsilon=0.5, amsgrad=True),
    AdamW(0.04, epsilon=0.5, weight_decay=0.03),
)  # fmt: skip
"""A large epsilon makes the step smooth in g. With a large decay the weights would hardly depend on g."""
SCHEDULES: tuple[Callable[[Any], float | Schedule], ...] = (
    float, lambda rate: Constant(rate, warmup=4), lambda rate: LinearDecay(rate, 4, rate / 2.0),
    lambda rate: LinearDecay(0.0, 3, rate), lambda rate: CosineDecay(rate, 4, rate / 4.0, warmup=1),
    lambda rate: OneCycle(rate, 5, final_div_factor=0.1), lambda rate: StepDecay(rate, 4, 2, 0.5),
)  # fmt: skip
SESSIONS = (
    (Session(131, 1, shift=7), Session(65, 2)),  # a short last batch, and other examples
    (Session(69, 2), Session(69, 1)),  # a last batch of one row
    (Session(5, 1, stop=1),),  # more updates than a plan unrolls
)
HIDDEN = ((11,), (), (9, 16, 8), (261, 65), (13, 8, 8, 9))
EXAMPLES = {
    "bytes": "bytes", "dense bytes": "bytes", "numbers": "numbers", "dense numbers": "numbers",
    "scaled": "numbers", "sparse": "sparse", "sparse scaled": "sparse",
}  # fmt: skip
"""Examples with empty rows or dense; bytes or numbers; or scaled, without Rescaling and some biases. The
values are names in ``PlanForms``."""


def plan_cases(make_case: Callable[..., FitCase], forms: PlanForms) -> Iterator[FitCase]:
    """Yield cases in these forms, made by ``make_case(name, optimizer, n, n_in, **settings)``, n examples."""
    kernel = get_backend("numpy", fused=False)
    rows = cover_pairs(
        forms.activations,
        [
            o for o in OPTIMIZERS
            if o.bind(kernel).__name__ in forms.optimizers and len(o.slot_names) <= forms.max_slots
        ],
        SCHEDULES, SESSIONS,
        [hidden for hidden in HIDDEN if len(hidden) + 1 >= forms.min_layers],
        [form for form in EXAMPLES if EXAMPLES[form] in forms.examples],
        (64, 1, 300), (0.0, 0.3) if forms.smoothing else (0.0,),
        [n for n in (None, 2, 3, 257) if n is None or n <= forms.max_classes],
        # Without a bias a unit may be near its kink.
        allowed=lambda activation, *row: not ACTIVATIONS[activation].kink or "scaled" not in row[4],
    )  # fmt: skip
    for activation, optimizer, schedule, sessions, hidden, form, n_in, smoothing, classes in rows:
        planned = replace(optimizer, learning_rate=schedule(optimizer.learning_rate))
        case = make_case(
            f"plan {activation} {hidden} {optimizer.name} {form} {n_in}", planned, 139, n_in, hidden=hidden,
            activation=activation, sessions=sessions, loss=CategoricalCrossentropy(label_smoothing=smoothing),
            sparse="sparse" in form, plain="scaled" in form, dtypes=forms.dtypes, classes=classes,
        )  # fmt: skip
        yield replace(case, images=as_form(case.images, form))
    large = partial(make_case, optimizer=Adam(0.02, epsilon=0.5), activation="sigmoid", dtypes=forms.dtypes)
    yield large("plan 70001 rows", n=70001, n_in=3, sessions=(Session(1000, 1),))
    # As many batches as MNIST has; a plan may get all of them in one call.
    yield large("plan 601 batches", n=1201, n_in=3, sessions=(Session(2, 1),))
    wide = large("plan 70001 columns", n=23, n_in=70001, sessions=(Session(9, 2),), sparse=True)
    yield replace(wide, images=as_form(wide.images, "sparse"))


def as_form(images: np.ndarray, form: str) -> np.ndarray:
    """Return images (N, n) of bytes in another form; some rows are empty or full, some have one number.

    The density of sparse examples is at most 0.28, since numba's plans take at most 0.3.
    """
    x = images.copy()
    if "sparse" in form:
        x[np.add.outer(np.arange(len(x)), np.arange(x.shape[1])) % 6 > 0] = 0
    x[3::13] = 0
    full = slice(None) if "dense" in form else slice(4, None, 13)
    x[full] = np.maximum(x[full], 1 + np.arange(x.shape[1], dtype=np.uint8) % 200)
    x[5::13, 1:] = 0  # one number
    x[5::13, 0] = 7
    numbers = x if "bytes" in form else x.astype(np.float32)
    return numbers / np.float32(255.0) if "scaled" in form else numbers
