"""What ``train.py`` trains: the options' network or a preset's; and how fast a preset got where it aims."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

PRESET_SETS = ("hidden", "activation", "loss", "optimizer", "learning_rate", "schedule", "warmup")


def settle(asked: Any) -> argparse.Namespace:
    """The options, with a preset's number of epochs and size of batches where none were given."""
    from dnn.commands.presets import PRESETS
    from dnn.validation.settings import look_up

    options: argparse.Namespace = asked.options
    if options.preset is not None:
        preset = look_up("preset", options.preset, PRESETS)
        for name in sorted({"epochs", "batch_size"} - asked.given):
            setattr(options, name, getattr(preset, name))
    return options


def build(asked: Any, backend: Any, data: Any, examples: int) -> Any:
    """The compiled model that the options describe."""
    from backends import InputError
    from dnn.commands.presets import PRESETS
    from dnn.layers import Dense, Rescaling
    from dnn.losses import get_loss
    from dnn.optimizers import get_optimizer
    from dnn.optimizers.schedules import over_training
    from dnn.sequential import Sequential
    from dnn.validation.settings import look_up, require_number

    options = asked.options
    updates = options.epochs * -(-examples // options.batch_size)
    if options.preset is not None:
        preset = look_up("preset", options.preset, PRESETS)
        if wrong := sorted(asked.given & set(PRESET_SETS)):
            raise InputError(
                f"--{wrong[0].replace('_', '-')} was given with --preset, which sets it; leave out one"
            )
        layers, optimizer = preset.layers(data.image_shape, data.classes), preset.optimizer(updates)
        loss = preset.loss
    else:
        optimizer = get_optimizer(options.optimizer)
        rate: Any = optimizer.learning_rate if options.learning_rate is None else options.learning_rate
        rate = require_number("learning_rate", rate, 0.0)
        schedule = over_training(options.schedule, rate, updates, options.warmup)
        optimizer = replace(optimizer, learning_rate=schedule)
        hidden = [Dense(units, options.activation) for units in options.hidden]
        loss = get_loss(options.loss)
        layers = [Rescaling(1 / 255), *hidden, Dense(data.classes, loss.ending)]
    model = Sequential(layers, input_shape=data.x_train.shape[1:], backend=backend, seed=options.seed)
    model.compile(loss, optimizer)
    return model


def reached(preset: str | None, seconds: Sequence[float], accuracies: Sequence[float]) -> Iterator[str]:
    """For each test accuracy that a preset aims at, when it was first seen: from the epochs' seconds."""
    from dnn.commands.presets import PRESETS

    for aim in PRESETS[preset].aims if preset is not None else ():
        epoch = next((i for i, accuracy in enumerate(accuracies, 1) if accuracy >= aim), None)
        when = "not reached" if epoch is None else f"after {sum(seconds[:epoch]):.1f} s, epoch {epoch}"
        yield f"{100 * aim:.1f} % test accuracy: {when}"


def judged(model: Any, data: Any, held: int) -> dict[str, Any]:
    """By the last ``held`` training images: from which probability on it is sure, and what that is worth."""
    from dnn.commands.calibration import sure_from, sureness

    if not held:
        return {}
    p, y = model.predict(data.x_train[-held:]), data.y_train[-held:]
    least = sure_from(p, y)
    found = {"right": None, "refused": None} if least is None else sureness(p, y, least)
    right = float((p.argmax(axis=1) == y).mean())
    return {"held_out_accuracy": right, "sure_from": least, "sure": found}
