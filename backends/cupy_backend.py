"""CuPy on an NVIDIA GPU.

The overrides are written with the functions that CuPy and NumPy share and take the namespace as their
first argument, so that the tests run the very same code on the CPU with NumPy. Launching them on a GPU
is untested where the project had no GPU at hand; ``describe()`` says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backends.backend import Backend
from backends.dispatch import Override
from backends.errors import BackendUnavailable, InputError

Array = Any

INSTALL = (
    'pip install "array-api-dnn[cuda12]" (NVIDIA driver 525 or newer) or '
    '"array-api-dnn[cuda13]" (driver 580 or newer)'
)


def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    xp.matmul(x, W, out=y)
    y += b
    if kind == "tanh":
        xp.tanh(y, out=y)
    elif kind == "relu":
        xp.maximum(y, 0.0, out=y)  # as NumPy's, passes NaN


def dense_backward(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    if kind == "relu":
        dz[...] = xp.where(y <= 0, dy.dtype.type(0), dy)
    elif dz is not dy:
        dz[...] = dy
    xp.matmul(x.T, dz, out=dW)
    xp.sum(dz, axis=0, out=db)
    if dx is not None:
        xp.matmul(dz, W.T, out=dx)


@dataclass(frozen=True, eq=False)
class CupyBackend(Backend):
    """CuPy arrays on one CUDA device; every call runs on that device."""

    OVERRIDES: ClassVar[Mapping[str, Override]] = {
        "dense": Override(dense, kinds=("relu", "tanh")),
        "dense_backward": Override(dense_backward, kinds=("linear", "relu")),
    }

    def to_host(self, array: Array) -> np.ndarray:
        import cupy

        host: np.ndarray = cupy.asnumpy(array)
        return host

    def from_host(self, array: np.ndarray, dtype: Any = None) -> Array:
        import cupy

        with self.device:
            return cupy.asarray(array, dtype=dtype)

    def synchronize(self) -> None:
        self.device.synchronize()

    def describe_library(self) -> dict[str, Any]:
        import cupy

        runtime = cupy.cuda.runtime
        properties = runtime.getDeviceProperties(self.device.id)
        return {
            "cupy": cupy.__version__,
            "device_name": properties["name"].decode(),
            "cuda": runtime.runtimeGetVersion(),
            "driver": runtime.driverGetVersion(),
            "tf32": os.environ.get("CUPY_TF32", "0") not in ("", "0"),  # CuPy's only switch for it
            "threads": None,
            "tested_on_gpu": False,
        }


def device_count() -> int:
    """CUDA devices that CuPy can use; importing it proves nothing, so they are counted.

    Raises:
        BackendUnavailable: CuPy is missing or broken, or CUDA cannot be asked; says which.
    """
    try:
        import cupy
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "cupy"
        why = "CuPy is not installed" if missing else f"CuPy cannot be imported ({error})"
        raise BackendUnavailable(f"backend 'cupy' cannot run: {why}; {INSTALL}") from None
    try:
        return int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise BackendUnavailable(
            f"backend 'cupy' cannot run: CuPy {cupy.__version__} is installed but no CUDA device can "
            f"be used ({error}); check the NVIDIA driver with nvidia-smi, then {INSTALL}"
        ) from None


def make(device: Any, dtype: str, fused: bool) -> CupyBackend:
    """The factory that ``get_backend("cupy")`` calls."""
    count = device_count()
    if count == 0:
        raise BackendUnavailable(
            f"backend 'cupy' cannot run: no CUDA device is visible; check nvidia-smi and "
            f"CUDA_VISIBLE_DEVICES, then {INSTALL}"
        )
    import array_api_compat.cupy as xp
    import cupy

    text = "0" if device is None else str(device).removeprefix("cuda").removeprefix(":") or "0"
    if isinstance(device, cupy.cuda.Device):
        text = str(device.id)
    if not text.isdecimal():
        raise InputError(f"device is {device!r}, expected 'cuda' or 'cuda:N' for the backend 'cupy'")
    if int(text) >= count:
        raise BackendUnavailable(
            f"backend 'cupy' has {count} CUDA device(s), got device {device!r}; expected cuda:0 to "
            f"cuda:{count - 1}"
        )
    place = cupy.cuda.Device(int(text))
    place.use()
    return CupyBackend("cupy", xp, place, dtype, fused)
