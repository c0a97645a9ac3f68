"""Learning-rate schedules: tables of the rate of each update, which the device reads without the host.

Every schedule may begin with a warm-up: for ``warmup`` updates the rate rises linearly towards the first rate
of the curve. In torch: SequentialLR of LinearLR(start_factor=1/(warmup + 1), total_iters=warmup) and the
curve, with milestones=[warmup].
A curve goes from ``initial`` to ``final`` (both at least 0) in ``steps`` updates (at least 1).
"""

from dataclasses import KW_ONLY, fields

import numpy as np

from backends import InputError
from backends.reproducible.functions import cos
from backends.table import Table
from dnn.io.notices import warn
from dnn.keras_names import note
from dnn.settings.base import Named
from dnn.settings.checks import (
    Count,
    Fraction,
    Natural,
    NotNegative,
    Positive,
    look_up,
    positive_integer,
    require,
)

__all__ = ["SCHEDULES", "Constant", "CosineDecay", "LinearDecay", "OneCycle", "Schedule", "StepDecay"]

MAX_UPDATES = 10**8  # in a table, which then takes 800 MB


class Schedule(Named):
    """Learning rate of each update, counted from the model's first update; the last rate repeats."""

    _: KW_ONLY
    warmup: Natural = 0

    def __call__(self, update: int) -> float:
        """Return the rate of one update, counted from 0."""
        rates = self.rates()
        return float(rates[min(update, rates.size - 1)])

    def __float__(self) -> float:
        """Raise an error: in Keras the learning rate of an optimizer is always a number."""
        expected = "model.optimizer_state.rate, the current rate, to read and to set, or schedule(update)"
        raise InputError(f"{type(self).__name__} is no number", expected)

    def curve(self) -> np.ndarray:
        """Return the rates after the warm-up: (n,) float64 with n of at least 1."""
        raise NotImplementedError

    def rates(self) -> np.ndarray:
        """Return the rate of update 0, 1, ...: (warmup + n,) float64. Raises InputError: too many updates."""
        updates = self.warmup + getattr(self, "steps", 1)
        if updates > MAX_UPDATES:
            got = f"the schedule {self.name!r} lasts {updates} updates"
            cure = "train fewer epochs, or use a constant rate without warm-up"
            raise InputError(got, f"at most {MAX_UPDATES}", cure)
        curve = self.curve()
        return np.concatenate([curve[0] * np.arange(1, self.warmup + 1) / (self.warmup + 1), curve])


class Constant(Schedule):
    """The constant ``rate``, at least 0; useful with a warm-up.

    >>> Constant(1.0, warmup=3).rates()
    array([0.25, 0.5 , 0.75, 1.  ])
    """

    rate: NotNegative

    name = "constant"
    examples = ({"rate": 0.1},)

    def curve(self) -> np.ndarray:
        return np.asarray([float(self.rate)])


class StepDecay(Schedule):
    """``initial * factor ** (t // every)`` until update ``steps``, then constant; torch's StepLR.

    >>> StepDecay(1.0, steps=4, every=2).rates()
    array([1.  , 1.  , 0.1 , 0.1 , 0.01])
    >>> StepDecay(1.0, steps=4, every=2)(3)
    0.1
    """

    initial: NotNegative
    steps: Count
    every: Count
    factor: Positive = 0.1

    name = "step"
    examples = ({"initial": 0.1, "steps": 5, "every": 2},)

    def curve(self) -> np.ndarray:
        stages = np.arange(self.steps + 1) // self.every
        # np.power depends on the processor; products do not.
        powers = np.cumprod([1.0] + [float(self.factor)] * int(stages[-1]))
        return np.asarray(self.initial * powers[stages])


class LinearDecay(Schedule):
    """A straight line from ``initial`` to ``final`` in ``steps`` updates, then ``final``.

    torch's LinearLR with end_factor=final/initial and total_iters=steps. The last small steps average out
    the noise of single batches. On the lecture's network they gain several tenths of a point of test accuracy
    over a constant rate.

    >>> LinearDecay(1.0, steps=4).rates()
    array([1.  , 0.75, 0.5 , 0.25, 0.  ])
    """

    initial: NotNegative
    steps: Count
    final: NotNegative = 0.0

    name = "linear"
    examples = ({"initial": 0.1, "steps": 5},)

    def curve(self) -> np.ndarray:
        return np.linspace(self.initial, self.final, self.steps + 1)


class CosineDecay(LinearDecay):
    """Half a cosine from ``initial`` to ``final`` in ``steps`` updates, then ``final``.

    final + (initial - final) (1 + cos(pi t / steps)) / 2 (Loshchilov and Hutter 2017, without restarts):
    torch's CosineAnnealingLR with T_max=steps and eta_min=final, up to update ``steps``.

    >>> CosineDecay(1.0, steps=4).rates().round(3)
    array([1.   , 0.854, 0.5  , 0.146, 0.   ])
    """

    name = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0.0 < self.initial < self.final:
            cure = f"for Keras's alpha={self.final:g} write final={self.final * self.initial:g}"
            warn(f"CosineDecay rises from {self.initial:g} to final={self.final:g}; {cure}")
        elif self.final:
            note("cosine.final")

    def curve(self) -> np.ndarray:
        return _cosine(self.initial, self.final, np.linspace(0.0, 1.0, self.steps + 1))


class OneCycle(Schedule):
    """Half a cosine up to ``highest``, then half a cosine down to almost 0, in ``steps`` updates.

    Smith and Topin 2019; torch's OneCycleLR with max_lr=highest, total_steps=steps, pct_start=rise and
    cycle_momentum=False.

    Args:
        steps: updates of the cycle; rise * steps must be above 1.
        rise: share of the cycle in which the rate rises, above 0 and below 1.
        div_factor: the first rate is highest / div_factor.
        final_div_factor: the last rate is the first / final_div_factor.

    >>> OneCycle(1.0, steps=8, rise=0.5).rates().round(3)
    array([0.04 , 0.28 , 0.76 , 1.   , 0.854, 0.5  , 0.146, 0.   ])
    """

    highest: Positive
    steps: Count
    rise: Fraction = 0.3
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4

    name = "one_cycle"
    examples = ({"highest": 0.1, "steps": 9},)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rise * self.steps <= 1.0:
            got = f"rise is {self.rise} of {self.steps} steps"
            raise InputError(
                got, "more than one update with a rising rate", "use more steps or a larger rise"
            )

    def curve(self) -> np.ndarray:
        t = np.arange(self.steps, dtype=np.float64)
        top = self.rise * self.steps - 1.0
        end = self.steps - 1.0  # top and end are where torch's two phases end
        first = self.highest / self.div_factor
        up = _cosine(first, self.highest, t / top)
        down = _cosine(self.highest, first / self.final_div_factor, (t - top) / (end - top))
        return np.where(t <= top, up, down)


def _cosine(start: float, end: float, progress: np.ndarray) -> np.ndarray:
    """Interpolate along half a cosine: ``start`` at progress 0, ``end`` at progress 1."""
    return np.asarray(end + (start - end) * (1.0 + cos(np, np.pi * progress)) / 2.0)


SCHEDULES: Table[type[Schedule]] = Table(
    "schedule", {c.name: c for c in (Constant, StepDecay, LinearDecay, CosineDecay, OneCycle)}
)
"""Every schedule by name."""


def over_training(name: str, rate: float, updates: int, warmup: int = 0) -> Schedule:
    """Return the named schedule for a training of so many updates, warm-up included.

    The curve starts at ``rate``; "one_cycle" rises to it. "step" divides the rate by 10 after each third.

    >>> over_training("linear", 1.0, updates=5, warmup=1).rates()
    array([0.5 , 1.  , 0.75, 0.5 , 0.25, 0.  ])
    """
    schedule = look_up("schedule", name, SCHEDULES)
    rest = positive_integer("updates", updates) - warmup
    require(rest >= 1, "warmup", warmup, f"less than the {updates} updates of the training")
    usual = {
        "rate": rate,
        "initial": rate,
        "highest": rate,
        "steps": rest,
        "every": -(-rest // 3),
    }
    return schedule(**{f.name: usual[f.name] for f in fields(schedule) if f.name in usual}, warmup=warmup)
