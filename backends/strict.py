"""array-api-strict: exactly the array API standard, on simulated devices.

It shows that the generic code uses only the standard. Its devices ("CPU_DEVICE", "device1", "device2",
"no_float64") reveal mixed devices and wrong dtypes on a machine without a GPU. It is slow.
"""

from typing import Any

import numpy as np

from backends.backend import Backend, Facts
from backends.errors import InputError, short_repr

DEVICE_NAMES = ("CPU_DEVICE", "device1", "device2", "no_float64")


class StrictBackend(Backend):
    """array-api-strict has no kernels of its own: it tests the references."""

    def to_host(self, array: Any) -> np.ndarray:
        cpu = self.xp.Device("CPU_DEVICE")
        return np.from_dlpack(array.to_device(cpu)).copy()

    def describe_library(self) -> Facts:
        return {"array_api_strict": self.xp.__version__}


def make(device: Any, dtype: str, fused: bool) -> StrictBackend:
    """Return the backend; ``get_backend("strict")`` calls this factory."""
    import array_api_strict as xp

    chosen = "CPU_DEVICE" if str(device) in ("None", "cpu") else device
    if not isinstance(chosen, xp.Device):
        if str(chosen) not in DEVICE_NAMES:
            raise InputError(f"device is {short_repr(device)}", f"one of {', '.join(DEVICE_NAMES)}")
        chosen = xp.Device(str(chosen))
    if dtype == "float64" and "no_float64" in str(chosen):
        raise InputError("dtype is 'float64'", "'float32' on the device 'no_float64'")
    return StrictBackend("strict", xp, chosen, dtype, fused)
