"""The learning rate of an update, and ReduceLROnPlateau, which changes it, written out for ``training``."""

from collections.abc import Sequence
from math import inf
from typing import Any

from dnn.callbacks import ReduceLROnPlateau
from dnn.optimizers.schedules import Schedule
from dnn.training.callback import Callback


def learning_rate(schedule: float | Schedule, t: int) -> float:
    """Return the learning rate of update t = 0, 1, ...: warm-up, the schedule's curve, its last rate."""
    if not isinstance(schedule, Schedule):
        return schedule
    curve = schedule.curve()
    after = t - schedule.warmup
    if after < 0:
        return float(curve[0]) * (t + 1) / (schedule.warmup + 1)
    return float(curve[min(after, len(curve) - 1)])


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
