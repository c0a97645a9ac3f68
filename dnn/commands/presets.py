"""Presets: named recipes for 28 x 28 digits.

They are the lecture's network, and more accurate or faster ones of about its size.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

from backends.table import Table
from dnn import layers as nn
from dnn.losses import CategoricalCrossentropy, Loss
from dnn.optimizers import Adam, Optimizer
from dnn.optimizers.schedules import LinearDecay, OneCycle
from dnn.typing import Shape

Layers = list[nn.Layer]


@dataclass(frozen=True)
class Preset:
    """A recipe: network, loss, optimizer and length of training.

    Attributes:
        layers: (image shape (H, W) or (H, W, C), number of classes) -> new layers for flat images with pixels
            in [0, 255].
        optimizer: number of updates of the training -> a new optimizer with its schedule.
    """

    layers: Callable[[Shape, int], Sequence[nn.Layer]]
    optimizer: Callable[[int], Optimizer]
    loss: Loss = field(default_factory=CategoricalCrossentropy)
    epochs: int = 10  # the recipe was tuned for these epochs and this batch size
    batch_size: int = 100
    target_accuracies: tuple[float, ...] = ()  # train.py reports when each was reached


def _normalised_dense(units: int) -> Layers:
    """Return Dense, batch normalisation and ReLU: normalised inputs allow a high learning rate."""
    return [nn.Dense(units), nn.BatchNormalization(), nn.Activation("relu")]


def _dense_layers(
    *units: int, activation: str = "", dropout: float = 0.0, distortions: Sequence[nn.Layer] = ()
) -> Callable[[Shape, int], Layers]:
    """Return a ``Preset.layers`` function for hidden layers of these sizes.

    Args:
        activation: of the hidden layers; "": batch normalisation and ReLU.
        dropout: rate of a Dropout after each hidden layer; 0: none.
        distortions: layers that distort the images; each network gets copies.
    """

    def layers(image: Shape, classes: int) -> Layers:
        network: Layers = [nn.Rescaling(1 / 255)]
        if distortions:
            network += [nn.Reshape(image), *map(copy, distortions), nn.Flatten()]
        for count in units:
            network += [nn.Dense(count, activation)] if activation else _normalised_dense(count)
            if dropout:
                network.append(nn.Dropout(dropout))
        return [*network, nn.Dense(classes, "softmax")]

    return layers


def _cnn_layers(image: Shape, classes: int) -> Layers:
    def convolution(filters: int, size: int, *pooling: nn.Layer) -> Layers:
        return [nn.Conv2D(filters, size), *pooling, nn.BatchNormalization(), nn.Activation("relu")]

    return [
        nn.Rescaling(1 / 255),
        nn.Reshape((*image, 1)[:3]),
        nn.RandomElastic(22.0, 5.0, degrees=8.0, scale=0.08, shear=0.12),
        nn.RandomTranslation(1),
        *convolution(24, 5, nn.MaxPooling2D()),
        *convolution(48, 3),
        *convolution(64, 3, nn.MaxPooling2D()),
        nn.Flatten(),
        *_normalised_dense(128),
        nn.Dropout(0.3),
        nn.Dense(classes, "softmax"),
    ]


def _one_cycle(highest: float, rise: float = 0.3) -> Callable[[int], Optimizer]:
    return lambda updates: Adam(OneCycle(highest, max(updates, 6), rise))


PRESETS: Table[Preset] = Table("preset", {
    # The lecture's network: sigmoid, Adam with a linearly falling learning rate.
    "lecture": Preset(
        _dense_layers(500, 500, activation="sigmoid"), lambda updates: Adam(LinearDecay(3e-3, updates)),
    ),
    # The lecture's sizes: batch normalisation, dropout, label smoothing.
    "best": Preset(
        _dense_layers(500, 500, dropout=0.1), _one_cycle(1.6e-2),
        CategoricalCrossentropy(label_smoothing=0.1),
    ),
    # The lecture's sizes: batch normalisation, images shifted and rotated.
    "augmented": Preset(
        _dense_layers(500, 500, distortions=[nn.RandomRotation(10.0), nn.RandomTranslation(1)]),
        _one_cycle(4e-3),  # shifted images slow learning down; the rate compensates
    ),
    # The lecture's sizes: batch normalisation, elastic distortion, rotation, scaling, shear, 100 epochs.
    "elastic": Preset(
        _dense_layers(500, 500, distortions=[
            nn.RandomElastic(30.0, degrees=10.0, scale=0.1, shear=0.15), nn.RandomTranslation(1),
        ]),
        _one_cycle(4e-3), epochs=100,
    ),
    # Hidden layers of 2000, 1500, 1000 and 500, stronger distortion than elastic, 250 epochs.
    "deep": Preset(
        _dense_layers(2000, 1500, 1000, 500, distortions=[
            nn.RandomElastic(36.0, degrees=12.0, scale=0.15, shear=0.2), nn.RandomTranslation(1),
        ]),
        _one_cycle(4e-3), epochs=250, batch_size=250,
    ),
    # The lecture's sizes: ReLU, shifted images, label smoothing, a few seconds of training.
    "quick": Preset(
        _dense_layers(500, 500, activation="relu", distortions=[nn.RandomTranslation(1)]),
        _one_cycle(5e-3, rise=0.2), CategoricalCrossentropy(label_smoothing=0.05),
        epochs=3, batch_size=250, target_accuracies=(0.98, 0.985),
    ),
    # Three convolutions with batch normalisation, weaker distortion than elastic.
    "cnn": Preset(
        _cnn_layers, _one_cycle(3e-3), epochs=30,
    ),
})  # fmt: skip
