"""Our contenders: one Sequential on each backend."""

import numpy as np

from backends import Backend, get_backend
from benchmarks.task import Floats, Prepared, Task
from dnn.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPooling2D,
    Rescaling,
    Reshape,
)
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
    for units in settings.hidden:
        if settings.batch_norm:
            layers += [Dense(units), BatchNormalization(), Activation(settings.activation)]
        else:
            layers.append(Dense(units, settings.activation))
        if settings.dropout:
            layers.append(Dropout(settings.dropout))
    layers.append(Dense(10, "softmax"))
    model = Sequential(layers, input_shape=task.x.shape[1:], backend=backend)
    model.compile(metrics=())
    return model


class Trainer:
    """``fit`` in pieces of n updates, with a new order of the examples in each epoch."""

    def __init__(self, model: Sequential, task: Task) -> None:
        self.backend = model.backend
        self.epoch = 0
        examples = model.input_pipeline.check(task.x, task.y)
        self.batches = Batches(model, examples, task.settings.batch)

    def run(self, n: int) -> None:
        """Run n updates and wait until they are done."""
        batches = self.batches
        while n:
            if batches.done == batches.updates:
                self.epoch += 1
                batches.begin(self.epoch)
            before = batches.done
            batches.run(n)
            n -= batches.done - before
        self.backend.synchronize()


def prepare(task: Task, name: str, graphs: bool = False) -> Prepared:
    """Prepare our network on the backend ``name``. ``graphs``: replay CUDA graphs."""
    backend = get_backend(name, task.device, graphs=graphs)
    model = build(task, backend)

    def probabilities(x: Floats) -> Floats:
        return model.predict(x * np.float32(255))

    return Prepared(Trainer(model, task).run, probabilities, backend.describe())
