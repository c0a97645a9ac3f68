"""Dense: every output unit sees every input.

Symbols: x (B, n_in), W (n_in, n_out), b (n_out,), z = x W + b, y = f(z), and dy, dz, ... for the
gradients of the loss L with respect to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.reference import ACTIVATIONS
from dnn.initializers import INITIALIZERS
from dnn.layers.layer import Array, Layer, Shape
from dnn.names import look_up
from dnn.random import Key


class Dense(Layer):
    """``y = f(x W + b)``.

    Args:
        units: n_out, at least 1.
        activation: f: "linear", "sigmoid", "tanh", "relu" or "softmax".
        initializer: of W, a name in ``dnn.initializers``; None: "he_uniform" for relu, else
            "glorot_uniform". b starts at 0.
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
        if isinstance(units, bool) or not isinstance(units, (int, np.integer)) or units < 1:
            raise InputError(f"units is {units!r}, expected an integer of at least 1")
        look_up("activation", activation, dict.fromkeys(ACTIVATIONS))
        self.units = int(units)
        self.activation = activation  # type: ignore[misc]
        self.initializer = initializer or ("he_uniform" if activation == "relu" else "glorot_uniform")
        look_up("initializer", self.initializer, INITIALIZERS)

    def shape_after(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise InputError(
                f"layer {self.name!r} (Dense) got examples of shape {input_shape}, expected one axis "
                f"(n_in,); reshape the examples to ({int(np.prod(input_shape))},)"
            )
        return (self.units,)

    def bind(self, backend: Backend) -> None:
        self._dense = backend.kernel("dense", self.activation)
        self._dense_backward = backend.kernel("dense_backward", self.activation)
        self._linear = backend.kernel("dense", "linear")
        self._linear_backward = backend.kernel("dense_backward", "linear")

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"W": (self.input_shape[0], self.units), "b": (self.units,)}

    def initial_values(self, key: Key) -> dict[str, np.ndarray]:
        W = INITIALIZERS[self.initializer](key, (self.input_shape[0], self.units))
        return {"W": W, "b": np.zeros(self.units)}

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        assert self._backend is not None
        y = self._backend.zeros((batch, self.units))
        need_dx = training and not self._first
        dx = self._backend.zeros((batch, self.input_shape[0])) if need_dx else None
        return {"y": y, "dx": dx}

    def forward(self, x: Array) -> Array:
        """y = f(x W + b); keeps x and y."""
        keep = self._buffers[x.shape[0]]
        keep.x = x
        self._dense(x, self.value["W"], self.value["b"], keep.y)
        return keep.y

    def backward(self, dy: Array) -> Array | None:
        """From z_ij = sum_k x_ik W_kj + b_j and y = f(z), by the chain rule:

        dz_ij = f'(z_ij) dy_ij,  dW_kj = sum_i x_ik dz_ij  = (x^T dz)_kj,
        db_j  = sum_i dz_ij,     dx_ik = sum_j dz_ij W_kj  = (dz W^T)_ik.
        """
        keep = self._buffers[dy.shape[0]]
        W, dW, db = self.value["W"], self.gradient["W"], self.gradient["b"]
        self._dense_backward(dy, keep.x, keep.y, W, dy, dW, db, keep.dx)
        return keep.dx

    def forward_logits(self, x: Array) -> Array:
        """z = x W + b alone."""
        keep = self._buffers[x.shape[0]]
        keep.x = x
        self._linear(x, self.value["W"], self.value["b"], keep.y)
        return keep.y

    def backward_logits(self, dz: Array) -> Array | None:
        """``backward`` from dL/dz: the activation's derivative is left out."""
        keep = self._buffers[dz.shape[0]]
        W, dW, db = self.value["W"], self.gradient["W"], self.gradient["b"]
        self._linear_backward(dz, keep.x, keep.y, W, dz, dW, db, keep.dx)
        return keep.dx

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "units": self.units,
            "activation": self.activation,
            "initializer": self.initializer,
        }
