"""The kernels that numba's compiled loops compute faster."""

from backends.numba.optimizers import NumbaOptimizers
from backends.numba.random import NumbaRandom
from backends.numpy.kernels import NumpyKernels


class NumbaKernels(NumbaOptimizers, NumbaRandom, NumpyKernels):
    """NumPy's kernels, some of them as compiled loops."""
