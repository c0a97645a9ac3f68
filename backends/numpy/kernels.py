"""The kernels that NumPy computes faster than the reference."""

from backends.numpy.dense import NumpyDense
from backends.numpy.images import NumpyImages
from backends.numpy.optimizers import NumpyOptimizers
from backends.numpy.random import NumpyRandom
from backends.reference import Kernels


class NumpyKernels(NumpyDense, NumpyImages, NumpyOptimizers, NumpyRandom, Kernels):
    """Kernels on NumPy's arrays; ``xp`` is array_api_compat.numpy."""
