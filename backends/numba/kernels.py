"""The kernels that numba's compiled loops compute faster."""

from backends.numba.optimizers import NumbaOptimizers
from backends.numba.random import NumbaRandom
from backends.numba.reproducible import ReproducibleOptimizers
from backends.numpy.kernels import NumpyKernels
from backends.reference import Kernels


class NumbaKernels(NumbaOptimizers, NumbaRandom, NumpyKernels):
    """NumPy's kernels, some of them as compiled loops."""


class ReproducibleNumbaKernels(ReproducibleOptimizers, NumbaRandom, Kernels):
    """The references, some of them as compiled loops with the same bits."""
