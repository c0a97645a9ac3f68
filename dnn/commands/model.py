"""Build the model that ``train.py`` trains, from its options or a preset."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backends import Backend
from dnn.commands.presets import PRESETS
from dnn.datasets import Dataset
from dnn.layers import Dense, Flatten, Layer, Rescaling
from dnn.losses import get_loss
from dnn.optimizers import Optimizer, get_optimizer
from dnn.optimizers.schedules import over_training
from dnn.sequential import Sequential
from dnn.settings.checks import look_up, require_number


def build_model(options: Namespace, backend: Backend, data: Dataset, examples: int) -> Sequential:
    """Return the compiled model that the options describe.

    Args:
        examples: number of training examples; it sets the length of the learning rate schedule.
    """
    updates = options.epochs * -(-examples // options.batch_size)
    layers: Sequence[Layer]
    if options.preset is not None:
        preset = look_up("preset", options.preset, PRESETS)  # may come from a config.json
        layers = preset.layers(data.image_shape, data.classes)
        optimizer = preset.optimizer(updates)
        loss = preset.loss
    else:
        optimizer = _optimizer(options, updates)
        loss = get_loss(options.loss)
        hidden = (Dense(units, options.activation) for units in options.hidden)
        layers = [Rescaling(1 / 255), *hidden, Dense(data.classes, loss.output_activation)]
    shape = data.x_train.shape[1:]
    if len(shape) == 3:  # own pictures
        layers = [layers[0], Flatten(), *layers[1:]]
    model = Sequential(layers, input_shape=shape, backend=backend, seed=options.seed)
    model.compile(loss, optimizer)
    return model


def _optimizer(options: Namespace, updates: int) -> Optimizer:
    """Return the optimizer with --learning-rate and a --schedule over ``updates`` updates."""
    optimizer = get_optimizer(options.optimizer)
    rate: Any = optimizer.learning_rate if options.learning_rate is None else options.learning_rate
    require_number("learning_rate", rate, 0.0)
    return replace(optimizer, learning_rate=over_training(options.schedule, rate, updates, options.warmup))
