"""Compile the CUDA sources with CuPy at first use, and launch the kernels."""

from functools import cache, partial
from typing import Any

import numpy as np

from backends.backend import Step
from backends.cupy import sources


@cache
def elementwise(name: str) -> Any:
    """Return the cupy.ElementwiseKernel of this name; CuPy compiles it per dtype at the first call."""
    import cupy

    return cupy.ElementwiseKernel(
        *sources.ELEMENTWISE[name], f"dnn_{name}", preamble=sources.arithmetic(), no_return=True
    )


@cache
def raw_kernel(name: str, real: str, pixel: str) -> Any:
    """Compile a kernel with pointers for these C types; call it with (grid, block, arguments)."""
    import cupy

    text = sources.module((name,), real, pixel)
    return cupy.RawModule(code=text, options=sources.OPTIONS.get(name, ())).get_function(name)


def _type_name(argument: Any) -> str:
    if not hasattr(argument, "flags"):
        return type(argument).__name__
    return str(argument.dtype) if argument.flags.c_contiguous else "an array that is not C-contiguous"


def bind_launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> Step:
    """Check the arguments now, and return a function that launches the kernel with them.

    Args:
        grid: number of blocks per axis. block: number of threads per axis.
    Raises TypeError: an argument has the wrong type, or an array is not C-contiguous.
    """
    kinds = sources.kernels()[name]
    found = list(map(_type_name, arguments))
    types = {**dict(zip(kinds, found, strict=True)), "int": "int", "long long*": "int64"}
    for argument, kind in zip(found, kinds, strict=True):
        if argument != types[kind]:
            raise TypeError(f"{name} got {argument}, expected {types[kind]}")
    real = types["REAL*"]
    kernel = raw_kernel(name, sources.CTYPES[real], sources.CTYPES[types.get("PIXEL*", real)])
    return partial(kernel, grid, block, tuple(np.int32(a) if type(a) is int else a for a in arguments))
