"""Dense: every output depends on every input.

Symbols: x (B, n_in), W (n_in, n_out), b (n_out,), z = x W + b, y = f(z), and dy, dz, ... for the
gradients of the loss L with respect to them.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from itertools import dropwhile
from math import prod
from typing import Annotated

import numpy as np

from backends import Array
from backends.reference import ACTIVATIONS
from dnn.keras_names import note
from dnn.layers.activated import Activated, ActivationName
from dnn.layers.augmentation import Augmentation
from dnn.layers.initializers import INITIALIZERS
from dnn.layers.layer import Arrays, DeviceArrays, Layer, Shape
from dnn.layers.shaping import Flatten, Rescaling, Reshape
from dnn.random import Key
from dnn.settings.checks import Count, Flag, one_of, or_none


class Affine(Activated):
    """Base of Dense and convolutions: z is a product with W, plus b.

    Args:
        use_bias: whether to add a bias b, which starts at 0.
        initializer: for W, a name in ``dnn.layers.initializers``. None: "he_uniform" for relu and similar
            activations, else "glorot_uniform".
    """

    _: KW_ONLY
    use_bias: Flag = True
    initializer: Annotated[str | None, or_none(one_of(INITIALIZERS))] = None

    buffers = "y", "dx"

    def __post_init__(self) -> None:
        super().__post_init__()
        rectifies = ACTIVATIONS[self.activation].rectifies
        if rectifies and self.initializer is None:
            note("initializer")
        self.complete("initializer", "he_uniform" if rectifies else "glorot_uniform")

    def weight_shape(self) -> Shape:
        """Return the shape of W, (..., n_in, n_out)."""
        raise NotImplementedError

    def parameter_shapes(self) -> dict[str, Shape]:
        shape = self.weight_shape()
        return {"W": shape, "b": shape[-1:]} if self.use_bias else {"W": shape}

    def initial_values(self, key: Key) -> dict[str, np.ndarray]:
        draw = INITIALIZERS[str(self.initializer)]
        shapes = self.parameter_shapes().items()
        return {n: draw(key, shape) if n == "W" else np.zeros(shape) for n, shape in shapes}

    def make_buffers(self, batch_size: int, training: bool) -> Arrays:
        buffers = super().make_buffers(batch_size, training)
        in_place = ACTIVATIONS[self._applied].from_output  # then f overwrites z with y
        return {
            **buffers,
            "z": buffers["y"] if in_place else self.backend.zeros((batch_size, *self.output_shape)),
        }

    def attach(self, value: DeviceArrays, gradient: DeviceArrays) -> None:
        """Store the views; without a bias the kernels get zeros for b and write db to an unused array."""
        super().attach(value, gradient)
        self._W = value["W"]
        self._dW = gradient["W"]
        n = self._W.shape[-1]
        self._b, self._db = (v["b"] if self.use_bias else self.backend.zeros(n) for v in (value, gradient))


class Dense(Affine):
    """``y = f(x W + b)``.

    Args:
        units: n_out, at least 1.
        activation: f, a name in ``backends.reference.ACTIVATIONS``.
        use_bias: whether to add a bias b, which starts at 0.
        initializer: for W, a name in ``dnn.layers.initializers``. None: "he_uniform" for relu and similar
            activations, else "glorot_uniform".

    >>> Dense(3).shape_after((2,))
    (3,)
    """

    units: Count
    activation: ActivationName = "linear"

    examples = ({"units": 24}, {"units": 24, "use_bias": False})
    ends_in_activate = True

    def shape_after(self, input_shape: Shape) -> Shape:
        cure = (
            f"put Flatten() before it, or reshape the examples to ({prod(input_shape)},); input_shape is the "
            "shape of one example, without their number"
        )
        self.require_axes(input_shape, f"one axis (n_in,); {cure}", 1)
        return (self.units,)

    def weight_shape(self) -> Shape:
        return (self.input_shape[0], self.units)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = f(x W + b); stores x, y and z.

        In the first layer x may be a CSR matrix, if the backend's kernels take it.
        """
        buffers = self._buffers(x)
        buffers.x = x
        self.backend.kernels.dense(x, self._W, self._b, buffers.z)
        return self.activate(buffers)

    def backward(self, dy: Array) -> Array | None:
        """Apply the chain rule to z_ij = sum_k x_ik W_kj + b_j and y = f(z):

        dz_ij = f'(z_ij) dy_ij,  dW_kj = sum_i x_ik dz_ij  = (x^T dz)_kj,
        db_j  = sum_i dz_ij,     dx_ik = sum_j dz_ij W_kj  = (dz W^T)_ik.
        """
        buffers = self._buffers(dy)
        self.differentiate(buffers, dy)
        gradients = self._dW, self._db, buffers.dx
        self.backend.kernels.dense_backward(dy, buffers.x, self._W, gradients)
        return buffers.dx


def fastest_on_cpu(layers: Sequence[Layer]) -> str:
    """Return the name of the backend that is the fastest on the CPU for these layers.

    numba compiles whole updates of Dense layers, also behind layers that prepare the images. With batch
    normalisation an update takes 1.5 times as long on numba as on torch, and with convolutions 3 times
    (docs/speed.md).
    """
    rest = dropwhile(lambda layer: isinstance(layer, (Augmentation, Flatten, Rescaling, Reshape)), layers)
    return "numba" if all(type(layer) is Dense for layer in rest) else "torch"
