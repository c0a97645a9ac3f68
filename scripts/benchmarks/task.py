"""The settings and the data of one benchmark run, and the interface of a prepared contender."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from dnn.datasets import Dataset, load_dataset
from dnn.settings.base import Settings
from dnn.settings.checks import Count, Lengths, one_of

Floats = np.ndarray  # float32
DATASETS = ("mnist", "digits", "random")
ACTIVATIONS = ("sigmoid", "relu", "tanh", "gelu")


class Workload(Settings):
    """What all contenders train. Default: the lecture's network, cross-entropy, Adam 1e-3, float32.

    Raises InputError: a setting out of range.
    """

    # A name of ``dnn.datasets``, or "random" (6,000 noise images).
    dataset: Annotated[str, one_of(DATASETS)] = "mnist"
    data_dir: str | None = None  # data folder; None: DNN_DATA_DIR, else ./data
    hidden: Lengths = (500, 500)  # units of each hidden layer; may be empty
    activation: Annotated[str, one_of(ACTIVATIONS)] = "sigmoid"  # of the hidden layers
    batch: Count = 100  # batch size
    # Number of timed updates. The warm-up before is one epoch, or ``updates`` if that is fewer: it brings
    # Adam's moments to the values of a real training, where they decay into denormals.
    updates: Count = 1200
    # Updates per slice. Contenders that train full epochs in one call are timed an epoch at a time.
    slice: int = 100
    pixels: int = 784  # of a noise image
    nonzero: float = 1.0  # share of its pixels
    filters: tuple[int, ...] = ()  # of each convolution 3 x 3; the last one is followed by max-pooling 2 x 2
    batch_norm: bool = False  # before the activation of each hidden layer
    dropout: float = 0.0  # rate, after each hidden layer
    slice_seconds: float = 0.0  # a slice is repeated until this time is over

    @property
    def is_dense(self) -> bool:
        """Whether the network has no other layers than Dense."""
        return not (self.filters or self.batch_norm or self.dropout)

    @property
    def operations(self) -> int:
        """Floating-point operations of the products of one update, for images with ``pixels`` inputs.

        They are the forward pass, the gradients of the weights, and those of the inputs of all layers but
        the first.
        """
        shapes = []  # (rows for each image, inputs, outputs) of the product of each layer
        side, inputs = 28, 1
        for filters in self.filters:
            side -= 2
            shapes.append((side * side, 9 * inputs, filters))
            inputs = filters
        inputs = (side // 2) ** 2 * inputs if self.filters else self.pixels
        for units in (*self.hidden, 10):
            shapes.append((1, inputs, units))
            inputs = units
        products = [rows * n * units for rows, n, units in shapes]
        return 2 * self.batch * (3 * sum(products) - products[0])


_NOISE = Workload("random", activation="relu", updates=240, slice_seconds=0.05)
WORKLOADS: Mapping[str, Workload] = {
    "784-500-500-10, batch 100, 19 % nonzero": replace(_NOISE, nonzero=0.19),
    "the same, no zeros": _NOISE,
    "20-64-64-10, batch 32": replace(_NOISE, pixels=20, hidden=(64, 64), batch=32),
    "784-2048-2048-10, batch 128": replace(_NOISE, hidden=(2048, 2048), batch=128),
    "ten hidden layers of 100": replace(_NOISE, hidden=(100,) * 10),
    "batch 1000": replace(_NOISE, batch=1000),
    "dropout 0.2 twice": replace(_NOISE, dropout=0.2),
    "batch normalisation twice": replace(_NOISE, batch_norm=True),
    "two convolutions, pooling, dense": replace(_NOISE, filters=(8, 16), hidden=(100,)),
}


@dataclass(frozen=True, eq=False)
class Task:
    """Images on the host as uint8, and the settings. n is a multiple of the batch size."""

    settings: Workload
    x: np.ndarray  # (n, n_in) uint8
    y: np.ndarray  # (n,) int64
    x_test: np.ndarray  # (n_test, n_in) uint8
    y_test: np.ndarray  # (n_test,) int64
    device: str | None = None  # training device; None: the default of the contender's library

    @property
    def updates_per_call(self) -> int:
        """Updates per call of a contender that trains full epochs: one epoch, or all updates if fewer."""
        return min(len(self.x) // self.settings.batch, self.settings.updates)

    def order(self, epoch: int) -> np.ndarray:
        """Return a random order of the training examples in batches, (updates, batch)."""
        rng = np.random.default_rng(epoch)
        return rng.permutation(len(self.x)).reshape(-1, self.settings.batch)


@dataclass(frozen=True)
class Prepared:
    """A contender that is ready to train: data in memory, network built."""

    run: Callable[[int], None]  # runs n more updates and waits until they are done
    # Images (rows, n_in) float32 in [0, 1] -> probabilities (rows, 10)
    probabilities: Callable[[Floats], Floats]
    facts: dict[str, Any]  # versions, number of threads
    trains_epochs: bool = False  # trains a full epoch in one call, and each call has an overhead


def scale_pixels(x: np.ndarray) -> Floats:
    """Return uint8 pixels v as float32 v / 255."""
    return x.astype(np.float32) * np.float32(1 / 255)


def load(settings: Workload, device: str | None = None) -> Task:
    """Load the task of the settings for training on ``device``.

    Raises DatasetError: the data cannot be loaded.
    """
    if settings.dataset == "random":
        rng = np.random.default_rng(0)
        x = rng.integers(1, 256, size=(7000, settings.pixels), dtype=np.uint8)
        x[rng.random(x.shape) >= settings.nonzero] = 0
        y = rng.integers(0, 10, size=7000)
        data = Dataset("random", x[:6000], y[:6000], x[6000:], y[6000:], (1, settings.pixels), 10)
    else:
        data = load_dataset(settings.dataset, settings.data_dir)
    n = len(data.x_train) // settings.batch * settings.batch
    return Task(settings, data.x_train[:n], data.y_train[:n], data.x_test, data.y_test, device)
