"""Compile the CUDA sources with CuPy at first use, and launch the kernels."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from backends.backend import FLOAT_DTYPES
from backends.cupy import sources

ARGUMENT_DTYPES = {"long long*": ("int64",), "REAL*": FLOAT_DTYPES, "PIXEL*": ("uint8", *FLOAT_DTYPES)}


@cache
def elementwise(name: str) -> Any:
    """Return the cupy.ElementwiseKernel of this name; CuPy compiles it per dtype at the first call."""
    import cupy

    text = sources.ELEMENTWISE[name]
    head = sources.arithmetic()
    return cupy.ElementwiseKernel(*text, f"dnn_{name}", preamble=head, no_return=True)


@cache
def raw_kernel(name: str, real: str, pixel: str) -> Any:
    """Compile a kernel with pointers for these C types; call it with (grid, block, arguments)."""
    import cupy

    return cupy.RawModule(code=sources.module((name,), real, pixel)).get_function(name)


def element_types(name: str, arguments: tuple[Any, ...]) -> tuple[str, str]:
    """Check the arguments of a kernel with pointers; return the C types (REAL, PIXEL) of the call.

    Raises TypeError: an argument of the wrong type or dtype, or an array that is not C-contiguous.
    """
    found: dict[str, str] = {}
    for argument, kind in zip(arguments, sources.kernels()[name], strict=True):
        if kind == "int":
            if type(argument) is not int or not 0 <= argument < 2**31:
                raise TypeError(f"{name} got {argument!r}, expected an int of 31 bits")
            continue
        dtype = str(argument.dtype)
        expected = (found[kind],) if kind in found else ARGUMENT_DTYPES[kind]
        if dtype not in expected or not argument.flags.c_contiguous:
            raise TypeError(f"{name} got an array of {dtype}, expected {' or '.join(expected)}, C-contiguous")
        found[kind] = dtype
    real = found["REAL*"]
    pixel = found.get("PIXEL*", found["REAL*"])
    if pixel not in ("uint8", real):
        raise TypeError(f"{name} got an array of {pixel}, expected uint8 or {real}")
    return sources.CTYPES[real], sources.CTYPES[pixel]


def bind_launch(
    name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any
) -> Callable[[], None]:
    """Check the arguments now, and return a function that launches the kernel with them.

    Args:
        grid: number of blocks per axis. block: number of threads per axis.
    """
    kernel = raw_kernel(name, *element_types(name, arguments))
    return partial(kernel, grid, block, tuple(np.int32(a) if type(a) is int else a for a in arguments))


def launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
    """Launch a kernel."""
    bind_launch(name, grid, block, *arguments)()
