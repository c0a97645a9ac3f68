"""The table of experiments: the lecture's network, and settings with one choice changed.

The lecture (three steps: build a model, define a loss, find the best function) follows Hung-yi Lee's "Hello
world of deep learning", which starts with mean squared error and plain gradient descent and improves one
choice at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from _networks import hidden_layers

from dnn import layers as nn
from dnn.optimizers import SGD, Adam, Optimizer
from dnn.optimizers.schedules import over_training

FULL_BATCH = 0
"""Batch size that means all training examples."""
LECTURE_EPOCHS = 10
"""Epochs of the lecture's training."""
SGD_RATES = (0.1, 0.3, 1.0, 3.0, 10.0)
ADAM_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
DEEP_RATES = (3e-4, 1e-3, 3e-3)


@dataclass(frozen=True)
class Setting:
    """A network and how it is trained. The defaults are those of the lecture."""

    name: str  # for file names and the claims of the pages
    about: str  # short description, the name of a row in the tables
    hidden: tuple[int, ...] = (500, 500)  # units of each hidden layer
    activation: str = "sigmoid"  # as in ``Dense``
    normalised: bool = False  # whether batch normalisation stands before each activation
    initializer: str | None = None  # as in ``Dense``
    scale: float = 1.0  # factor of the initial weights
    dropout: float = 0.0  # rate after each hidden layer
    moved: bool = False  # whether images are shifted by a pixel and rotated by 10 degrees at most
    features: str = ""  # hand-crafted features of ``features.py``; "": pixels
    loss: str = "categorical_crossentropy"  # as in ``compile``
    l2: float = 0.0  # as in ``compile``
    optimizer: str = "adam"  # or "sgd"; "lbfgs": at most ``epochs`` evaluations of the total loss
    rate: float = 1e-3
    schedule: str = "constant"  # name of the learning-rate schedule
    batch: int = 100  # batch size, or FULL_BATCH
    epochs: int = LECTURE_EPOCHS
    examples: int | None = None  # use only the first ones; None: all
    repeats: int = 1  # how often an epoch uses each of them
    stops_early: bool = False  # whether the weights of the epoch with the best held-out accuracy are kept
    varies: str = "rate"  # the field that the search chooses
    tried: tuple[float, ...] = ADAM_RATES  # its values; (): no search
    search_epochs: int = 3
    few_seeds: bool = False  # whether three fifths of the seeds do, as for slow and side experiments

    def layers(self, image_shape: tuple[int, ...], classes: int) -> list[nn.Layer]:
        """Return new layers. The output is the lecture's softmax, also with mean squared error."""
        made: list[nn.Layer] = [] if self.features else [nn.Rescaling(1 / 255)]
        if self.moved:
            moves = nn.RandomRotation(10.0), nn.RandomTranslation(1)
            made += [nn.Reshape(image_shape), *moves, nn.Flatten()]
        made += hidden_layers(self.hidden, self.activation, self.normalised, self.dropout, self.initializer)
        return [*made, nn.Dense(classes, "softmax")]

    def updates(self, examples: int) -> int:
        """Return the number of updates over all epochs; for L-BFGS its maximum.

        Args:
            examples: number of training examples of an epoch.
        """
        return self.epochs * -(-examples // (self.batch or examples))

    def make_optimizer(self, examples: int) -> Optimizer:
        """Return the optimizer. Its learning rate follows the schedule over all updates of the training."""
        rate = over_training(self.schedule, self.rate, self.updates(examples))
        return SGD(rate) if self.optimizer == "sgd" else Adam(rate)

    def seeds(self, total: int) -> range:
        """Return the seeds of its trainings. total: that of --seeds."""
        return range(-(-3 * total // 5) if self.few_seeds else total)

    def with_value(self, value: float) -> "Setting":
        """Return the setting with a value of the field that the search chooses."""
        return replace(self, **{self.varies: value})  # type: ignore[arg-type]


DEPTHS = (1, 2, 5, 10)
WIDTHS = (10, 30, 100, 300)
SIZES = (1000, 3000, 10_000, 30_000)
RATES = (1e-5, 1e-3, 1e-2, 1e-1)
LECTURE = Setting("lecture", "lecture network: sigmoid, cross-entropy, Adam")
NOISY = ("lecture", "relu-adam", "linear")
"""Settings whose networks are tested with noise."""
SQUARED: dict[str, Any] = {"loss": "mean_squared_error"}
DESCENT: dict[str, Any] = {"optimizer": "sgd", "tried": SGD_RATES}


def _deep(name: str, n: int, kind: str, **choices: Any) -> Setting:
    about = f"{n} hidden layer{'s' if n > 1 else ''}, {kind}"
    choices |= {"epochs": 5, "tried": DEEP_RATES, "search_epochs": 2}
    return Setting(name, about, (500,) * n, few_seeds=n == max(DEPTHS), **choices)


def _small(name: str, about: str, **choices: Any) -> Setting:
    """Return a setting with 3000 updates on 1,000 images, in epochs of 60 updates."""
    choices = {"tried": (), "examples": 1000, "repeats": 6, "epochs": 50, "search_epochs": 25, **choices}
    return Setting(name, about, activation="relu", few_seeds=True, **choices)


def _sized(units: int, kind: str) -> list[Setting]:
    """Return settings with 3000 updates on fewer and fewer images."""
    made = []
    for size in (*SIZES, 60_000):
        about = f"{kind} network, {size:,} images"
        setting = _small(f"{kind}-{size}", about, hidden=(units, units), examples=size)
        if size > min(SIZES):
            setting = replace(setting, repeats=60_000 // size, epochs=5)
        made.append(setting)
    return made


_LINEAR = Setting("linear", "no hidden layer: multinomial logistic regression", hidden=())
_SIGMOIDS = {n: _deep(f"depth-{n}-sigmoid", n, "sigmoid") for n in DEPTHS}
_LARGE = _sized(500, "large")
_INITIAL: dict[str, Any] = {
    "hidden": (500,) * 5, "activation": "relu", "epochs": 2, "search_epochs": 1, "tried": DEEP_RATES,
    "few_seeds": True,
}  # fmt: skip

TABLES: Mapping[str, tuple[Setting, ...]] = {
    "steps": (
        Setting("mse-sgd", "mean squared error, gradient descent", **SQUARED, **DESCENT),
        Setting("ce-sgd", "cross-entropy, gradient descent", **DESCENT),
        Setting("relu-sgd", "ReLU, cross-entropy, gradient descent", activation="relu", **DESCENT),
        Setting("mse-adam", "mean squared error, Adam", **SQUARED),
        LECTURE,
        Setting("relu-adam", "ReLU, cross-entropy, Adam", activation="relu"),
        _LINEAR,
        Setting("lbfgs", "cross-entropy, full-batch L-BFGS, 30 passes", optimizer="lbfgs", batch=FULL_BATCH,
                epochs=30, tried=(), few_seeds=True),
    ),
    "rate": (
        *(Setting(f"rate-{rate:g}", f"constant rate {rate:g}", rate=rate, tried=(), epochs=5, few_seeds=True)
          for rate in RATES),
        Setting("rate-falling", "rate that falls linearly to 0", schedule="linear", epochs=5, few_seeds=True),
    ),
    "depth": (
        *_SIGMOIDS.values(),
        *(_deep(f"depth-{n}-relu", n, "ReLU", activation="relu") for n in DEPTHS[:-1]),
    ),
    "normalisation": tuple(
        setting for n in DEPTHS[1:] for setting in (_SIGMOIDS[n], _deep(
            f"depth-{n}-normalised", n, "batch normalisation", normalised=True))
    ),
    "initialisation": (
        Setting("initial-zero", "all weights zero", scale=0.0, **_INITIAL),
        Setting("initial-small", "a tenth of He", initializer="he_uniform", scale=0.1, **_INITIAL),
        Setting("initial-glorot", "Glorot", initializer="glorot_uniform", **_INITIAL),
        Setting("initial-he", "He", initializer="he_uniform", **_INITIAL),
    ),
    "width": (
        *(Setting(f"width-{n}", f"two layers of {n}", (n, n)) for n in WIDTHS),
        replace(LECTURE, about="two layers of 500"),
    ),
    "batch": (
        Setting("batch-20", "batch of 20", batch=20, few_seeds=True),
        replace(LECTURE, about="batch of 100"),
        Setting("batch-1000", "batch of 1000", batch=1000),
    ),
    "overfitting": (*_sized(30, "small"), *_LARGE),
    "cures": (
        replace(_LARGE[0], about="no cure"),
        _small("early-stopping", "early stopping", stops_early=True),
        _small("l2", "L2 penalty", varies="l2", tried=(1e-4, 1e-3, 1e-2)),
        _small("dropout", "dropout", varies="dropout", tried=(0.2, 0.5, 0.8)),
        _small("moved", "shifted and rotated images", moved=True),
        replace(_LARGE[2], about="ten times as many images"),
    ),
    "features": (
        _LINEAR,
        Setting("features-zoning", "zone means, no hidden layer", (), features="zoning"),
        Setting("features-pca", "principal components (PCA), no hidden layer", (), features="pca"),
        Setting("features-hog", "oriented gradients (HOG), no hidden layer", (), features="hog"),
        LECTURE,
    ),
}  # fmt: skip
"""Experiment -> the settings that it compares; each is a table of the pages."""
SETTINGS: Mapping[str, Setting] = {s.name: s for experiment in TABLES.values() for s in experiment}
"""Name -> setting. One that several experiments compare is trained once."""
