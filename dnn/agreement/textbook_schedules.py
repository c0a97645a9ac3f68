"""Schedules of the learning rate, written out for ``textbook``."""

from math import cos, pi

from dnn.optimizers.schedules import Constant, CosineDecay, LinearDecay, OneCycle, Schedule, StepDecay


def learning_rate(given: float | Schedule, t: int) -> float:
    """Return the learning rate of update t = 0, 1, ...; for the formulas see ``dnn.optimizers.schedules``."""
    if not isinstance(given, Schedule):
        return given
    if t < given.warmup:
        return learning_rate(given, given.warmup) * (t + 1) / (given.warmup + 1)
    t -= given.warmup
    if isinstance(given, Constant):
        return given.rate
    if isinstance(given, StepDecay):
        return given.initial * given.factor ** (min(t, given.steps) // given.every)
    if isinstance(given, OneCycle):
        t = min(t, given.steps - 1)
        top = given.rise * given.steps - 1.0
        first = given.highest / given.div_factor
        rises = t <= top
        share = t / top if rises else (t - top) / (given.steps - 1.0 - top)
        start, end = (first, given.highest) if rises else (given.highest, first / given.final_div_factor)
        return end + (start - end) * cos(pi * share / 2.0) ** 2
    assert isinstance(given, LinearDecay)
    share = min(t / given.steps, 1.0)
    if isinstance(given, CosineDecay):
        share = (1.0 - cos(pi * share)) / 2.0
    return given.initial + (given.final - given.initial) * share
