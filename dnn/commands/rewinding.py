"""Rewinding: where a training diverges, go back to its last good state and go on with half the rate."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dnn.callbacks import DivergedError, TerminateOnNaN, TrainingCheckpoint
from dnn.distributed import Workers
from dnn.optimizers import Optimizer
from dnn.optimizers.schedules import scale_rate
from dnn.sequential import Sequential
from dnn.training.callback import Callback, require_callbacks
from dnn.training.history import History
from dnn.training.state import StateError, TrainingState
from dnn.validation.settings import natural_number, require_kind

MAX_HALVINGS = 5  # times that the rate is halved


def halve_rate(optimizer: Optimizer, halvings: int) -> Optimizer:
    """The optimizer with its rate halved so often."""
    return replace(optimizer, learning_rate=scale_rate(optimizer.learning_rate, 0.5**halvings))


def count_halvings(optimizer: Optimizer, state: TrainingState | None) -> int:
    """How often its rate had been halved when the state was taken; StateError: it has another optimizer."""
    if state is None:
        return 0
    for halvings in range(MAX_HALVINGS + 1):
        if halve_rate(optimizer, halvings).config() == state.facts.get("optimizer"):
            return halvings
    raise StateError("the training state has another optimizer; resume with what it was begun with")


def fit_rewinding(
    model: Sequential, x: Any, y: Any, *, states: TrainingCheckpoint, callbacks: Sequence[Callback] = (),
    resume: TrainingState | None = None, most: int = MAX_HALVINGS,
    on_rewind: Callable[[DivergedError, TrainingState | None, int], object] = lambda *_: None,
    **options: Any,
) -> History:  # fmt: skip
    """``model.fit``, which goes back and halves the rate where the loss becomes NaN or infinite.

    Args:
        model: compiled with the rate of the start.
        states: saves the training, and has the state to go back to; without one it begins anew.
        resume: a state of this training; its rate may have been halved before.
        most: halvings in all.
        on_rewind: is called with the error, the state that is gone back to (None: the start), and how often
            the rate has been halved by now.
        callbacks, options: as of ``fit``; the first of several workers has the states.
    Raises DivergedError: the loss is not finite, and the rate has been halved ``most`` times.
    """
    require_callbacks(callbacks)
    require_kind("model", model, Sequential).goal  # noqa: B018  # refuses one that is not compiled
    require_kind("states", states, TrainingCheckpoint)
    require_kind("resume", resume, TrainingState, None)
    most = natural_number("most", most)
    workers = require_kind("workers", options.get("workers"), Workers, None) or Workers()
    optimizer = model.optimizer
    start = model.parameters.to_host()
    epochs_done = model.epochs_done
    halvings = count_halvings(optimizer, resume)
    model.set_optimizer(halve_rate(optimizer, halvings))
    watchers = (TerminateOnNaN(), *callbacks, states)
    while True:
        try:
            history = model.fit(x, y, callbacks=watchers, resume=resume, **options)
            break
        except DivergedError as error:
            if halvings >= most:
                raise
            halvings += 1
            model.set_optimizer(halve_rate(optimizer, halvings))
            resume = workers.share(states.newest_state) or resume
            model.epochs_done = epochs_done  # epochs are counted from where this fit began
            on_rewind(error, resume, halvings)
            if resume is None:
                model.parameters.load(start)
            else:
                resume.facts["optimizer"] = model.optimizer.config()
                # Last, so that a stop before the next state knows of the lower rate, and one before this
                # comes here again.
                if workers.is_first:
                    states.save(resume)
    if resume is not None and workers.is_first:
        states.tidy(resume)
    return history
