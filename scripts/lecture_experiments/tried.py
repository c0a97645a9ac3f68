"""Settings that were compared before the presets elastic, deep and cnn were chosen.

Each is trained on the first five sixths of the training images and judged on the others, so that no test
image is looked at. They are written out here: a preset that changes does not change what was compared.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from backends import Backend
from backends.table import Table
from dnn import layers as nn
from dnn.commands.command_line import say, write_json
from dnn.datasets import Dataset
from dnn.losses import CategoricalCrossentropy
from dnn.optimizers import Adam
from dnn.optimizers.schedules import OneCycle
from dnn.sequential import Sequential
from lecture_experiments.experiments import USUAL
from lecture_experiments.run import kept
from lecture_experiments.tables import Grid, per_cent

HEADINGS = ["settings", "epochs", "right of the images held out"]
SHARE = 6  # one of so many training images is held out
# Strength, degrees, scale and shear of RandomElastic.
_USUAL = (30.0, 10.0, 0.1, 0.15)
_LESS = (22.0, 8.0, 0.08, 0.12)
_MORE = (36.0, 12.0, 0.15, 0.2)
Layers = Callable[[tuple[int, ...], int], list[nn.Layer]]  # of an image's shape and the number of classes


@dataclass(frozen=True)
class Settings:
    """One training: Adam, one cycle of the rate."""

    about: str  # in the table
    layers: Layers
    epochs: int = 30
    highest: float = 4e-3  # rate
    batch: int = 100
    smoothing: float = 0.0  # of labels


@dataclass(frozen=True)
class Judged:
    """What came out."""

    epochs: int
    examples: int  # with those held out
    dataset: str
    seed: int
    accuracy: float  # these two on the images held out
    loss: float  # the one that was trained, also with smoothed labels


def _bent(shape: tuple[int, ...], distortions: Sequence[float], moved: int) -> Iterator[nn.Layer]:
    strength, degrees, scale, shear = distortions
    yield from (nn.Rescaling(1 / 255), nn.Reshape(shape))
    yield nn.RandomElastic(strength, 5.0, degrees=degrees, scale=scale, shear=shear)
    if moved:
        yield nn.RandomTranslation(moved)


def _hidden(layer: nn.Layer, normalised: bool = True, dropout: float = 0.0) -> Iterator[nn.Layer]:
    yield layer
    if normalised:
        yield nn.BatchNormalization()
    yield nn.Activation("relu")
    if dropout:
        yield nn.Dropout(dropout)


def dense(
    *units: int, bent: Sequence[float] = _USUAL, moved: int = 1, normalised: bool = True,
    dropout: float = 0.0,
) -> Layers:  # fmt: skip
    """A plain network on bent images."""

    def layers(image: tuple[int, ...], classes: int) -> list[nn.Layer]:
        hidden = (layer for n in units for layer in _hidden(nn.Dense(n), normalised, dropout))
        return [*_bent(image, bent, moved), nn.Flatten(), *hidden, nn.Dense(classes, "softmax")]

    return layers


def convolutional(
    *filters: tuple[int, int, bool], bent: Sequence[float] = _USUAL, moved: int = 1,
    dropout: float = 0.3,
) -> Layers:  # fmt: skip
    """Convolutions of (filters, size, whether pooling follows) on bent images, and 128 hidden units."""

    def layers(image: tuple[int, ...], classes: int) -> list[nn.Layer]:
        seen: list[nn.Layer] = []
        for n, size, pooled in filters:
            seen += [nn.Conv2D(n, size), *([nn.MaxPooling2D()] if pooled else [])]
            seen += [nn.BatchNormalization(), nn.Activation("relu")]
        after = nn.Flatten(), *_hidden(nn.Dense(128), dropout=dropout), nn.Dense(classes, "softmax")
        return [*_bent((*image, 1), bent, moved), *seen, *after]

    return layers


_TWO = ((32, 5, True), (64, 5, True))
_THREE = ((24, 5, True), (48, 3, False), (64, 3, True))


def _deep(about: str, dropout: float = 0.0, bent: Sequence[float] = _USUAL) -> Settings:
    layers = dense(1500, 1000, 500, bent=bent, dropout=dropout)
    return Settings(f"deep: {about}", layers, epochs=60, batch=250)


TRIED: Table[Settings] = Table("settings", {
    "elastic": Settings("elastic: the preset, but 30 epochs", dense(500, 500)),
    "elastic-smoothed": Settings(
        "elastic: labels smoothed by 0.1, rate up to 0.008", dense(500, 500), highest=8e-3, smoothing=0.1,
    ),
    "elastic-strong": Settings(
        "elastic: strength 36, scaled by 15 %, sheared by 0.2, not moved",
        dense(500, 500, bent=(36.0, 10.0, 0.15, 0.2), moved=0),
    ),
    "elastic-plain": Settings(
        "elastic: no batch normalisation, rate up to 0.002", dense(500, 500, normalised=False), highest=2e-3,
    ),
    "deep": _deep("1500, 1000 and 500 units"),
    "deep-dropout-2": _deep("the same, dropout 0.2", 0.2),
    "deep-strong": _deep("the same, strength 36, 12 degrees, 15 %, 0.2", 0.2, _MORE),
    "deep-plain": _deep("the same, no dropout", bent=_MORE),
    "cnn-two": Settings("cnn: 32 and 64 filters of 5 x 5", convolutional(*_TWO), 20, 3e-3),
    "cnn-two-dropout": Settings(
        "cnn: the same, dropout 0.4, images not moved", convolutional(*_TWO, moved=0, dropout=0.4), 20, 3e-3,
    ),
    "cnn-three": Settings("cnn: 24 of 5 x 5, 48 and 64 of 3 x 3", convolutional(*_THREE), 12, 3e-3),
    "cnn": Settings("cnn: the preset, but 12 epochs", convolutional(*_THREE, bent=_LESS), 12, 3e-3),
})  # fmt: skip


def train(settings: Settings, data: Dataset, backend: Backend, epochs: int, seed: int) -> Judged:
    """Train with these settings for so many epochs, on all but the last training images."""
    held = len(data.x_train) // SHARE
    x = data.x_train[:-held]
    y = data.y_train[:-held]
    updates = max(epochs * -(-len(x) // settings.batch), 6)
    layers = settings.layers(data.image_shape, data.classes)
    model = Sequential(layers, input_shape=x.shape[1:], backend=backend, seed=seed)
    loss = CategoricalCrossentropy(label_smoothing=settings.smoothing)
    model.compile(loss, Adam(OneCycle(settings.highest, updates, 0.3)))
    model.fit(x, y, batch_size=settings.batch, epochs=epochs, verbose=0)
    result = model.evaluate(data.x_train[-held:], data.y_train[-held:])
    return Judged(epochs, len(data.x_train), data.name, seed, result.accuracy, result.loss)


def tried_grid(
    names: Sequence[str], data: Dataset, backend: Backend, epochs: int, seed: int, folder: Path
) -> Grid:
    """Train with these settings, ``epochs`` in place of the usual 10 and others in proportion, but not again
    where the folder has the result; the row of each.
    """
    rows = []
    for name in names:
        settings = TRIED[name]
        path = folder / f"tried-{name}.json"
        passes = max(1, round(settings.epochs * epochs / USUAL))
        same = {"epochs": passes, "examples": len(data.x_train), "dataset": data.name, "seed": seed}
        found = kept(path, Judged, same)
        if found is None:
            say(f"{settings.about} ...")
            found = train(settings, data, backend, passes, seed)
            write_json(path, asdict(found))
        rows.append([settings.about, str(passes), per_cent(found.accuracy, 2)])
    return [HEADINGS, *rows]
