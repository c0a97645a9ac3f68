"""The array libraries that can be compared, by "library" or "library:device"."""

import importlib
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj, to_device

NAMESPACES = {
    "numpy": "array_api_compat.numpy",
    "torch": "array_api_compat.torch",
    "cupy": "array_api_compat.cupy",
    "jax": "jax.numpy",
    "strict": "array_api_strict",
    "array-api-strict": "array_api_strict",
}
"""Importable namespace of each library that has another name; any other name is imported itself."""


LIBRARIES = {"numpy", "torch", "jax", "cupy", "array_api_compat", "array_api_strict", __package__}


class InputError(ValueError):
    """An argument is wrong. The message says what was expected and what to do."""


class TargetUnavailable(RuntimeError):
    """A library or a device is missing here; the message says why."""


def shorten(value: object, limit: int = 160) -> str:
    """Return ``str(value)`` on one line of at most ``limit`` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def is_user_code(frame: Any) -> bool:
    """Return whether a frame is outside the standard library and array libraries, also vendored ones."""
    packages = str(frame.f_globals.get("__name__", "")).split(".")
    return packages[0] not in sys.stdlib_module_names and LIBRARIES.isdisjoint(packages)


@dataclass(frozen=True)
class Target:
    """An array library on one device.

    Args:
        name: "torch", "torch:cuda"
        xp: its array API namespace
        device: the library's own device object or name; None for its default
    """

    name: str
    xp: Any
    device: Any = None

    def to_array(self, x: Any, dtype: Any = None) -> Any:
        """Move a NumPy array to this device."""
        return self.xp.asarray(x, dtype=dtype, device=self.device)

    def to_numpy(self, x: Any) -> np.ndarray:
        """Return an array of this library, or a number, as a NumPy array."""
        if not is_array_api_obj(x) or isinstance(x, np.ndarray | np.generic):
            return np.asarray(x)
        if hasattr(x, "detach"):  # torch: NumPy has no lazy conjugates
            x = x.detach().resolve_conj().resolve_neg().cpu()
        elif hasattr(self.xp, "Device"):  # array-api-strict
            x = to_device(x, self.xp.Device("CPU_DEVICE"))
        elif hasattr(x, "get"):  # CuPy
            x = x.get()
        return np.asarray(x).copy()


def find_target(name: Any) -> Target:
    """Return the target of this name; a Target is returned unchanged.

    Raises TargetUnavailable: there is no such library or device here.

    >>> find_target("numpy").name
    'numpy'
    """
    if isinstance(name, Target):
        return name
    library, _, device = str(name).partition(":")
    module = NAMESPACES.get(library, library)
    try:
        xp = importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = "array-api-strict" if library == "strict" else library
        raise TargetUnavailable(f"{shorten(error)}; pip install {package}") from None
    if library == "jax":  # float64 arrays need it
        importlib.import_module("jax").config.update("jax_enable_x64", True)
    make_device = getattr(xp, "Device", str)
    try:
        place = make_device(device) if device else None
        xp.empty(0, device=place)
    except Exception as error:  # each library has its own exceptions
        raise TargetUnavailable(f"{name} cannot run here: {shorten(error)}") from None
    return Target(str(name), xp, place)
