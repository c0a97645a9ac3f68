"""Our contenders: one Sequential on each backend."""

from collections.abc import Callable
from itertools import count

import numpy as np
from _networks import hidden_layers

from backends import Backend, get_backend
from benchmarks.task import Floats, Prepared, Task
from dnn.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D, Rescaling, Reshape
from dnn.sequential import Sequential
from dnn.training.loop import Batches


def build(task: Task, backend: Backend, scaled: bool = True) -> Sequential:
    """Return the settings' network, compiled with cross-entropy and Adam. Like the peers it has no metrics.

    Args:
        scaled: True: the input is uint8 images as in the files; False: numbers in [0, 1], as for the peers.
    """
    settings = task.settings
    layers: list[Layer] = [Rescaling(1 / 255)] if scaled else []
    if settings.filters:
        convolutions = [Conv2D(n, 3, settings.activation) for n in settings.filters]
        layers += [Reshape((28, 28, 1)), *convolutions, MaxPooling2D(), Flatten()]
    layers += hidden_layers(settings.hidden, settings.activation, settings.batch_norm, settings.dropout)
    layers.append(Dense(10, "softmax"))
    model = Sequential(layers, input_shape=task.x.shape[1:], backend=backend)
    model.compile(metrics=())
    return model


def make_run(model: Sequential, task: Task) -> Callable[[int], None]:
    """Return ``fit`` in pieces: it runs n updates and waits until they are done.

    Each epoch has a new order of the examples.
    """
    epochs = count(1)
    batches = Batches(model, model.input_pipeline.check(task.x, task.y), task.settings.batch)

    def run(n: int) -> None:
        while n:
            if batches.done == batches.updates:
                batches.begin(next(epochs))
            before = batches.done
            batches.run(n)
            n -= batches.done - before
        model.backend.synchronize()

    return run


def prepare(task: Task, name: str, graphs: bool = False) -> Prepared:
    """Prepare our network on the backend ``name``. ``graphs``: replay CUDA graphs."""
    backend = get_backend(name, task.device, graphs=graphs)
    model = build(task, backend)

    def probabilities(x: Floats) -> Floats:
        return model.predict(x * np.float32(255))

    return Prepared(make_run(model, task), probabilities, backend.describe())
