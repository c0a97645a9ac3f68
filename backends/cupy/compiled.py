"""CuPy's functions of the CUDA sources, made and compiled at their first use."""

from functools import cache
from typing import Any

import numpy as np

from backends.cupy import sources
from backends.reference.signatures import Arrays


@cache
def elementwise(name: str) -> Any:
    """The cupy.ElementwiseKernel of this name; CuPy compiles it at its first call, for each dtype."""
    import cupy

    made, head = sources.ELEMENTWISE[name], sources.arithmetic()
    text = made.inputs, made.outputs, made.operation, f"dnn_{name}"
    return cupy.ElementwiseKernel(*text, preamble=head, no_return=True)


@cache
def _row_kernels(dtype: str) -> Any:
    """The compiled ``rows.cu`` for a dtype ("float32" or "float64")."""
    import cupy

    return cupy.RawModule(code=sources.rows(), options=(f"-DREAL={sources.CTYPES[dtype]}",))


@cache
def row_kernel(name: str, dtype: Any) -> Any:
    """A kernel of ``rows.cu``, called with (grid, block, arguments)."""
    return _row_kernels(np.dtype(dtype).name).get_function(name)


def launch(name: str, grid: tuple[int], block: tuple[int, int], arrays: Arrays) -> None:
    """Start a kernel of ``rows.cu``, for which an array is a pointer: its dtype and layout are checked here.

    Args:
        grid, block: numbers of blocks, and of threads in each.
        arrays: the kernel's two inputs, the first (B, n), then its two outputs.

    Raises TypeError: an array of another dtype than the kernel reads, or one that is not C-contiguous.
    """
    a, b, c, d = arrays
    dtype, (batch, n) = a.dtype, a.shape
    for array, wanted in ((a, dtype), (b, sources.ROW_KERNELS[name] or dtype), (c, dtype), (d, dtype)):
        if array.dtype != wanted or not array.flags.c_contiguous:
            raise TypeError(f"{name} got an array of {array.dtype}, expected {wanted}, C-contiguous")
    row_kernel(name, dtype)(grid, block, (a, b, np.int32(batch), np.int32(n), c, d))
