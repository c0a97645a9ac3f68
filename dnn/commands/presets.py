"""Presets: named recipes for 28 x 28 digits.

They are the lecture's network, and more accurate or faster ones of about its size.
"""

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
    """A recipe: network, loss, optimizer and length of training.

    Attributes:
        layers: (image shape (H, W), number of classes) -> new layers for flat images (H * W,) of pixels in
            [0, 255].
        optimizer: number of updates of the training -> a new optimizer with its schedule.
    """

    about: str  # short description
    layers: Callable[[Shape, int], Sequence[nn.Layer]]
    optimizer: Callable[[int], Optimizer]
    loss: Loss = field(default_factory=CategoricalCrossentropy)
    epochs: int = 10  # the recipe was tuned for these epochs and this batch size
    batch_size: int = 100
    target_accuracies: tuple[float, ...] = ()  # train.py reports when each was reached


def _lecture_layers(image: Shape, classes: int) -> list[nn.Layer]:
    hidden = nn.Dense(500, "sigmoid"), nn.Dense(500, "sigmoid")
    return [nn.Rescaling(1 / 255), *hidden, nn.Dense(classes, "softmax")]


def _normalised_dense(*after: nn.Layer, units: int = 500) -> list[nn.Layer]:
    """Return Dense, batch normalisation and ReLU: normalised inputs allow a high learning rate."""
    return [nn.Dense(units), nn.BatchNormalization(), nn.Activation("relu"), *after]


def _best_layers(image: Shape, classes: int) -> list[nn.Layer]:
    hidden = [*_normalised_dense(nn.Dropout(0.1)), *_normalised_dense(nn.Dropout(0.1))]
    return [nn.Rescaling(1 / 255), *hidden, nn.Dense(classes, "softmax")]


def _augmented_layers(image: Shape, classes: int) -> list[nn.Layer]:
    # Shifted images slow learning down; batch normalisation allows a higher rate, which compensates.
    shifted = nn.Reshape(image), nn.RandomRotation(10.0), nn.RandomTranslation(1), nn.Flatten()
    return [
        nn.Rescaling(1 / 255),
        *shifted,
        *_normalised_dense(),
        *_normalised_dense(),
        nn.Dense(classes, "softmax"),
    ]


def _distortion(shape: Shape, warp: nn.Layer) -> list[nn.Layer]:
    """Return layers that reshape flat images to ``shape``, distort and shift them."""
    return [nn.Rescaling(1 / 255), nn.Reshape(shape), warp, nn.RandomTranslation(1)]


def _elastic_layers(*hidden: int, **warp: Any) -> Callable[[Shape, int], list[nn.Layer]]:
    """Return a ``Preset.layers`` function: RandomElastic with the settings ``warp``, then hidden layers."""

    def layers(image: Shape, classes: int) -> list[nn.Layer]:
        hidden_layers = (layer for units in hidden for layer in _normalised_dense(units=units))
        return [
            *_distortion(image, nn.RandomElastic(**warp)),
            nn.Flatten(),
            *hidden_layers,
            nn.Dense(classes, "softmax"),
        ]

    return layers


def _quick_layers(image: Shape, classes: int) -> list[nn.Layer]:
    shifted = nn.Reshape(image), nn.RandomTranslation(1), nn.Flatten()
    hidden = nn.Dense(500, "relu"), nn.Dense(500, "relu")
    return [nn.Rescaling(1 / 255), *shifted, *hidden, nn.Dense(classes, "softmax")]


def _cnn_layers(image: Shape, classes: int) -> list[nn.Layer]:
    def convolution(filters: int, size: int, *pooling: nn.Layer) -> list[nn.Layer]:
        return [nn.Conv2D(filters, size), *pooling, nn.BatchNormalization(), nn.Activation("relu")]

    convolutions = [
        *convolution(24, 5, nn.MaxPooling2D()),
        *convolution(48, 3),
        *convolution(64, 3, nn.MaxPooling2D()),
    ]
    after = nn.Flatten(), *_normalised_dense(nn.Dropout(0.3), units=128), nn.Dense(classes, "softmax")
    warp = nn.RandomElastic(22.0, 5.0, degrees=8.0, scale=0.08, shear=0.12)
    return [*_distortion((*image, 1), warp), *convolutions, *after]


def _one_cycle(highest: float, rise: float = 0.3) -> Callable[[int], Optimizer]:
    return lambda updates: Adam(OneCycle(highest, max(updates, 6), rise))


PRESETS: Table[Preset] = Table("preset", {
    "lecture": Preset(
        "the lecture's network: sigmoid, Adam with a linearly falling learning rate",
        _lecture_layers, lambda updates: Adam(LinearDecay(3e-3, updates)),
    ),
    "best": Preset(
        "the lecture's sizes: batch normalisation, dropout, label smoothing",
        _best_layers, _one_cycle(1.6e-2), CategoricalCrossentropy(label_smoothing=0.1),
    ),
    "augmented": Preset(
        "the lecture's sizes: batch normalisation, images shifted and rotated",
        _augmented_layers, _one_cycle(4e-3),
    ),
    "elastic": Preset(
        "the lecture's sizes: batch normalisation, elastic distortion, rotation, scaling, shear, 100 epochs",
        _elastic_layers(500, 500, strength=30.0, degrees=10.0, scale=0.1, shear=0.15),
        _one_cycle(4e-3), epochs=100,
    ),
    "deep": Preset(
        "hidden layers of 2000, 1500, 1000 and 500, stronger distortion than elastic, 250 epochs",
        _elastic_layers(2000, 1500, 1000, 500, strength=36.0, degrees=12.0, scale=0.15, shear=0.2),
        _one_cycle(4e-3), epochs=250, batch_size=250,
    ),
    "quick": Preset(
        "the lecture's sizes: ReLU, shifted images, label smoothing, a few seconds of training",
        _quick_layers, _one_cycle(5e-3, rise=0.2), CategoricalCrossentropy(label_smoothing=0.05),
        epochs=3, batch_size=250, target_accuracies=(0.98, 0.985),
    ),
    "cnn": Preset(
        "three convolutions with batch normalisation, weaker distortion than elastic",
        _cnn_layers, _one_cycle(3e-3), epochs=30,
    ),
})  # fmt: skip
