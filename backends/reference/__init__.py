"""The reference kernels in standard array API. They define the correct results.

A kernel is a method that reads some arrays, writes others *in place* and returns nothing. Its declaration
and its docstring say which arrays it writes; it leaves the others unchanged. ``self.xp`` is the array
namespace. A library's class overrides the kernels that it can compute faster.

Symbols: B batch size, n_in and n_out widths, x input, W and b weights and bias, z = x W + b, y output,
dy the gradient of the loss with respect to y. relu'(0) = 0. NaN in the inputs gives NaN in the outputs.
"""

from backends.reference.activations import ACTIVATIONS, ActivationFunction, ActivationKernels
from backends.reference.convolution import ConvolutionKernels
from backends.reference.declaration import Declaration, declarations, kernel, overrides
from backends.reference.dense import DenseKernels
from backends.reference.gather import GatherKernels
from backends.reference.losses import LossKernels
from backends.reference.normalization import NormalizationKernels
from backends.reference.optimizers import OptimizerKernels
from backends.reference.pooling import PoolingKernels
from backends.reference.random import RandomKernels
from backends.reference.warping import WarpingKernels


class Kernels(
    GatherKernels, DenseKernels, ActivationKernels, ConvolutionKernels, PoolingKernels, NormalizationKernels,
    RandomKernels, LossKernels, OptimizerKernels, WarpingKernels,
):  # fmt: skip
    """Every kernel in the array API standard."""


__all__ = [
    "ACTIVATIONS", "ActivationFunction", "Declaration", "Kernels", "declarations", "kernel",
    "overrides",
]  # fmt: skip
