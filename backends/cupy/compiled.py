"""CuPy's functions of the CUDA sources, made and compiled at their first use."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from backends.cupy import sources

DTYPES = {"long long*": "int64", "unsigned char*": "uint8"}


@cache
def elementwise(name: str) -> Any:
    """The cupy.ElementwiseKernel of this name; CuPy compiles it at its first call, for each dtype."""
    import cupy

    text, head = sources.ELEMENTWISE[name], sources.arithmetic()
    return cupy.ElementwiseKernel(*text, f"dnn_{name}", preamble=head, no_return=True)


@cache
def _module(text: str) -> Any:
    import cupy

    return cupy.RawModule(code=text)


@cache
def raw_kernel(name: str, real: str) -> Any:
    """A kernel with pointers, for REAL "float" or "double", called with (grid, block, arguments)."""
    return _module(sources.module(name, real)).get_function(name)


def dtype_of(array: Any) -> str:
    """The name of any library's dtype."""
    return str(array.dtype).rpartition(".")[2]


def dense(array: Any) -> bool:
    """Whether any library's array lies row after row, without gaps."""
    return bool(array.is_contiguous() if hasattr(array, "is_contiguous") else array.flags.c_contiguous)


def real_of(name: str, arguments: tuple[Any, ...]) -> str:
    """REAL of a call of a kernel, to which an array of any library is a pointer: all are checked here.

    Raises TypeError: an argument of another kind or dtype than the kernel reads, or an array that is not
    C-contiguous.
    """
    real = None
    for argument, kind in zip(arguments, sources.KERNELS[name], strict=True):
        if kind == "int":
            if type(argument) is not int or not 0 <= argument < 2**31:
                raise TypeError(f"{name} got {argument!r}, expected an int of 31 bits")
            continue
        dtype = dtype_of(argument)
        if kind == "REAL*" and real is None and dtype in sources.CTYPES:
            real = dtype
        wanted = DTYPES.get(kind, real)
        if dtype != wanted or not dense(argument):
            raise TypeError(f"{name} got an array of {dtype}, expected {wanted}, C-contiguous")
    return sources.CTYPES[str(real)]


def bound(name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> Callable[[], None]:
    """A function that starts a kernel so; what is wrong with the arguments is an error now.

    Args:
        grid, block: numbers of blocks, and of threads in each.
    """
    kernel = raw_kernel(name, real_of(name, arguments))
    return partial(kernel, grid, block, tuple(np.int32(a) if type(a) is int else a for a in arguments))


def launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
    """Start a kernel."""
    bound(name, grid, block, *arguments)()
