"""Recipes for 28 x 28 digits by name: the lecture's network, and better or quicker ones of about its size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

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


def _normalised(*after: nn.Layer, units: int = 500) -> list[nn.Layer]:
    """Units at whatever scale their inputs have: so a high learning rate works."""
    return [nn.Dense(units), nn.BatchNormalization(), nn.Activation("relu"), *after]


def _best(image: Shape, classes: int) -> list[nn.Layer]:
    hidden = [*_normalised(nn.Dropout(0.1)), *_normalised(nn.Dropout(0.1))]
    return [nn.Rescaling(1 / 255), *hidden, nn.Dense(classes, "softmax")]


def _augmented(image: Shape, classes: int) -> list[nn.Layer]:
    # Moved images are learned more slowly; batch normalisation allows a higher rate, which makes up for it.
    moved = nn.Reshape(image), nn.RandomRotation(10.0), nn.RandomTranslation(1), nn.Flatten()
    return [nn.Rescaling(1 / 255), *moved, *_normalised(), *_normalised(), nn.Dense(classes, "softmax")]


def _bent(shape: Shape, bent: nn.Layer) -> list[nn.Layer]:
    """Images of this shape, distorted and moved."""
    return [nn.Rescaling(1 / 255), nn.Reshape(shape), bent, nn.RandomTranslation(1)]


def _elastic(*hidden: int, **bent: Any) -> Callable[[Shape, int], list[nn.Layer]]:
    """Hidden layers of so many units, for images that ``RandomElastic`` bends with these settings."""

    def layers(image: Shape, classes: int) -> list[nn.Layer]:
        made = (layer for units in hidden for layer in _normalised(units=units))
        return [*_bent(image, nn.RandomElastic(**bent)), nn.Flatten(), *made, nn.Dense(classes, "softmax")]

    return layers


def _quick(image: Shape, classes: int) -> list[nn.Layer]:
    moved = nn.Reshape(image), nn.RandomTranslation(1), nn.Flatten()
    hidden = nn.Dense(500, "relu"), nn.Dense(500, "relu")
    return [nn.Rescaling(1 / 255), *moved, *hidden, nn.Dense(classes, "softmax")]


def _cnn(image: Shape, classes: int) -> list[nn.Layer]:
    def convolution(filters: int, size: int, *pooling: nn.Layer) -> list[nn.Layer]:
        return [nn.Conv2D(filters, size), *pooling, nn.BatchNormalization(), nn.Activation("relu")]

    seen = [
        *convolution(24, 5, nn.MaxPooling2D()),
        *convolution(48, 3),
        *convolution(64, 3, nn.MaxPooling2D()),
    ]
    after = nn.Flatten(), *_normalised(nn.Dropout(0.3), units=128), nn.Dense(classes, "softmax")
    bent = nn.RandomElastic(22.0, 5.0, degrees=8.0, scale=0.08, shear=0.12)
    return [*_bent((*image, 1), bent), *seen, *after]


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
        _elastic(500, 500, strength=30.0, degrees=10.0, scale=0.1, shear=0.15), _cycle(4e-3), epochs=100,
    ),
    "deep": Preset(
        "hidden layers of 2000, 1500, 1000 and 500, images bent more than in elastic, for longer",
        _elastic(2000, 1500, 1000, 500, strength=36.0, degrees=12.0, scale=0.15, shear=0.2),
        _cycle(4e-3), epochs=250, batch_size=250,
    ),
    "quick": Preset(
        "the lecture's sizes: ReLU, images moved, in few seconds",
        _quick, _cycle(6e-3, rise=0.2), epochs=5, batch_size=250, aims=(0.98, 0.985),
    ),
    "cnn": Preset(
        "three convolutions with batch normalisation, on images bent a little less than in elastic",
        _cnn, _cycle(3e-3), epochs=30,
    ),
})  # fmt: skip
