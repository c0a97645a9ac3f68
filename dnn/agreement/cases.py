"""Cases: a network, a loss, an optimizer and initial weights, which every contender builds for itself."""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from backends import Backend, InputError, get_backend
from backends.reference import ACTIVATIONS
from dnn.inputs.arrays import check_examples, check_targets
from dnn.inputs.conversion import as_array
from dnn.layers import BatchNormalization, Dense, Layer, Rescaling
from dnn.layers.initializers import INITIALIZERS
from dnn.losses import LOSSES, Loss, get_loss
from dnn.optimizers import OPTIMIZERS, SGD, Optimizer
from dnn.random import host_normal, host_uniform, stream_key
from dnn.sequential import Sequential
from dnn.settings.checks import positive_integer
from dnn.training.callback import Callback
from dnn.typing import HostArrays

dense = partial(Dense, initializer="zeros")  # the case sets the weights
DRAWS = {kind: lru_cache(draw) for kind, draw in INITIALIZERS.items()}


@lru_cache(maxsize=100)
def normal(seed: int, purpose: str, shape: tuple[int, ...], layer: int = 0) -> np.ndarray:
    """Draw normal float64 numbers from the stream of (seed, purpose, layer). Do not write to them."""
    return host_normal(stream_key(seed, f"agreement {purpose}", layer), shape)


@dataclass(eq=False)
class Data:
    """Labelled examples on the host.

    Raises InputError: another shape, numbers outside of [0, 1], NaN, class numbers out of range.
    """

    x: np.ndarray  # (N, n) in [0, 1], cast to float32; uint8 pixels are divided by 255
    y: np.ndarray  # (N,) class numbers, cast to int64
    classes: int  # C

    def __post_init__(self) -> None:
        host = get_backend("numpy")
        classes = positive_integer("classes", self.classes)
        x = as_array(host, "x", self.x)
        x = np.asarray(check_examples(host, "x", x, x.shape[1:]))
        if x.dtype == np.uint8:
            x = x.astype(np.float32) * np.float32(1.0 / 255.0)
        if x.ndim != 2 or x.min() < 0.0 or x.max() > 1.0:
            got = f"x has shape {x.shape} and numbers from {x.min():g} to {x.max():g}"
            cure = "use x.reshape(len(x), -1), and scale the numbers or give pixels as uint8"
            raise InputError(got, "shape (N, n) and numbers from 0 to 1", cure)
        y = check_targets(host, "y", self.y, len(x), classes)
        if y.ndim != 1:
            raise InputError(f"y has shape {y.shape}", "(N,) class numbers")
        self.x = x
        self.y = y
        self.classes = classes

    def rows(self, seed: int, step: int, n: int) -> np.ndarray:
        """Return n distinct row indices for a step, or all rows if there are fewer."""
        draws = host_uniform(stream_key(seed, "agreement rows"), (len(self.x),), counter=step)
        return np.argsort(draws, kind="stable")[:n]

    def case(
        self, name: str, hidden: tuple[int, ...], optimizer: Optimizer, seed: int,
        activation: str = "relu", loss: str | Loss = "categorical_crossentropy",
    ) -> "Case":  # fmt: skip
        """Return a case for these data."""
        return Case(name, self.x.shape[1], hidden, self.classes, activation, loss, optimizer, seed)


@dataclass(frozen=True)
class Case:
    """A network of hidden Dense layers and C outputs, with its loss and optimizer."""

    name: str  # in records
    n_in: int  # the width of the input
    hidden: tuple[int, ...]  # widths of the hidden layers
    classes: int  # the width of the output
    activation: str  # of the hidden layers
    loss: str | Loss  # a name in LOSSES, or a loss with its settings
    optimizer: Optimizer  # with its settings
    seed: int  # of the weights
    l1: float = 0.0  # factor of the l1 penalty
    l2: float = 0.0  # factor of the l2 penalty

    @property
    def products(self) -> dict[str, tuple[int, ...]]:
        """Layer name -> shape of its W."""
        return {f"dense_{i}": shape for i, shape in enumerate(zip(self.inner, self.outer, strict=True), 1)}

    @property
    def inner(self) -> tuple[int, ...]:
        """Number of terms in one element of each layer's product."""
        return self.n_in, *self.hidden

    @property
    def outer(self) -> tuple[int, ...]:
        """n_out of each layer."""
        return *self.hidden, self.classes

    def layers(self) -> list[Layer]:
        """Return new layers. The last one has the activation that the loss contains, if any."""
        last = get_loss(self.loss).activation or "linear"
        return [*(dense(n, self.activation) for n in self.hidden), dense(self.classes, last)]

    def model(self, backend: Backend) -> Sequential:
        """Return a compiled model on a backend with this case's weights."""
        model = Sequential(self.layers(), input_shape=(self.n_in,), backend=backend, seed=self.seed)
        model.compile(self.loss, self.optimizer, l1=self.l1, l2=self.l2)
        weights = {name: w.astype(backend.dtype_name) for name, w in self.weights().items()}
        model.parameters.load({**model.parameters.to_host(), **weights})
        return model

    def weights(self) -> HostArrays:
        """Return the initial float32 weights by name. Biases are random, so that a lost bias is noticed."""
        values: HostArrays = {}
        draw = DRAWS["he_uniform" if self.activation == "relu" else "glorot_uniform"]
        for i, (name, shape) in enumerate(self.products.items()):
            W = draw(stream_key(self.seed, "agreement weights", i), shape)
            values[f"{name}.W"] = W.astype(np.float32)
            values[f"{name}.b"] = (0.1 * normal(self.seed, "biases", shape[-1:], i)).astype(np.float32)
        return values


class Session(NamedTuple):
    """Settings of one call of ``fit``. A case makes several calls in a row."""

    batch_size: int = 8
    epochs: int = 3
    class_weight: Mapping[int, float] | str | None = None
    frozen: tuple[str, ...] = ()  # names of the layers that are not trained
    shift: int = 0  # the examples are moved on by so many rows
    stop: int = 0  # the training is interrupted after this update of the first epoch, and resumed; 0: not


@dataclass(frozen=True)
class FitCase(Case):
    """Trainings by ``fit``: hidden Dense layers with ``between`` after the first, and Dense(C, softmax).

    With a penalty the last layer and the weights of the first pixel start at 0. So all outputs are equal at
    first, and the l1 penalty sees weights of 0.
    """

    images: np.ndarray = field(kw_only=True)  # (N, n) uint8 or float32, from 0 to 255
    labels: np.ndarray = field(kw_only=True)  # (N,) int64
    sessions: tuple[Session, ...] = (Session(),)
    before: tuple[Layer, ...] = ()  # layers between Rescaling and the first Dense
    between: tuple[Layer, ...] = ()
    sparse: bool = False  # whether x is a sparse matrix
    sample_weight: np.ndarray | None = None  # (N,)
    callbacks: tuple[Callback, ...] = ()  # that change the learning rate
    plain: bool = False  # no Rescaling, and no bias in the first layer, the third, and so on
    dtypes: tuple[str, ...] = ("float64",)

    def layers(self) -> list[Layer]:
        scaling = [] if self.plain else [Rescaling(1 / 255)]
        kinds = *(self.activation for _ in self.hidden), "softmax"
        first, *others = (
            dense(n, kind, use_bias=i % 2 == 1 or not self.plain)
            for i, (n, kind) in enumerate(zip(self.outer, kinds, strict=True))
        )
        return [*scaling, *map(copy, self.before), first, *map(copy, self.between), *others]

    def weights(self) -> HostArrays:
        values = super().weights()
        for i in range(1, len(self.products) + 1, 2) if self.plain else ():
            del values[f"dense_{i}.b"]
        if self.l1:
            values["dense_1.W"][0] = 0.0
            values |= {k: np.zeros_like(w) for k, w in values.items() if k.startswith("dense_2")}
        if "float32" in self.dtypes:
            self._spread_outputs(values)
        if any(isinstance(layer, BatchNormalization) for layer in self.between):
            # With beta = 0 the gradient of the last W sums to 0, so the sign of a weight would be rounding.
            for i, name in enumerate(("gamma", "beta")):
                draw = normal(self.seed, "scales", self.hidden[:1], i)
                values[f"batch_normalization_1.{name}"] = (1.0 - i + 0.2 * draw).astype(np.float32)
        return values

    def _spread_outputs(self, values: HostArrays) -> None:
        """Scale W of each hidden layer to the largest abs(x W), so that every example has an effect.

        If the activation has a kink, abs(x W) < abs(b): units 0, 2, ... are always on, the others always off.
        Rounding cannot switch them.
        """
        f = ACTIVATIONS[self.activation]
        x = self.images * (1.0 if self.plain else 1.0 / 255.0)
        for i in range(1, len(self.hidden) + 1):
            W = values[f"dense_{i}.W"]
            b = values.get(f"dense_{i}.b", np.zeros_like(W[0]))
            W *= (0.6 if f.kink else 3.0) / float(np.abs(x @ W).max(initial=1e-6))
            if f.kink:
                b[...] = np.where(np.arange(b.size) % 2, -1.0, 1.0) * (1.0 + np.abs(b))
            x = f.forward(np, x @ W + b)


def optimizer_variants() -> Iterator[tuple[str, Optimizer]]:
    """Yield every registered optimizer with the settings of its ``examples``, and SGD with gradient
    clipping.
    """
    yield from examples(OPTIMIZERS)
    # Every gradient of the cases exceeds these limits.
    yield "sgd clip_norm", SGD(clip_norm=0.05)
    yield "sgd clip_value", SGD(clip_value=0.001)


def loss_variants() -> Iterator[tuple[str, Loss]]:
    """Return every registered loss with the settings of its ``examples``."""
    return examples(LOSSES)


def examples(registered: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield an instance of each class for each of its ``examples``, with the names of the settings."""
    for name, kind in registered.items():
        for settings in kind.examples:
            yield " ".join([name, *settings]), kind(**settings)
