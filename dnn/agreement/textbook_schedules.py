"""Schedules of the learning rate and callbacks that change it, written out for ``textbook``."""

from collections.abc import Sequence
from math import cos, inf, pi
from typing import Any

from dnn.callbacks import LearningRateScheduler, ReduceLROnPlateau
from dnn.optimizers.schedules import Constant, CosineDecay, LinearDecay, OneCycle, Schedule, StepDecay
from dnn.training.callback import Callback


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


def rate_before_epoch(callbacks: Sequence[Callback], rate: Any, epoch: int) -> Any:
    """Return the learning rate or the schedule of an epoch, counted from 1."""
    for callback in callbacks:
        if isinstance(callback, LearningRateScheduler):
            rate = callback.schedule(epoch - 1, rate)
    return rate


def rate_after_epoch(callbacks: Sequence[Callback], rate: Any, losses: Sequence[float]) -> Any:
    """Return the rate after epochs with these losses in validation; the last one may have reduced it."""
    for plateau in callbacks:
        if isinstance(plateau, ReduceLROnPlateau):
            best, waited, resting = inf, 0, 0
            for loss in losses:
                better = loss < best - plateau.best.min_delta
                best = loss if better else best
                waited = 0 if better or resting else waited + 1
                resting = max(resting - 1, 0)
                reduces = waited == plateau.patience
                if reduces:
                    waited, resting = 0, plateau.cooldown
            rate = max(rate * plateau.factor, plateau.min_lr) if reduces else rate
    return rate
