"""Our contenders: the same Sequential on each backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from backends import Backend, get_backend
from dnn.benchmark.task import Prepared, Task
from dnn.layers import Dense
from dnn.model import Sequential
from dnn.random import permutation, stream_key
from dnn.training import Totals, TrainingStep


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
        backend, batch = model.backend, task.settings.batch
        self.model, self.n, self.epoch = model, len(task.x), 0
        self.updates, self.done = task.updates_an_epoch, task.updates_an_epoch
        self.order = backend.zeros((self.updates, batch), dtype=backend.xp.int64)
        self.totals = Totals(model)
        x, y = backend.from_host(task.x), backend.from_host(task.y)
        self.step = TrainingStep(model, x, y, self.order, self.totals)
        self.take = backend.capture(self.step, unroll)
        self.key = stream_key(task.settings.seed, "shuffle")

    def run(self, n: int) -> None:
        """n updates; waits for their end."""
        backend = self.model.backend
        while n:
            if self.done == self.updates:
                self.epoch, self.done = self.epoch + 1, 0
                order = permutation(backend, self.key, self.epoch, self.n)
                self.order[...] = backend.xp.reshape(order, self.order.shape)
                self.step.seek(0)
                self.totals.clear()
            now = min(n, self.updates - self.done)
            self.take(now)
            n, self.done = n - now, self.done + now
        backend.synchronize()


def train_on(task: Task, backend: Backend) -> Prepared:
    """Our model on this backend, ready to train."""
    model = build(task, backend)

    def probabilities(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return model.predict(x)

    return Prepared(Trainer(model, task).run, probabilities, backend.describe())


def on(name: str) -> Callable[[Task], Prepared]:
    """How the contender of this backend is prepared."""
    return lambda task: train_on(task, get_backend(name))
