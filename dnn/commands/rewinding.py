"""Rewinding: if a training diverges, continue from its last good state with half the learning rate."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from dnn.callbacks import DivergedError, TerminateOnNaN, TrainingCheckpoint
from dnn.distributed import Workers
from dnn.optimizers import Optimizer
from dnn.optimizers.schedules import scale_rate
from dnn.sequential import Sequential
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.training.state import StateError, TrainingState

MAX_HALVINGS = 5


def halve_rate(optimizer: Optimizer, halvings: int) -> Optimizer:
    """Return the optimizer with its learning rate halved ``halvings`` times."""
    return replace(optimizer, learning_rate=scale_rate(optimizer.learning_rate, 0.5**halvings))


def count_halvings(optimizer: Optimizer, state: TrainingState | None) -> int:
    """Return how often the optimizer's rate had been halved when the state was saved.

    Raises StateError: the state has a different optimizer.
    """
    if state is None:
        return 0
    for halvings in range(MAX_HALVINGS + 1):
        if halve_rate(optimizer, halvings).config() == state.facts.get("optimizer"):
            return halvings
    raise StateError("the training state has a different optimizer; resume with the original one")


def fit_with_rewinding(
    model: Sequential, x: Any, y: Any, *, states: TrainingCheckpoint, callbacks: Sequence[Callback] = (),
    resume: TrainingState | None = None, max_halvings: int = MAX_HALVINGS,
    on_rewind: Callable[[DivergedError, TrainingState | None, int], object] = lambda *_: None,
    **options: Any,
) -> History:  # fmt: skip
    """Call ``model.fit``; if the loss becomes NaN or infinite, rewind and continue with half the rate.

    Args:
        model: compiled with the initial learning rate.
        states: saves the training, and holds the states to return to (``rewind_state``). Before the first
            save the training restarts from the beginning.
        resume: a state of this training; its rate may have been halved before.
        max_halvings: limit on the halvings, those before ``resume`` included.
        on_rewind: called with the error, the restored state (None: the start) and the number of halvings.
        callbacks, options: as in ``fit``. Of several workers, the first one saves the states.
    Returns the history of the training.
    Raises DivergedError: the loss is not finite after ``max_halvings`` halvings.
    """
    workers = options.get("workers") or Workers()
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
            if halvings >= max_halvings:
                raise
            halvings += 1
            model.set_optimizer(halve_rate(optimizer, halvings))
            resume = workers.share(partial(states.rewind_state, resume)) or resume
            model.epochs_done = epochs_done  # epochs count from the start of this fit
            on_rewind(error, resume, halvings)
            if resume is None:
                model.parameters.load(start)
            else:
                resume.facts["optimizer"] = model.optimizer.config()
                # This state is saved last. If the training stops before its next save, the resumed run uses
                # the lower rate. A stop before this line repeats the rewind.
                if workers.is_first:
                    states.rewind_to(resume)
    if resume is not None and workers.is_first:
        states.remove_old_states(resume)
    return history
