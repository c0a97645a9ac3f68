"""What a contender is: one implementation of the network, behind questions that all can answer.

Everything goes in as host arrays and comes out as float64 host arrays by name, so that the levels know
nothing of libraries. ``ours.py`` answers with a Backend, ``native.py`` with torch.nn and autograd,
``onnx_runtime.py`` with files in ONNX.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np

from backends import Array, Backend
from dnn.agreement import bounds
from dnn.agreement.cases import Case, Data, FitCase
from dnn.agreement.state import Named, State, receive
from dnn.interop.torch.twins import NoTwin
from dnn.layers import Activation, Layer
from dnn.losses import Loss
from dnn.parameters import Parameters

Batches = Sequence[tuple[np.ndarray, np.ndarray]]


class Network(ABC):
    """A case's network inside one contender. It keeps its parameters and its optimizer's state."""

    def __init__(self, owner: "Contender", case: Case) -> None:
        self.owner = owner
        self.case = case
        self.backend = owner.backend
        self.name = owner.name
        self.unit = owner.unit
        self.dtype = self.backend.dtype_name

    def receive(self, tensor: str, array: Array, shape: Sequence[int]) -> np.ndarray:
        """A device array as float64, its library, dtype, device and shape compared first."""
        return receive(self.backend, tensor, array, tuple(shape))

    @abstractmethod
    def load(self, state: State) -> None:
        """Start from these numbers, rounded to the network's dtype."""

    @abstractmethod
    def state(self) -> State:
        """The numbers as they are now."""

    @abstractmethod
    def pre_activations(self, x: np.ndarray) -> Named:
        """z = x W + b of each layer by its name, for x (B, n_in)."""

    @abstractmethod
    def predict(self, x: np.ndarray) -> np.ndarray:
        """What the loss takes: logits or outputs, (B, C)."""

    @abstractmethod
    def gradients(self, x: np.ndarray, y: np.ndarray) -> Named:
        """The mean loss's gradients by parameter name, for x (B, n_in) and y (B,)."""

    @abstractmethod
    def repeat(self, gradients: Named, n: int) -> None:
        """n updates of the optimizer from these gradients, rounded to the network's dtype."""

    @abstractmethod
    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        """One training step: gradients and update, nothing rounded or moved in between."""


def built(
    layer: Layer, shape: tuple[int, ...], backend: Backend, values: Mapping[str, np.ndarray]
) -> Parameters:
    """The parameters of a new layer in no model, which has these values now."""
    layer.build(shape, backend, "layer", first=layer.outermost)
    parameters = Parameters(backend, layer.parameter_shapes())
    layer.attach(parameters.value, parameters.gradient)
    parameters.load({name: v.astype(backend.dtype_name) for name, v in values.items()})
    return parameters


class Contender(ABC):
    """One implementation in one dtype: its id, and the Backend that holds its arrays.

    Args:
        open_backend: returns the Backend for a dtype; the oracle's is float64 for each.
    """

    kinks = True
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

    def in_dtype(self, dtype: str) -> "Contender":
        """Return the same contender in another dtype."""
        if dtype not in self._by_dtype:
            other = copy(self)
            other._dtype = dtype
            vars(other).pop("backend", None)
            self._by_dtype[dtype] = other
        return self._by_dtype[dtype]

    def missing_parts(self) -> list[str]:
        """Return the registered parts that have no counterpart here, such as "loss 'mine'"."""
        return []

    @property
    def unit(self) -> float:
        """Of the rounding in float32 products: 2^-24, or with TF32 2^-10."""
        return bounds.UNITS[self.backend.precision]

    def describe(self) -> dict[str, Any]:
        """Versions and settings, for the report."""
        return self.backend.describe()

    def move(self, *arrays: np.ndarray) -> list[Array]:
        """Host arrays on the device, in the backend's dtype."""
        return [self.backend.from_host(a.astype(self.backend.dtype_name)) for a in arrays]

    def evaluate(self, function: Callable[..., Array], *arrays: np.ndarray) -> np.ndarray:
        """A function of (xp, arrays...) on the device, as float64."""
        with np.errstate(all="ignore"):  # log(-1), exp(1000): special values are the point
            result = function(self.backend.xp, *self.move(*arrays))
            return np.array(self.backend.to_host(result), dtype=np.float64)

    def activation(self, kind: str, z: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """y = f(z) and dz = f'(z) dy, for z and dy (B, n)."""
        found = self.use(Activation(kind), z.shape[1:], {}, [(z, dy)])
        return found["y"], found["dx"]

    @abstractmethod
    def loss(self, loss: str | Loss, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss and its gradient (B, C), for outputs (B, C) and targets (B,) or (B, C)."""

    @abstractmethod
    def use(
        self, layer: Layer, shape: tuple[int, ...], values: Mapping[str, np.ndarray], batches: Batches
    ) -> Named:
        """A new layer's forward and backward for each batch (x, dy) in turn.

        Returns "y", "dx", and "dW", "db", ... by short name of the first batch, "y 2", ... of the second, and
        so on; then "y in evaluation" of the last x, and what the layer keeps between batches.
        """

    def kernel(self, name: str, kind: str | None, *arguments: Any) -> list[np.ndarray]:
        """Every array among a kernel's arguments as it is after a call, (what is host and float32, cast).
        Raises NoTwin: there are no kernels here.
        """
        raise NoTwin(f"{self.name} has no kernels, expected a Backend for {name!r}")

    @abstractmethod
    def fit(self, case: FitCase) -> Named:
        """A whole training: ``textbook.fit`` says what is returned."""

    @abstractmethod
    def open(self, case: Case) -> Network:
        """The case's network with its weights."""

    @abstractmethod
    def accuracy(self, case: Case, train: Data, test: Data, epochs: int, batch_size: int) -> float:
        """The share of right test predictions after so many epochs of fit, in float32."""

    def receive(self, tensor: str, array: Array, shape: Sequence[int]) -> np.ndarray:
        """A device array as float64, its library, dtype, device and shape compared first."""
        return receive(self.backend, tensor, array, tuple(shape))


def open_networks(contenders: Iterable[Contender], case: Case) -> list[Network]:
    """Return the case's network of each contender that has a counterpart of all its parts."""
    networks: list[Network] = []
    for contender in contenders:
        with suppress(NoTwin):
            networks.append(contender.open(case))
    return networks
