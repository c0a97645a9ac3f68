"""NumPy on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from backends.backend import Backend, Facts
from backends.errors import InputError, short_repr
from backends.numpy.blas import numpy_blas
from backends.numpy.kernels import NumpyKernels
from backends.processor import numpy_dispatch
from backends.reference import Kernels

Array = np.ndarray


class NumpyBackend(Backend):
    """NumPy. Arrays are aligned to 64 bytes, so that results do not depend on their addresses."""

    def kernel_class(self) -> type[Kernels]:
        return NumpyKernels

    def zeros(self, shape: int | tuple[int, ...], dtype: Any = None) -> Array:
        return aligned_zeros(shape, dtype or self.dtype)

    def owns(self, array: Any) -> bool:
        return type(array) in (np.ndarray, np.memmap)  # no masked array: its mask would be ignored

    @property
    def thread_count(self) -> int:
        return numpy_blas().threads.outside

    def set_threads(self, n: int) -> None:
        numpy_blas().threads.change(n)

    @contextmanager
    def in_threads(self, n: int) -> Iterator[None]:
        with numpy_blas().threads.section(n):
            yield

    def describe_library(self) -> Facts:
        return {
            "numpy_dispatch": numpy_dispatch(),
            "blas": numpy_blas().description,
        }


def aligned_zeros(shape: int | tuple[int, ...], dtype: Any) -> Array:
    """Return zeros in memory aligned to 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    aligned: Array = raw[start : start + size].view(dtype).reshape(shape)
    return aligned


def make(device: Any, dtype: str, fused: bool) -> NumpyBackend:
    """Return the backend; ``get_backend("numpy")`` calls this factory."""
    import array_api_compat.numpy as xp

    if device is not None and str(device) != "cpu":
        raise InputError(f"device is {short_repr(device)}", "'cpu' or None for the backend 'numpy'")
    return NumpyBackend("numpy", xp, "cpu", dtype, fused)
