"""Activations with settings, as layers. With default settings some are also names for ``Activation``."""

from abc import abstractmethod
from math import pi, sqrt
from typing import Annotated, Any

from backends import Array
from backends.reference.activations import ACTIVATIONS, ActivationFunction, elu, leaky_relu
from backends.reference.arithmetic import clip, quotient
from dnn.layers.layer import Layer
from dnn.settings.checks import NotNegative, one_of


class Elementwise(Layer):
    """Base: ``y = f(x)`` and ``dx = f'(x) dy``, element by element."""

    buffers = ("y",)

    @property
    @abstractmethod
    def _function(self) -> ActivationFunction:
        """The functions f and f'."""

    def forward(self, x: Array, *, training: bool = False) -> Array:
        buffers = self._buffers(x)
        buffers.x = x
        buffers.y[...] = self._function.forward(self.backend.xp, x)
        return buffers.y

    def backward(self, dy: Array) -> Array:
        buffers = self._buffers(dy)
        return self._function.backward(self.backend.xp, dy, buffers.x, buffers.y)


class LeakyReLU(Elementwise):
    """y = x for x > 0, else slope x. dx = dy for x > 0, else slope dy, as in torch.nn.LeakyReLU.

    Args:
        slope: finite, at least 0; torch's negative_slope.
    """

    slope: NotNegative = 0.01

    examples = ({}, {"slope": 0.3})

    @property
    def _function(self) -> ActivationFunction:
        return leaky_relu(self.slope)


class ELU(Elementwise):
    """y = x for x > 0, else a (e^x - 1) (Clevert et al. 2016). dx = dy for x > 0, else (y + a) dy.

    Args:
        alpha: a, finite and at least 0.
    """

    alpha: NotNegative = 1.0

    examples = ({}, {"alpha": 0.4})

    @property
    def _function(self) -> ActivationFunction:
        return elu(self.alpha)


class GELU(Elementwise):
    """y = x Phi(x), with the normal cumulative distribution Phi (Hendrycks and Gimpel 2016).

    dx = (Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi)) dy.

    Args:
        approximate: "tanh": the approximation, as in ``Activation("gelu")``. "none": the exact Phi, the
            default of torch and Keras.
    """

    approximate: Annotated[str, one_of(("tanh", "none"))] = "tanh"

    examples = ({}, {"approximate": "none"})

    @property
    def _function(self) -> ActivationFunction:
        exact = ActivationFunction(_gelu, _gelu_backward)
        return exact if self.approximate == "none" else ACTIVATIONS["gelu"]


MAX_ABS_INPUT = 40.0  # e^(-x^2 / 2) is 0 in float64 from here on
# (1 + 2 a) e^(a^2) erfc(a) as a polynomial in (a - 4) / (a + 4), lowest power first, for all a >= 0: the form
# of Shepherd and Laframboise (1981), interpolated with 60 digits at 24 Chebyshev nodes. Its error is 4e-17.
ERFC_COEFFICIENTS = (
    1.2329951186255526, -0.1396211168405625, 0.015379652102610162, 0.0680970542546862,
    -0.10103906603585294, 0.09373283499865172, -0.06633036582050367, 0.0371675155318432,
    -0.01619773397992426, 0.005031970032548695, -0.0007577737141838885, -0.00019925700412184815,
    0.0001506231178516207, -2.439811794207995e-05, -1.1225140354449658e-05, 5.707239573693257e-06,
    2.980596055322769e-07, -8.218020654813044e-07, 7.111912428010423e-08, 1.0683442926744586e-07,
    -1.6357383982124768e-08, -1.2544825403855518e-08, 1.5712153638319064e-09, 9.655408225482863e-10,
)  # fmt: skip


def _normal(xp: Any, x: Array) -> tuple[Array, Array]:
    """Return (Phi(x), e^(-x^2 / 2)) to a few units in the last place, also where (1 + erf) / 2 cancels."""
    z = clip(xp, xp.abs(x), None, MAX_ABS_INPUT)
    coarse = xp.floor(16.0 * z) / 16.0  # its square is exact, so exp amplifies no rounding error (Cody 1969)
    bell = xp.exp(-0.5 * coarse * coarse) * xp.exp(-0.5 * (z - coarse) * (z + coarse))
    a = quotient(xp, z, sqrt(2.0))
    t = (a - 4.0) / (a + 4.0)
    total = xp.zeros_like(a)
    for c in reversed(ERFC_COEFFICIENTS):
        total = total * t + c
    tail = 0.5 * bell * total / (1.0 + 2.0 * a)
    return xp.where(x < 0, tail, 1.0 - tail), bell


def _gelu(xp: Any, x: Array) -> Array:
    return clip(xp, x, -MAX_ABS_INPUT) * _normal(xp, x)[0]  # clipped: -inf times 0 would be NaN


def _gelu_backward(xp: Any, dy: Array, x: Array, y: Array) -> Array:
    phi, bell = _normal(xp, x)
    return dy * (phi + quotient(xp, clip(xp, x, -MAX_ABS_INPUT, MAX_ABS_INPUT) * bell, sqrt(2.0 * pi)))
