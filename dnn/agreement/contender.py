"""What a contender is: one implementation of the network, behind questions that all can answer.

Everything goes in as host arrays and comes out as float64 host arrays by name, so that the levels know
nothing of libraries. ``ours.py`` answers with a Backend, ``native.py`` with torch.nn and autograd,
``onnx_runtime.py`` with files in ONNX. These three name device arrays; the classes here receive them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from backends import Array, Backend
from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Case, Data, FitCase
from dnn.agreement.state import Named, State, receive
from dnn.interop.torch.twins import NoTwin
from dnn.layers import LAYERS, Layer
from dnn.losses import LOSSES, Loss
from dnn.optimizers import OPTIMIZERS
from dnn.parameters import Parameters

Batches = Sequence[tuple[np.ndarray, np.ndarray]]
Tensors = Iterator[tuple[str, Array]]
"""Device arrays by name. Each is copied to the host before the next one is computed."""
LayerPasses = tuple[Callable[[Array, Array], Tensors], Callable[[Array], Tensors]]
"""Of a layer: (x, dy) -> "y", "dx", "dW", ... in training, and x -> "y in evaluation" and its buffers."""


class Network(ABC):
    """A case's network inside one contender. It keeps its parameters and its optimizer's state."""

    def __init__(self, owner: "Contender", case: Case) -> None:
        self.owner = owner
        self.case = case
        self.backend = owner.backend
        self.name = owner.name
        self.unit = owner.unit
        self.trains = owner.trains
        self.model = case.model(owner.builder)

    def receive(self, named: Mapping[str, Array]) -> Named:
        """Return arrays with the shapes of parameters as float64."""
        shapes = self.model.parameters.shapes
        return {name: receive(self.backend, name, array, shapes[name]) for name, array in named.items()}

    def compute(self, x: np.ndarray, y: np.ndarray) -> Named:
        """Return what ``tensors`` names, for x (B, n_in) and class numbers y (B,)."""
        shapes = {f"d {name}": shape for name, shape in self.model.parameters.shapes.items()}
        for layer in self.model.layers:
            shapes[f"z {layer.name}"] = (len(x), *layer.output_shape)
        shapes["outputs"] = (len(x), self.case.classes)
        moved = self.owner.move(x)[0], self.backend.from_host(y)
        return {
            name: receive(self.backend, name, array, shapes[name]) for name, array in self.tensors(*moved)
        }

    @abstractmethod
    def tensors(self, x: Array, y: Array) -> Tensors:
        """Compute "z NAME" = x W + b of each layer, the "outputs" that the loss takes, and the gradient
        "d NAME" of the mean loss for each parameter.
        """

    @abstractmethod
    def load(self, state: State) -> None:
        """Start from these numbers, rounded to the network's dtype."""

    @abstractmethod
    def state(self) -> State:
        """The numbers as they are now."""

    @abstractmethod
    def repeat(self, gradients: Named, n: int) -> None:
        """n updates of the optimizer from these gradients, rounded to the network's dtype."""

    @abstractmethod
    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        """One training step: gradients and update, nothing rounded or moved in between."""


def build_layer(
    layer: Layer, shape: tuple[int, ...], backend: Backend, values: Mapping[str, np.ndarray]
) -> Parameters:
    """The parameters of a new layer in no model, which has these values now."""
    layer.build(shape, backend, "layer", first=layer.must_precede_trained)
    parameters = Parameters(backend, layer.parameter_shapes())
    layer.attach(parameters.value, parameters.gradient)
    parameters.load({name: v.astype(backend.dtype_name) for name, v in values.items()})
    return parameters


class Contender(ABC):
    """One implementation in one dtype: its id, and the Backend that holds its arrays.

    Args:
        open_backend: returns the Backend for a dtype; the oracle's is float64 for each.
    """

    matches_kinks = True
    """Whether the gradients at a loss's kinks are the reference's."""
    trains = True
    """Whether it computes gradients and updates; else it is asked at L0 to L2, forward alone."""

    def __init__(self, name: str, open_backend: Callable[[str], Backend]) -> None:
        self.name = name
        self._open = open_backend
        self._dtype = "float32"
        self._by_dtype = {self._dtype: self}

    @cached_property
    def backend(self) -> Backend:
        """Raises BackendUnavailable: it cannot run here."""
        return self._open(self._dtype)

    @property
    def builder(self) -> Backend:
        """The backend on which models are built."""
        return self.backend

    def in_dtype(self, dtype: str) -> "Contender":
        """Return the same contender in another dtype."""
        if dtype not in self._by_dtype:
            other = copy(self)
            other._dtype = dtype
            vars(other).pop("backend", None)
            self._by_dtype[dtype] = other
        return self._by_dtype[dtype]

    def counterparts(self) -> Mapping[str, Collection[str]]:
        """Return the names of what it has, by sort ("layer", "loss", ...), where that may not be all."""
        return {}

    def missing_parts(self) -> list[str]:
        """Return the registered parts that have no counterpart here, such as "loss 'mine'"."""
        known: Mapping[str, Collection[str]] = {
            "activation": ACTIVATIONS, "layer": LAYERS, "loss": LOSSES, "optimizer": OPTIMIZERS,
        }  # fmt: skip
        return [
            f"{sort} {name!r}"
            for sort, twins in self.counterparts().items()
            for name in known[sort]
            if name not in twins
        ]

    @property
    def unit(self) -> float:
        """Of the rounding in float32 products: 2^-24, or with TF32 2^-10."""
        return bounds.UNIT_ROUNDOFFS[self.backend.precision]

    def describe(self) -> dict[str, Any]:
        """Versions and settings, for the report."""
        return self.backend.describe()

    def move(self, *arrays: np.ndarray) -> list[Array]:
        """Host arrays on the device, in the backend's dtype."""
        return [self.backend.from_host(a.astype(self.backend.dtype_name)) for a in arrays]

    def use(
        self, layer: Layer, shape: tuple[int, ...], values: Mapping[str, np.ndarray], batches: Batches
    ) -> Named:
        """A new layer's forward and backward for each batch (x, dy) in turn.

        Returns "y", "dx", and "dW", "db", ... by short name of the first batch, "y 2", ... of the second, and
        so on; then "y in evaluation" of the last x, and what the layer keeps between batches.
        """
        parameters = build_layer(layer, shape, self.builder, values)
        train, evaluate = self.open_layer(layer, parameters)
        shapes = {f"d{name}": shape for name, shape in parameters.shapes.items()}
        shapes |= {name: tuple(array.shape) for name, array in layer.state.items()}
        found: Named = {}

        def add(tensors: Tensors, x: np.ndarray, mark: str = "") -> None:
            sizes = {"dx": x.shape, **dict.fromkeys(("y", "y in evaluation"), (len(x), *layer.output_shape))}
            for name, array in tensors:
                found[name + mark] = receive(self.backend, name, array, {**shapes, **sizes}[name])

        for i, (x, dy) in enumerate(batches):
            add(train(*self.move(x, dy)), x, f" {i + 1}" if i else "")
        add(evaluate(*self.move(x)), x)
        return found

    @abstractmethod
    def open_layer(self, layer: Layer, parameters: Parameters) -> LayerPasses:
        """Return what computes a built layer."""

    @abstractmethod
    def open(self, case: Case) -> Network:
        """The case's network with its weights."""

    def refuse(self) -> NoReturn:
        """Raise NoTwin: nothing here computes this."""
        raise NoTwin(f"{self.name} computes {'no such thing' if self.trains else 'forward alone'}")

    def loss(self, loss: str | Loss, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss and its gradient (B, C), for outputs (B, C) and targets (B,) or (B, C)."""
        self.refuse()

    def kernel(self, name: str, kind: str | None, *arguments: Any) -> list[np.ndarray]:
        """Every array among a kernel's arguments as it is after a call, (what is host and float32, cast)."""
        self.refuse()

    def fit(self, case: FitCase) -> Named:
        """A whole training: ``textbook.fit`` says what is returned."""
        self.refuse()

    def accuracy(self, case: Case, train: Data, test: Data, epochs: int, batch_size: int) -> float:
        """The share of right test predictions after so many epochs of fit, in float32."""
        self.refuse()
