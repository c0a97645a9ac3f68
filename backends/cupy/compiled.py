"""CuPy's functions of the CUDA sources, made and compiled at their first use."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from backends.cupy import sources


@cache
def elementwise(name: str) -> Any:
    """The cupy.ElementwiseKernel of this name; CuPy compiles it at its first call, for each dtype."""
    import cupy

    made = sources.ELEMENTWISE[name]
    return cupy.ElementwiseKernel(
        made.inputs,
        made.outputs,
        made.operation,
        f"dnn_{name}",
        preamble=sources.arithmetic(),
        no_return=True,
    )


@cache
def row_kernels(dtype: str) -> Any:
    """The compiled ``rows.cu`` for a dtype ("float32" or "float64")."""
    import cupy

    return cupy.RawModule(code=sources.rows(), options=(f"-DREAL={sources.CTYPES[dtype]}",))


def row_kernel(name: str, dtype: Any) -> Any:
    """A kernel of ``rows.cu``, called with (grid, block, arguments)."""
    return row_kernels(np.dtype(dtype).name).get_function(name)
