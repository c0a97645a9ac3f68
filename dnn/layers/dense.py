"""Dense: every output depends on every input.

Symbols: x (B, n_in), W (n_in, n_out), b (n_out,), z = x W + b, y = f(z), and dy, dz, ... for the
gradients of the loss L with respect to them.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY
from math import prod

import numpy as np

from backends import Array, Backend
from backends.reference import ACTIVATIONS
from dnn.layers.activated import Activated, ActivationName
from dnn.layers.initializers import INITIALIZERS, initializer_for
from dnn.layers.layer import Shape
from dnn.random import Key
from dnn.validation.settings import Count, Flag, assign, look_up


class Affine(Activated):
    """Base of Dense and convolutions: z is a product with W, plus b.

    Args:
        use_bias: whether to add a bias b, which starts at 0.
        initializer: for W, a name in ``dnn.layers.initializers``. None: "he_uniform" for relu and similar
            activations, else "glorot_uniform".
    """

    _: KW_ONLY
    use_bias: Flag = True
    initializer: str | None = None

    buffers = "y", "dx"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initializer is None:
            assign(self, initializer=initializer_for(self.activation))
        self._draw = look_up("initializer", self.initializer, INITIALIZERS)

    def weight_shape(self) -> Shape:
        """Return the shape of W, (..., n_in, n_out)."""
        raise NotImplementedError

    def parameter_shapes(self) -> dict[str, Shape]:
        shape = self.weight_shape()
        return {"W": shape, "b": shape[-1:]} if self.use_bias else {"W": shape}

    def initial_values(self, key: Key) -> dict[str, np.ndarray]:
        shapes = self.parameter_shapes().items()
        return {n: self._draw(key, shape) if n == "W" else np.zeros(shape) for n, shape in shapes}

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        buffers = super().make_buffers(batch, training)
        # If f' can be computed from y, f overwrites z with y.
        in_place = ACTIVATIONS[self.activation].from_output
        return {**buffers, "z": buffers["y"] if in_place else self.backend.zeros((batch, *self.output_shape))}

    def attach(self, value: Mapping[str, Array], gradient: Mapping[str, Array]) -> None:
        """Store the views; without a bias the kernels get zeros for b and write db to an unused array."""
        super().attach(value, gradient)
        self._W = value["W"]
        self._dW = gradient["W"]
        n = self._W.shape[-1]
        self._b, self._db = (v["b"] if self.use_bias else self.backend.zeros(n) for v in (value, gradient))


def is_sparse(x: Array) -> bool:
    """Whether x is a sparse matrix of SciPy."""
    return hasattr(x, "tocsr")


def is_finite(array: Array) -> bool:
    """Whether all numbers of a NumPy array are finite."""
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


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

    def shape_after(self, input_shape: Shape) -> Shape:
        cure = f"put Flatten() before it, or reshape the examples to ({prod(input_shape)},)"
        self.require_axes(input_shape, f"one axis (n_in,); {cure}", 1)
        return (self.units,)

    def bind(self, backend: Backend) -> None:
        super().bind(backend)
        # An activation with a derivative that needs z is a separate step after the product.
        self._fused = ACTIVATIONS[self.activation].from_output

    def weight_shape(self) -> Shape:
        return (self.input_shape[0], self.units)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = f(x W + b); stores x and y, and z if f' needs it. x may be a matrix of SciPy (CSR)."""
        if not self._fused or is_sparse(x):
            return super().forward(x, training=training)
        buffers = self._buffers[x.shape[0]]
        buffers.x = x
        self.backend.kernels.dense(self.activation, x, self._W, self._b, buffers.y)
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        """Apply the chain rule to z_ij = sum_k x_ik W_kj + b_j and y = f(z):

        dz_ij = f'(z_ij) dy_ij,  dW_kj = sum_i x_ik dz_ij  = (x^T dz)_kj,
        db_j  = sum_i dz_ij,     dx_ik = sum_j dz_ij W_kj  = (dz W^T)_ik.
        """
        if not self._fused or is_sparse(self._buffers[dy.shape[0]].x):
            return super().backward(dy)
        return self._back(self.activation, dy)

    def forward_logits(self, x: Array, *, training: bool = False) -> Array:
        """Return z = x W + b."""
        buffers = self._buffers[x.shape[0]]
        if is_sparse(x) and not is_finite(self._W):
            x = x.toarray()  # 0 times infinity is NaN, which a sparse product would miss
        buffers.x = x
        if is_sparse(x):
            np.add(x @ self._W, self._b, out=buffers.z)
        else:
            self.backend.kernels.dense("linear", x, self._W, self._b, buffers.z)
        return buffers.z

    def backward_logits(self, dz: Array) -> Array | None:
        """Do what ``backward`` does, given dL/dz: without the derivative of the activation."""
        x = self._buffers[dz.shape[0]].x
        if is_sparse(x):  # the first layer, which has no dx
            self._dW[...] = (x if is_finite(dz) else x.toarray()).T @ dz
            np.sum(dz, axis=0, out=self._db)
            return None
        return self._back("linear", dz)

    def _back(self, activation: str, dy: Array) -> Array | None:
        buffers = self._buffers[dy.shape[0]]
        gradients = self._dW, self._db, buffers.dx
        self.backend.kernels.dense_backward(activation, dy, buffers.x, buffers.y, self._W, dy, gradients)
        return buffers.dx
