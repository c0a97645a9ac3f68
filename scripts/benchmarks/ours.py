"""Our contenders: the same Sequential on each backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from backends import Backend, get_backend
from benchmarks.task import Prepared, Task
from dnn.layers import Dense
from dnn.sequential import Sequential
from dnn.training.loop import Batches


def build(task: Task, backend: Backend) -> Sequential:
    """The settings' network, compiled with cross-entropy and Adam, no metrics (the peers count none)."""
    hidden = [Dense(units, task.settings.activation) for units in task.settings.hidden]
    model = Sequential(
        [*hidden, Dense(10, "softmax")],
        input_shape=(task.x.shape[1],),
        backend=backend,
        seed=task.settings.seed,
    )
    model.compile(metrics=())
    return model


class Trainer:
    """``fit`` cut into pieces: n updates at a time, a new order each epoch."""

    def __init__(self, model: Sequential, task: Task, unroll: int = 25) -> None:
        self.backend, self.epoch = model.backend, 0
        examples = model.door.admit(task.x, task.y)
        self.batches = Batches(model, examples, task.settings.batch, unroll=unroll)

    def run(self, n: int) -> None:
        """n updates; waits for their end."""
        batches = self.batches
        while n:
            if batches.done == batches.updates:
                self.epoch += 1
                batches.begin(self.epoch)
            before = batches.done
            batches.run(n)
            n -= batches.done - before
        self.backend.synchronize()


def train_on(task: Task, backend: Backend) -> Prepared:
    """Our model on this backend, ready to train."""
    model = build(task, backend)

    def probabilities(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return model.predict(x)

    return Prepared(Trainer(model, task).run, probabilities, backend.describe())


def on(name: str) -> Callable[[Task], Prepared]:
    """How the contender of this backend is prepared."""
    return lambda task: train_on(task, get_backend(name))
