"""Case: a network, a goal, an optimizer and data, from which every contender builds its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt, prod

import numpy as np

from backends import Backend
from dnn.layers import AveragePooling2D, Conv2D, Dense, Flatten, Layer, Reshape
from dnn.layers.initializers import INITIALIZERS
from dnn.losses import LOSSES, Loss, get_loss
from dnn.optimizers import OPTIMIZERS, SGD, Optimizer
from dnn.random import host_normal, host_uniform, stream_key
from dnn.sequential import Sequential

Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Data:
    """Labelled examples on the host."""

    x: np.ndarray  # (N, n) float32 in [0, 1], or uint8 (v stands for v / 255)
    y: np.ndarray  # (N,) int64
    classes: int  # C

    def __post_init__(self) -> None:
        if self.x.dtype == np.uint8:
            object.__setattr__(self, "x", self.x.astype(np.float32) * np.float32(1.0 / 255.0))

    def rows(self, seed: int, step: int, n: int) -> np.ndarray:
        """n different row numbers for a step (all rows where there are fewer), keyed by the seed."""
        draws = host_uniform(stream_key(seed, "agreement rows"), (len(self.x),), step=step)
        return np.argsort(draws, kind="stable")[:n]

    def case(
        self, name: str, hidden: tuple[int, ...], optimizer: Optimizer, seed: int,
        activation: str = "relu", loss: str | Loss = "categorical_crossentropy",
    ) -> "Case":  # fmt: skip
        """A case of this name, or for "-" of these widths and the name behind it."""
        widths = "-".join(map(str, (self.x.shape[1], *hidden, self.classes)))
        label = f"{widths} {name[1:]}" if name.startswith("-") else name
        return Case(label, self.x.shape[1], hidden, self.classes, activation, loss, optimizer, seed)


@dataclass(frozen=True)
class Case:
    """Hidden Dense layers of one activation, then C outputs as the loss wants them."""

    name: str  # in records
    n_in: int  # the width of the input
    hidden: tuple[int, ...]  # widths of the hidden layers
    classes: int  # the width of the output
    activation: str  # of the hidden layers
    loss: str | Loss  # a name in LOSSES, or a loss with its settings
    optimizer: Optimizer  # with its settings
    seed: int  # of the weights

    @property
    def products(self) -> dict[str, tuple[int, ...]]:
        """Shape of W for each layer that has one, by its name."""
        widths = pairwise((self.n_in, *self.hidden, self.classes))
        return {f"dense_{i}": shape for i, shape in enumerate(widths, 1)}

    @property
    def inner(self) -> tuple[int, ...]:
        """Numbers in a sum of each layer's product."""
        return tuple(prod(shape[:-1]) for shape in self.products.values())

    @property
    def outer(self) -> tuple[int, ...]:
        """n_out of each layer."""
        return tuple(shape[-1] for shape in self.products.values())

    def layers(self) -> list[Layer]:
        """New layers; the last one has the activation that the loss contains, if any."""
        last = get_loss(self.loss).activation or "linear"
        return [*(Dense(n, self.activation) for n in self.hidden), Dense(self.classes, last)]

    @property
    def places(self) -> tuple[int, ...]:
        """How often each layer's W is used in one example: its gradient is a sum over them."""
        return (1,) * len(self.products)

    def model(self, backend: Backend) -> Sequential:
        """A compiled model on a backend, with this case's weights."""
        model = Sequential(self.layers(), input_shape=(self.n_in,), backend=backend, seed=self.seed)
        model.compile(self.loss, self.optimizer)
        model.parameters.load({name: w.astype(backend.dtype_name) for name, w in self.weights().items()})
        return model

    def weights(self) -> Weights:
        """Float32 numbers by name; the biases too are random, or a lost bias would go unseen."""
        values: Weights = {}
        initializer = INITIALIZERS["he_uniform" if self.activation == "relu" else "glorot_uniform"]
        for i, (name, shape) in enumerate(self.products.items()):
            key = stream_key(self.seed, "agreement weights", i)
            bias = 0.1 * host_normal(stream_key(self.seed, "agreement biases", i), shape[-1:])
            values[f"{name}.W"] = initializer(key, shape).astype(np.float32)
            values[f"{name}.b"] = bias.astype(np.float32)
        return values


@dataclass(frozen=True)
class ImageCase(Case):
    """Square grey images: Conv2D of 3 x 3 pixels, the mean of 2 x 2, then C outputs.

    ``hidden`` has one number, of filters. The mean and no maximum, since that has a kink where two pixels
    are equal.
    """

    @property
    def side(self) -> int:
        """Pixels along one side."""
        return isqrt(self.n_in)

    @property
    def places(self) -> tuple[int, ...]:
        return ((self.side - 2) ** 2, 1)

    @property
    def products(self) -> dict[str, tuple[int, ...]]:
        flat = ((self.side - 2) // 2) ** 2 * self.hidden[0]
        return {"conv2d_1": (3, 3, 1, self.hidden[0]), "dense_1": (flat, self.classes)}

    def layers(self) -> list[Layer]:
        return [
            Reshape((self.side, self.side, 1)),
            Conv2D(self.hidden[0], 3, self.activation),
            AveragePooling2D(),
            Flatten(),
            Dense(self.classes, get_loss(self.loss).activation or "linear"),
        ]


def optimizer_variants() -> Iterator[tuple[str, Optimizer]]:
    """Every optimizer that exists, as its examples say; and clipping, which comes before any, with one."""
    for name, optimizer_class in OPTIMIZERS.items():
        first, *others = optimizer_class.examples
        yield name, optimizer_class(**first)
        yield from ((f"{name} {list(settings)[-1]}", optimizer_class(**settings)) for settings in others)
    # Limits that every gradient of the cases here exceeds.
    yield "sgd clip_norm", SGD(clip_norm=0.05)
    yield "sgd clip_value", SGD(clip_value=0.001)


def loss_variants() -> Iterator[tuple[str, Loss]]:
    """Every loss that exists, as its examples say."""
    for name, loss_class in LOSSES.items():
        for settings in loss_class.examples:
            yield " ".join([name, *settings]), loss_class(**settings)
