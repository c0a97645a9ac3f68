"""Recipes for 28 x 28 digits by name: the lecture's network, and better or quicker ones of about its size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backends.table import Table
from dnn import layers as nn
from dnn.losses import CategoricalCrossentropy, Loss
from dnn.optimizers import Adam, Optimizer
from dnn.optimizers.schedules import LinearDecay, OneCycle

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Preset:
    """One recipe.

    ``layers`` makes new ones, for flat images (H W,) of pixels from 0 to 255, from their shape (H, W) and the
    number of classes; ``optimizer`` makes one with its schedule, from the updates of the whole training.
    """

    about: str  # in a few words
    layers: Callable[[Shape, int], Sequence[nn.Layer]]
    optimizer: Callable[[int], Optimizer]
    loss: Loss = field(default_factory=CategoricalCrossentropy)
    epochs: int = 10  # this and the next are what it was chosen for
    batch_size: int = 100
    aims: tuple[float, ...] = ()  # test accuracies to be reached quickly


def _lecture(image: Shape, classes: int) -> list[nn.Layer]:
    hidden = nn.Dense(500, "sigmoid"), nn.Dense(500, "sigmoid")
    return [nn.Rescaling(1 / 255), *hidden, nn.Dense(classes, "softmax")]


def _normalised(*after: nn.Layer) -> list[nn.Layer]:
    """500 units, at whatever scale their inputs have: so a high learning rate works."""
    return [nn.Dense(500), nn.BatchNormalization(), nn.Activation("relu"), *after]


def _best(image: Shape, classes: int) -> list[nn.Layer]:
    hidden = [*_normalised(nn.Dropout(0.1)), *_normalised(nn.Dropout(0.1))]
    return [nn.Rescaling(1 / 255), *hidden, nn.Dense(classes, "softmax")]


def _augmented(image: Shape, classes: int) -> list[nn.Layer]:
    # Moved images are learned more slowly; batch normalisation allows a higher rate, which makes up for it.
    moved = nn.Reshape(image), nn.RandomRotation(10.0), nn.RandomTranslation(1), nn.Flatten()
    return [nn.Rescaling(1 / 255), *moved, *_normalised(), *_normalised(), nn.Dense(classes, "softmax")]


def _elastic(image: Shape, classes: int) -> list[nn.Layer]:
    bent = nn.RandomElastic(30.0, 5.0, degrees=10.0, scale=0.1, shear=0.15), nn.RandomTranslation(1)
    moved = nn.Reshape(image), *bent, nn.Flatten()
    return [nn.Rescaling(1 / 255), *moved, *_normalised(), *_normalised(), nn.Dense(classes, "softmax")]


def _quick(image: Shape, classes: int) -> list[nn.Layer]:
    moved = nn.Reshape(image), nn.RandomTranslation(1), nn.Flatten()
    hidden = nn.Dense(500, "relu"), nn.Dense(500, "relu")
    return [nn.Rescaling(1 / 255), *moved, *hidden, nn.Dense(classes, "softmax")]


def _cnn(image: Shape, classes: int) -> list[nn.Layer]:
    moved = nn.Rescaling(1 / 255), nn.Reshape((*image, 1)), nn.RandomTranslation(1)
    seen = nn.Conv2D(16, 3, "relu"), nn.MaxPooling2D(), nn.Conv2D(32, 3, "relu"), nn.MaxPooling2D()
    after = nn.Flatten(), nn.Dense(128, "relu"), nn.Dropout(0.2)
    return [*moved, *seen, *after, nn.Dense(classes, "softmax")]


def _cycle(highest: float, rise: float = 0.3) -> Callable[[int], Optimizer]:
    return lambda updates: Adam(OneCycle(highest, max(updates, 6), rise))


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
    "elastic": Preset(
        "the lecture's sizes: batch normalisation, images bent, turned, scaled and slanted for long",
        _elastic, _cycle(4e-3), epochs=100,
    ),
    "quick": Preset(
        "the lecture's sizes: ReLU, images moved, in few seconds",
        _quick, _cycle(6e-3, rise=0.2), epochs=5, batch_size=250, aims=(0.98, 0.985),
    ),
    "cnn": Preset("a small convolutional network on moved images", _cnn, _cycle(2e-3)),
})  # fmt: skip
