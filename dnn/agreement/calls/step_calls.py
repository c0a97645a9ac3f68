"""Calls of every optimizer's step, from states that only long trainings reach, too."""

from collections.abc import Iterator
from dataclasses import fields, replace
from math import inf
from typing import Any

import numpy as np

from dnn.agreement.calls.call import Call, Draw
from dnn.agreement.calls.covering import cover_pairs
from dnn.agreement.cases import examples
from dnn.agreement.textbook.training import control_after
from dnn.optimizers import OPTIMIZERS, Optimizer

UNSEEN_UPDATES = 1050
"""Number of updates made before the first one that is compared within a few roundings."""
UPDATE_COUNTS = (0, 1, 12, 31, 127, 999, 1000, 2000, 2047, 32767, 65535, 999_999, 2**24 - 3)
"""Numbers of updates so far: few, near powers of two, where narrower counters overflow, and up to the last
integer that float32 can count to. The update after 31 others sets tiny moments to 0."""
LENGTHS = (203, 1, 1025, 65537)
DECAYS = (0.5, 0.9, 0.999)
SMALL_SETTINGS = (1e-10, 1e-3, 0.3)
SQUARES = ("v", "total", "largest")
"""Slots that are sums or means of squares. The square of a mean is smaller than the mean of squares."""


def step_calls(draw: Draw) -> Iterator[Call]:
    """Yield steps of every optimizer: lengths, settings, update counts, rates and scales vary.

    The first call of each optimizer makes UNSEEN_UPDATES, so the others come late in the process; its result
    need only be finite.

    Centred RMSprop also gets equal gradients: v - mean^2 is then 0, or negative by rounding, which must count
    as 0. In torch.optim it counts as NaN.
    """
    for _, optimizer in examples(OPTIMIZERS):
        yield step_call(optimizer, draw, LENGTHS[0], 0, repeat=UNSEEN_UPDATES)
        names = [f.name for f in fields(optimizer) if isinstance(getattr(optimizer, f.name), float)]
        names.remove("learning_rate")
        settings = [swept(optimizer, name) for name in names]
        usual = tuple(values[0] for values in settings)
        rows = cover_pairs(
            LENGTHS, UPDATE_COUNTS, (0.25, 0.0, 2.0**-9), (1.0, 2.0**-50, 0.125), (None, np.nan, np.inf),
            (1.0, 2.0**-10), *settings,
            # From infinity torch's mean, g + beta (m - g), is NaN if beta is small. Its 1 - beta^t cancels in
            # early updates; a beta1 near 1 then magnifies that.
            allowed=lambda *row, usual=usual, first=names[:1]: (row[4] != np.inf or row[6:] == usual)
            and (first != ["beta1"] or row[6] <= 0.9 or row[1] > 100),
        )  # fmt: skip
        for row in rows:
            chosen: Any = replace(optimizer, **dict(zip(names, row[6:], strict=True)))
            yield step_call(chosen, draw, *row[:6])
    w, g = draw(2, 25001)
    slots = np.maximum(g * g - 2.0, 0.0), 0.0 * g, g.copy()
    control = np.asarray([0.25, 0.0, 0.0, 2.0])
    yield Call("rmsprop", (w, g, slots, control, (0.5, 0.5, 0.5)))


def swept(optimizer: Optimizer, name: str) -> tuple[float, ...]:
    """Return the values of a setting: the usual one, 0 where that is usual too, smaller and larger ones."""
    usual = getattr(optimizer, name)
    if usual < 0.5 and name != "momentum":
        return tuple(dict.fromkeys((usual, *SMALL_SETTINGS)))
    # Left out: small decays, of which RMSprop warns, and a Nesterov momentum of 0, which is refused.
    lowest = () if name == "decay" or getattr(optimizer, "nesterov", False) else (0.0,)
    return tuple(dict.fromkeys((usual, *lowest, *DECAYS)))


def step_call(
    optimizer: Optimizer, draw: Draw, n: int, done: int, rate: float = 0.25, scale: float = 1.0,
    special: float | None = None, size: float = 1.0, repeat: int = 2,
) -> Call:  # fmt: skip
    """Return a call after ``done`` updates; moments have the sign of g, so that they do not cancel."""
    settings = optimizer.settings()
    g = scale * draw(n)
    m = np.abs(scale * draw(n) / 2.0) * np.where(g < 0.0, -1.0, 1.0)
    slots = tuple(m * m if slot in SQUARES else m / 2.0 for slot in optimizer.slot_names)
    if special:
        g[:1] = special
        repeat = 1  # torch's second update from infinity is NaN
    control = control_after(done, rate, settings)
    terms = inf if repeat == UNSEEN_UPDATES else 1
    arguments = size * draw(n), g, slots, control, settings
    # v - mean^2 of centred RMSprop may be a tenth of v.
    return Call(optimizer.name, arguments, terms, condition=2.0, optimizer=optimizer, repeat=repeat)
