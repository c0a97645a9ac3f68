"""array-api-strict: only what the standard promises, on fake devices.

It proves that the generic code uses the standard alone, and its devices ("CPU_DEVICE", "device1",
"device2", "no_float64") find mixed devices and slips of dtype on a machine without a GPU. Slow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.backend import Backend
from backends.errors import BackendUnavailable, InputError, short_repr

DEVICES = ("CPU_DEVICE", "device1", "device2", "no_float64")


@dataclass(frozen=True, eq=False)
class StrictBackend(Backend):
    """array-api-strict; no overrides, the reference kernels are the point."""

    def to_host(self, array: Any) -> np.ndarray:
        cpu = self.xp.Device("CPU_DEVICE")
        return np.from_dlpack(array.to_device(cpu)).copy()

    def describe_library(self) -> dict[str, Any]:
        return {"array_api_strict": self.xp.__version__, "threads": self.thread_count}


def make(device: Any, dtype: str, fused: bool) -> StrictBackend:
    """The factory that ``get_backend("strict")`` calls."""
    try:
        import array_api_strict as xp
    except ImportError:
        why = "backend 'strict' needs the package array-api-strict, which is not installed"
        raise BackendUnavailable(f"{why}; pip install array-api-strict") from None
    usual = device is None or (isinstance(device, str) and device == "cpu")
    place = "CPU_DEVICE" if usual else device
    if not isinstance(place, xp.Device):
        if not isinstance(place, str) or place not in DEVICES:
            raise InputError(f"device is {short_repr(device)}, expected one of {', '.join(DEVICES)}")
        place = xp.Device(place)
    if dtype == "float64" and "no_float64" in str(place):
        raise InputError("dtype is 'float64', expected 'float32' on the device 'no_float64'")
    return StrictBackend("strict", xp, place, dtype, fused)
