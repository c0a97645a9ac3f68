"""The kernels that CUDA text computes in fewer launches than the reference."""

from backends.cupy.dense import CupyDense
from backends.cupy.images import CupyImages
from backends.cupy.optimizers import CupyOptimizers


class CupyKernels(CupyDense, CupyImages, CupyOptimizers):
    """Kernels on CuPy's arrays; ``xp`` is array_api_compat.cupy."""
