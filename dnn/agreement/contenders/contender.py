"""Contender: one implementation of the network behind an interface that all implementations share.

Inputs are host arrays and results are named float64 host arrays, so the levels do not depend on any library.
``ours.py`` implements contenders with a Backend, ``native.py`` with torch.nn and autograd. They yield device
arrays; the classes here check them and copy them to the host.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import cache
from typing import Any

import numpy as np

from backends import Array, Backend, InputError
from dnn.agreement import bounds
from dnn.agreement.calls.call import Call
from dnn.agreement.cases import Case, FitCase
from dnn.layers import Layer
from dnn.parameters import Parameters
from dnn.sequential import Sequential
from dnn.typing import HostArrays

Batches = Iterable[tuple[np.ndarray, np.ndarray]]
Tensors = Iterator[tuple[str, Array]]
"""(name, device array) pairs. Each array is copied to the host before the next one is computed."""
Passes = list[tuple[str, Array, Array]]
"""For each batch (suffix of the tensors' names, x, dy): the suffix is "", " 2", " 3", ..."""


class ArrayMismatch(InputError):
    """A contender's tensor has the wrong library, device, dtype or shape."""


def receive(backend: Backend, tensors: Iterable[tuple[str, Any]]) -> HostArrays:
    """Return (name, device array) pairs as float64 host arrays; each is copied before the next is computed.

    Raises ArrayMismatch: wrong library, device or dtype.
    """
    found: HostArrays = {}
    for name, array in tensors:
        if not backend.owns(array):
            place = f"{backend.name!r} on {backend.device}"
            raise ArrayMismatch(f"{name} is a {type(array).__name__}, expected an array of {place}")
        if array.dtype != backend.dtype:
            raise ArrayMismatch(f"{name} has dtype {array.dtype}, expected {backend.dtype_name}")
        found[name] = np.array(backend.to_host(array), dtype=np.float64)
    return found


def require_shapes(tensors: HostArrays, expected: HostArrays) -> None:
    """Raise ArrayMismatch if a tensor does not have the shape of the expected one."""
    for name, array in tensors.items():
        if name in expected and array.shape != expected[name].shape:
            raise ArrayMismatch(f"{name} has shape {array.shape}, expected {expected[name].shape}")


def build_layer(layer: Layer, shape: tuple[int, ...], backend: Backend) -> Parameters:
    """Build a layer outside a model, and return its parameters, which are 0."""
    layer.build(shape, backend, "layer", needs_dx=not layer.must_precede_trained)
    parameters = Parameters(backend, layer.parameter_shapes())
    layer.attach(parameters.by_name, parameters.gradient_by_name)
    return parameters


class Contender(ABC):
    """One implementation in one dtype, with the Backend that holds its arrays.

    Args:
        name: id, as for ``get_contender``.
        open_backend: dtype -> Backend. The oracle's always returns float64.
    Raises BackendUnavailable: it cannot run here.
    """

    is_partial = False
    """Whether it may leave out tensors that the oracle returns."""

    def __init__(self, name: str, open_backend: Callable[[str], Backend]) -> None:
        self.name = name
        self._open = cache(open_backend)
        self.backend = self._open("float32")

    def in_dtype(self, dtype: str) -> "Contender":
        """Return the same contender in another dtype."""
        other = copy(self)
        other.backend = self._open(dtype)
        return other

    @property
    def unit(self) -> float:
        """Unit roundoff of float32 products: 2^-24, or 2^-10 with TF32."""
        return bounds.UNIT_ROUNDOFFS[self.backend.precision]

    def move(self, *arrays: np.ndarray) -> list[Array]:
        """Copy host arrays to the device, in the backend's dtype."""
        return [self.backend.from_host(a.astype(self.backend.dtype_name)) for a in arrays]

    def run_layer(
        self, layer: Layer, shape: tuple[int, ...], values: HostArrays, batches: Batches
    ) -> HostArrays:
        """Run a new layer's forward and backward on each batch (x, dy) in turn.

        Args:
            layer: not built yet. shape: of one example. values: parameters by short name ("W").

        Returns "y", "dx", "dW", "db", ... of the first batch, "y 2", "dx 2", ... of the second, and so on;
        then "y in evaluation" for the last x, and the layer's buffers.
        """
        parameters = build_layer(layer, shape, self.backend)
        parameters.load({name: v.astype(self.backend.dtype_name) for name, v in values.items()})
        passes = [(f" {i}" if i > 1 else "", *self.move(x, dy)) for i, (x, dy) in enumerate(batches, 1)]
        return receive(self.backend, self.layer_tensors(layer, parameters, passes))

    @abstractmethod
    def layer_tensors(self, layer: Layer, parameters: Parameters, passes: Passes) -> Tensors:
        """Compute the tensors of ``run_layer`` for a built layer."""

    def compute(self, case: Case, x: np.ndarray, y: np.ndarray) -> HostArrays:
        """Build the case's network and return its ``tensors`` for x (B, n_in) and class indices y (B,)."""
        model = case.model(self.backend)
        return receive(self.backend, self.tensors(model, self.move(x)[0], self.backend.from_host(y)))

    @abstractmethod
    def tensors(self, model: Sequential, x: Array, y: Array) -> Tensors:
        """Compute "z NAME" = x W + b of each layer, the "outputs" (inputs of the loss), and for each
        parameter the gradient "d NAME" of the mean loss.
        """

    @abstractmethod
    def train(self, case: Case, batches: Batches) -> HostArrays:
        """Make a training step on each batch (x, y) and return the parameters."""

    @abstractmethod
    def kernel(self, call: Call) -> HostArrays:
        """Make a call on copies of its arrays, floats cast to the dtype, and return the arrays by name."""

    @abstractmethod
    def fit(self, case: FitCase) -> HostArrays:
        """Train by ``fit`` and return the arrays that ``textbook.fit`` describes.

        "planned" is 1 if all updates ran as a plan of the backend, else 0.
        """
