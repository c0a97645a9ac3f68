"""Dense: every output unit sees every input.

Symbols: x (B, n_in), W (n_in, n_out), b (n_out,), z = x W + b, y = f(z), and dy, dz, ... for the
gradients of the loss L with respect to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.reference import ACTIVATIONS
from dnn.layers.initializers import INITIALIZERS, initializer_for
from dnn.layers.layer import Array, Layer, Shape
from dnn.random import Key
from dnn.validation.settings import look_up, positive_integer


class Dense(Layer):
    """``y = f(x W + b)``.

    Args:
        units: n_out, at least 1.
        activation: f, a name in ``backends.reference.ACTIVATIONS``.
        initializer: of W, a name in ``dnn.layers.initializers``; None: "he_uniform" for relu and its
            kin, else "glorot_uniform". b starts at 0.
        name: in summaries and checkpoints; None: "dense_1", "dense_2", ...

    Raises:
        InputError: units below 1, or an unknown activation or initializer.

    >>> from backends import get_backend
    >>> from dnn import Sequential
    >>> model = Sequential([Dense(3)], input_shape=(2,), backend=get_backend("numpy"))
    >>> model.layers[0].output_shape
    (3,)
    """

    def __init__(
        self,
        units: int,
        activation: str = "linear",
        *,
        initializer: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.units = positive_integer("units", units)
        look_up("activation", activation, dict.fromkeys(ACTIVATIONS))
        self.activation = activation  # type: ignore[misc]
        self.initializer = initializer_for(activation) if initializer is None else initializer
        look_up("initializer", self.initializer, INITIALIZERS)

    def shape_after(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise InputError(
                f"layer {self.name!r} (Dense) got examples of shape {input_shape}, expected one axis "
                f"(n_in,); put Flatten() before it, or reshape the examples to "
                f"({int(np.prod(input_shape))},)"
            )
        return (self.units,)

    def bind(self, backend: Backend) -> None:
        # Kinds whose derivative needs z are a step of their own, after the product.
        self._apart = not ACTIVATIONS[self.activation].from_output
        kind = "linear" if self._apart else self.activation
        self._dense = backend.kernel("dense", kind)
        self._dense_backward = backend.kernel("dense_backward", kind)
        self._linear = backend.kernel("dense", "linear")
        self._linear_backward = backend.kernel("dense_backward", "linear")
        self._activate = backend.kernel("activation", self.activation)
        self._activate_backward = backend.kernel("activation_backward", self.activation)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"W": (self.input_shape[0], self.units), "b": (self.units,)}

    def initial_values(self, key: Key) -> dict[str, np.ndarray]:
        W = INITIALIZERS[self.initializer](key, (self.input_shape[0], self.units))
        return {"W": W, "b": np.zeros(self.units)}

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        y = self.backend.zeros((batch, self.units))
        z = self.backend.zeros((batch, self.units)) if self._apart else None
        need_dx = training and not self._first
        dx = self.backend.zeros((batch, self.input_shape[0])) if need_dx else None
        return {"y": y, "z": z, "dx": dx}

    def forward(self, x: Array, *, training: bool) -> Array:
        """y = f(x W + b); keeps x and y, and z where f' needs it."""
        keep = self._buffers[x.shape[0]]
        keep.x = x
        W, b = self.value["W"], self.value["b"]
        if self._apart:
            self._linear(x, W, b, keep.z)
            self._activate(keep.z, keep.y)
        else:
            self._dense(x, W, b, keep.y)
        return keep.y

    def backward(self, dy: Array) -> Array | None:
        """From z_ij = sum_k x_ik W_kj + b_j and y = f(z), by the chain rule:

        dz_ij = f'(z_ij) dy_ij,  dW_kj = sum_i x_ik dz_ij  = (x^T dz)_kj,
        db_j  = sum_i dz_ij,     dx_ik = sum_j dz_ij W_kj  = (dz W^T)_ik.
        """
        keep = self._buffers[dy.shape[0]]
        W, dW, db = self.value["W"], self.gradient["W"], self.gradient["b"]
        if self._apart:
            self._activate_backward(dy, keep.z, keep.y, dy)
        self._dense_backward(dy, keep.x, keep.y, W, dy, (dW, db, keep.dx))
        return keep.dx

    def forward_logits(self, x: Array, *, training: bool) -> Array:
        """z = x W + b alone."""
        keep = self._buffers[x.shape[0]]
        keep.x = x
        self._linear(x, self.value["W"], self.value["b"], keep.y)
        return keep.y

    def backward_logits(self, dz: Array) -> Array | None:
        """``backward`` from dL/dz: the activation's derivative is left out."""
        keep = self._buffers[dz.shape[0]]
        W, dW, db = self.value["W"], self.gradient["W"], self.gradient["b"]
        self._linear_backward(dz, keep.x, keep.y, W, dz, (dW, db, keep.dx))
        return keep.dx

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "units": self.units,
            "activation": self.activation,
            "initializer": self.initializer,
        }
