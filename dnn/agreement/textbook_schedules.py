"""Schedules of the learning rate and callbacks that change it, written out for ``textbook``."""

from collections.abc import Sequence
from math import cos, inf, pi
from typing import Any

from dnn.callbacks import LearningRateScheduler, ReduceLROnPlateau
from dnn.optimizers.schedules import Constant, CosineDecay, LinearDecay, OneCycle, Schedule, StepDecay
from dnn.training.callback import Callback


def learning_rate(schedule: float | Schedule, t: int) -> float:
    """Return the learning rate of update t = 0, 1, ...; for the formulas see ``dnn.optimizers.schedules``."""
    if not isinstance(schedule, Schedule):
        return schedule
    if t < schedule.warmup:
        return learning_rate(schedule, schedule.warmup) * (t + 1) / (schedule.warmup + 1)
    t -= schedule.warmup
    if isinstance(schedule, Constant):
        return schedule.rate
    if isinstance(schedule, StepDecay):
        return schedule.initial * schedule.factor ** (min(t, schedule.steps) // schedule.every)
    if isinstance(schedule, OneCycle):
        t = min(t, schedule.steps - 1)
        top = schedule.rise * schedule.steps - 1.0
        first = schedule.highest / schedule.div_factor
        rises = t <= top
        share = t / top if rises else (t - top) / (schedule.steps - 1.0 - top)
        last = first / schedule.final_div_factor
        start, end = (first, schedule.highest) if rises else (schedule.highest, last)
        return end + (start - end) * cos(pi * share / 2.0) ** 2
    assert isinstance(schedule, LinearDecay)
    share = min(t / schedule.steps, 1.0)
    if isinstance(schedule, CosineDecay):
        share = (1.0 - cos(pi * share)) / 2.0
    return schedule.initial + (schedule.final - schedule.initial) * share


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
                better = loss < best - plateau.min_delta
                best = loss if better else best
                waited = 0 if better or resting else waited + 1
                resting = max(resting - 1, 0)
                reduces = waited == plateau.patience
                if reduces:
                    waited, resting = 0, plateau.cooldown
            rate = max(rate * plateau.factor, plateau.min_lr) if reduces else rate
    return rate
