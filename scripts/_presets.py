"""Recipes for 28 x 28 digits by name: the lecture's network, and better ones of about its size.

Beside them ``over_training``: a schedule by its name, over all updates of a training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from backends import InputError
from backends.table import Table
from dnn.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPooling2D,
    RandomRotation,
    RandomTranslation,
    Rescaling,
    Reshape,
)  # fmt: skip
from dnn.losses import CategoricalCrossentropy, Loss
from dnn.optimizers import Adam, Optimizer
from dnn.optimizers.schedules import SCHEDULES, LinearDecay, OneCycle, Schedule
from dnn.validation.settings import look_up, positive_integer

Shape = tuple[int, ...]
HEIGHTS = ("rate", "initial", "highest")  # the setting that says how high a schedule's rates are


@dataclass(frozen=True)
class Preset:
    """One recipe, for batches of 100.

    ``layers`` makes new ones, for flat images (H W,) of pixels from 0 to 255, from their shape (H, W) and the
    number of classes; ``optimizer`` makes one with its schedule, from the updates of the whole training.
    """

    about: str  # in a few words
    layers: Callable[[Shape, int], Sequence[Layer]]
    optimizer: Callable[[int], Optimizer]
    loss: Loss = field(default_factory=CategoricalCrossentropy)


def _lecture(image: Shape, classes: int) -> list[Layer]:
    return [Rescaling(1 / 255), Dense(500, "sigmoid"), Dense(500, "sigmoid"), Dense(classes, "softmax")]


def _normalised(*after: Layer) -> list[Layer]:
    """500 units, at whatever scale their inputs have: so a high learning rate works."""
    return [Dense(500), BatchNormalization(), Activation("relu"), *after]


def _best(image: Shape, classes: int) -> list[Layer]:
    hidden = [*_normalised(Dropout(0.1)), *_normalised(Dropout(0.1))]
    return [Rescaling(1 / 255), *hidden, Dense(classes, "softmax")]


def _augmented(image: Shape, classes: int) -> list[Layer]:
    # Moved images are learned more slowly; batch normalisation allows a higher rate, which makes up for it.
    moved = Rescaling(1 / 255), Reshape(image), RandomRotation(10.0), RandomTranslation(1), Flatten()
    return [*moved, *_normalised(), *_normalised(), Dense(classes, "softmax")]


def _cnn(image: Shape, classes: int) -> list[Layer]:
    moved = Rescaling(1 / 255), Reshape((*image, 1)), RandomTranslation(1)
    seen = Conv2D(16, 3, "relu"), MaxPooling2D(), Conv2D(32, 3, "relu"), MaxPooling2D(), Flatten()
    return [*moved, *seen, Dense(128, "relu"), Dropout(0.2), Dense(classes, "softmax")]


def _cycle(highest: float) -> Callable[[int], Optimizer]:
    return lambda updates: Adam(OneCycle(highest, max(updates, 4)))


PRESETS: Table[Preset] = Table("preset", {
    "lecture": Preset(
        "the lecture's: sigmoid, Adam with a falling rate", _lecture, lambda n: Adam(LinearDecay(3e-3, n))
    ),
    "best": Preset(
        "the lecture's sizes: batch normalisation, dropout, smoothed labels",
        _best, _cycle(1.6e-2), CategoricalCrossentropy(label_smoothing=0.1),
    ),
    "augmented": Preset(
        "the lecture's sizes: batch normalisation, images moved and turned", _augmented, _cycle(4e-3)
    ),
    "cnn": Preset("a small convolutional network on moved images", _cnn, _cycle(2e-3)),
})  # fmt: skip


def over_training(name: str, rate: float, updates: int, warmup: int = 0) -> Schedule:
    """The named schedule over all updates of a training, the warm-up's included: it starts from ``rate``
    (one_cycle: rises to it; step: a tenth after each third).
    """
    schedule = look_up("schedule", name, SCHEDULES)
    rest = positive_integer("updates", updates) - warmup
    if rest < 1:
        raise InputError(f"warmup is {warmup}, expected fewer than the {updates} updates of the training")
    usual = {"steps": rest, "every": -(-rest // 3), "warmup": warmup}
    given: dict[str, Any] = usual | dict.fromkeys(HEIGHTS, rate)
    return schedule(**{f.name: given[f.name] for f in fields(schedule) if f.name in given})
