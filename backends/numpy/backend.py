"""NumPy on the CPU."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backends.backend import Backend
from backends.dispatch import Override, overrides_in
from backends.errors import InputError, shown
from backends.numpy import dense, images, normalization, optimizers, random

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class NumpyBackend(Backend):
    """NumPy. Arrays start on a 64-byte boundary, so that results do not depend on where they lie."""

    OVERRIDES: ClassVar[Sequence[Override]] = overrides_in(dense, images, normalization, optimizers, random)

    def zeros(self, shape: int | tuple[int, ...], dtype: Any = None) -> Array:
        return aligned_zeros(shape, dtype or self.dtype)

    def owns(self, array: Any) -> bool:
        return type(array) in (np.ndarray, np.memmap)  # a masked array's mask would be ignored

    def one_thread(self) -> AbstractContextManager[Any]:
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:
            if any(os.environ.get(f"{pool}_NUM_THREADS") == "1" for pool in ("OPENBLAS", "OMP", "MKL")):
                return nullcontext()
            raise InputError(
                "NumPy's BLAS is to use one thread, which needs threadpoolctl; install it, or set "
                "OPENBLAS_NUM_THREADS=1 (or OMP_, MKL_) before Python starts"
            ) from None
        limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
        return limits

    def describe_library(self) -> dict[str, Any]:
        try:
            from threadpoolctl import threadpool_info

            pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
        except ImportError:
            pools = []
        mine = next((p for p in pools if "numpy" in p["filepath"]), pools[0] if pools else None)
        if mine is None:
            return {"threads": os.cpu_count()}
        return {
            "threads": mine["num_threads"],
            "blas": f"{mine['internal_api']} {mine['version']} ({mine.get('architecture', '?')})",
        }


def aligned_zeros(shape: int | tuple[int, ...], dtype: Any) -> Array:
    """Zeros from a 64-byte boundary on."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    aligned: Array = raw[start : start + size].view(dtype).reshape(shape)
    return aligned


def make(device: Any, dtype: str, fused: bool) -> NumpyBackend:
    """The factory that ``get_backend("numpy")`` calls."""
    import array_api_compat.numpy as xp

    if device is not None and str(device) != "cpu":
        raise InputError(f"device is {shown(device)}, expected 'cpu' or None for the backend 'numpy'")
    return NumpyBackend("numpy", xp, "cpu", dtype, fused)
