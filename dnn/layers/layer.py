"""What a layer is: shapes, named parameters, a forward and a backward over buffers made beforehand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from backends import Backend, InputError
from dnn.random import Key

Array = Any
Shape = tuple[int, ...]  # without the batch axis


class Layer(ABC):
    """One step of a network.

    Life: made by the user; ``build`` by the model, once; ``attach`` to views of the model's flat
    vectors; ``reserve`` for each batch size that will be used; then ``forward`` and ``backward``.
    """

    activation: ClassVar[str] = "linear"
    """What the layer does to its last pre-activation; losses ask for it."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or ""
        self.input_shape: Shape = ()
        self.output_shape: Shape = ()
        self._backend: Backend | None = None
        self._buffers: dict[int, SimpleNamespace] = {}

    # ----- building

    def build(self, input_shape: Shape, backend: Backend, name: str, first: bool) -> None:
        """Fix the shapes and bind the kernels.

        Args:
            input_shape: of one example.
            name: used unless the user gave one.
            first: the first layer of the network computes no input gradient.

        Raises:
            InputError: the layer is in a model already, or the input shape does not fit.
        """
        if self._backend is not None:
            raise InputError(
                f"layer {self.name!r} is in a model already; expected a new layer for each model"
            )
        self.name = self.name or name
        self.input_shape = tuple(input_shape)
        self.output_shape = self.shape_after(self.input_shape)
        self._backend = backend
        self._first = first
        self.bind(backend)

    @abstractmethod
    def shape_after(self, input_shape: Shape) -> Shape:
        """The output's shape for this input's shape.

        Raises:
            InputError: the input does not fit.
        """

    @abstractmethod
    def bind(self, backend: Backend) -> None:
        """Ask the backend for the kernels."""

    def parameter_shapes(self) -> dict[str, Shape]:
        """The trained parameters: short name ("W") -> shape."""
        return {}

    def initial_values(self, key: Key) -> dict[str, np.ndarray]:
        """The parameters' initial values as float64 host arrays, drawn from the stream ``key``."""
        return {}

    def attach(self, value: Mapping[str, Array], gradient: Mapping[str, Array]) -> None:
        """Receive the views of this layer's parameters and gradients, by short name."""
        self.value, self.gradient = dict(value), dict(gradient)

    def reserve(self, batch: int, training: bool) -> None:
        """Make the buffers for batches of this size, as views of larger ones where there are any."""
        have = self._buffers.get(batch)
        if have is not None and (have.training or not training):
            return
        assert self._backend is not None
        for size, larger in self._buffers.items():
            if size > batch and (larger.training or not training):
                views = {k: v if v is None else v[:batch, ...] for k, v in larger.arrays.items()}
                break
        else:
            views = self.make_buffers(batch, training)
        self._buffers[batch] = SimpleNamespace(arrays=views, training=training, **views)

    @abstractmethod
    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        """Arrays whose first axis is the batch, by name; those for backward only when training."""

    # ----- running

    @abstractmethod
    def forward(self, x: Array) -> Array:
        """y for x (batch, *input_shape); keeps what backward needs. y is valid until the next call."""

    @abstractmethod
    def backward(self, dy: Array) -> Array | None:
        """Given dL/dy of the last forward, write the parameter gradients and return dL/dx.

        dy is overwritten. The first layer of a network returns None.
        """

    def forward_logits(self, x: Array) -> Array:
        """``forward`` without the activation, for a loss that contains it (softmax in cross-entropy)."""
        return self.forward(x)

    def backward_logits(self, dz: Array) -> Array | None:
        """``backward`` from the gradient with respect to what ``forward_logits`` returned."""
        return self.backward(dz)

    # ----- saying what it is

    def config(self) -> dict[str, Any]:
        """The arguments that make this layer again, as JSON values."""
        return {"name": self.name}
