"""The array libraries that can be compared, by "library" or "library:device", or as namespaces."""

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any

import numpy as np
from array_api_compat import device as device_of
from array_api_compat import is_array_api_obj

NAMESPACES = dict(
    line.split()
    for line in """
numpy array_api_compat.numpy
torch array_api_compat.torch
cupy array_api_compat.cupy
jax jax.numpy
dask array_api_compat.dask.array
dask.array array_api_compat.dask.array
dpnp dpnp
strict array_api_strict
array-api-strict array_api_strict
""".strip().splitlines()
)
"""Importable namespace of each library; any other name is imported itself."""


Function = Callable[..., Any]
words = str.split
"""A name for literals that the linter leaves as they are."""
LIBRARIES = {__package__, *words("numpy torch jax dask cupy dpnp array_api_compat array_api_strict")}
"""Packages of array libraries and of this one: their frames are no user code."""


class InputError(ValueError):
    """An argument is wrong. The message says what was expected and what to do."""


class TargetUnavailable(RuntimeError):
    """A library or a device is missing here; the message says why."""


def shorten(value: object, limit: int = 160) -> str:
    """Return ``str(value)`` on one line of at most ``limit`` characters.

    >>> shorten("a long text", 9), shorten("a  text", 6)
    ('a long...', 'a text')
    """
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def is_user_code(frame: Any) -> bool:
    """Return whether a frame is outside the standard library and array libraries, also vendored ones."""
    packages = str(frame.f_globals.get("__name__", "")).split(".")
    return packages[0] not in sys.stdlib_module_names and LIBRARIES.isdisjoint(packages)


def caller_location() -> str:
    """Return "file:line" of the innermost caller outside array libraries."""
    frame: Any = sys._getframe(1)
    while frame.f_back and not is_user_code(frame):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def default_dtype(xp: Any) -> str:
    """Return the dtype of new floating-point arrays in a namespace: "float32" or "float64"."""
    info = getattr(xp, "__array_namespace_info__", None)
    return str(info().default_dtypes()["real floating"]).rpartition(".")[2] if info else "float64"


def describe_exception(error: Exception) -> str:
    """Describe an exception of a function by its type, its message and the line that raised it."""
    place = "its first line"
    for frame, line in walk_tb(error.__traceback__):
        if is_user_code(frame):
            place = f"{frame.f_code.co_filename}:{line}"
    return f"raises {type(error).__name__}: {shorten(error)}; at {place}"


@dataclass(frozen=True)
class Target:
    """An array library on one device.

    Args:
        name: "torch", "torch:cuda"
        xp: its array API namespace
        device: the library's own device object or name; None for its default
        compile: ``compile(f)`` returns a compiled f, such as ``jax.jit``; None for eager execution
    """

    name: str
    xp: Any
    device: Any = None
    compile: Any = None

    def to_array(self, x: Any, dtype: Any = None) -> Any:
        """Move a NumPy array to this device."""
        return self.xp.asarray(x, dtype=dtype, device=self.device)

    def describe(self, x: Any) -> str:
        """Return the library and the device of an array: "torch array on cuda:0"."""
        return f"{type(x).__module__.partition('.')[0]} array on {device_of(x)}"


def to_numpy(x: Any) -> np.ndarray:
    """Return an array of any library and device, or a number, as a NumPy array."""
    if not is_array_api_obj(x) or isinstance(x, np.ndarray | np.generic):
        return np.asarray(x)
    if hasattr(x, "detach"):  # torch: NumPy has no lazy conjugates
        x = x.detach().resolve_conj().resolve_neg().cpu()
    elif hasattr(x, "__array_namespace__") and hasattr(strict := x.__array_namespace__(), "Device"):
        x = x.to_device(strict.Device("CPU_DEVICE"))
    elif hasattr(x, "get"):  # CuPy
        x = x.get()
    elif hasattr(x, "asnumpy"):  # dpnp
        x = x.asnumpy()
    return np.asarray(x).copy()


def target_name(target: Any) -> str:
    """Return "library" or "library:device" of anything that ``find_target`` takes.

    >>> target_name((np, None)), target_name(("torch", "cuda"))
    ('numpy', 'torch:cuda')
    """
    if isinstance(target, tuple):
        library, device = target
        place = re.sub(r"^.*'(.*)'.*$", r"\1", str(device))  # "device1" of array_api_strict.Device('device1')
        return target_name(library) + f":{place}" * bool(device)
    if isinstance(target, str):
        return target
    module: str = getattr(target, "name", "") or target.__name__  # "array_api_compat.torch", also vendored
    return next((key for key, value in NAMESPACES.items() if value == module), module.rpartition(".")[2])


def full_names(name: str) -> list[str]:
    """Return "library:device" and "library", with the namespace for the library.

    >>> full_names("torch:cpu")
    ['array_api_compat.torch:cpu', 'array_api_compat.torch']
    """
    library, colon, device = name.partition(":")
    library = NAMESPACES.get(library, library)
    return [library + colon + device, library]


def find_reason(reasons: Mapping[str, str], name: str) -> str | None:
    """Return the reason given for a target, by "library:device" or by its library; None if there is none."""
    named = {full_names(key)[0]: why for key, why in reasons.items()}
    return next((named[key] for key in full_names(name) if key in named), None)


def require_reasons(reasons: Iterable[str], targets: Iterable[Any]) -> None:
    """Raise InputError: the name of a target with a reason is neither known nor compared."""
    known = {full_names(name)[1] for name in (*NAMESPACES, *map(target_name, targets))}
    if unknown := [name for name in reasons if full_names(name)[1] not in known]:
        raise InputError(f"skip or xfail names {unknown}, expected libraries among {sorted(NAMESPACES)}")


def expand_targets(targets: Iterable[Any]) -> Iterator[Any]:
    """Yield the targets; "library:all" becomes one for each device that the library lists.

    Raises InputError: it is not a list of targets, or an empty one.
    """
    if isinstance(targets, str) or not isinstance(targets, Iterable):
        raise InputError(f"backends is {targets!r}, expected a list: backends=[{targets!r}]")
    if not (targets := list(targets)):
        raise InputError("backends is empty, expected at least one, such as backends=['numpy', 'torch']")
    for target in targets:
        library, _, device = target_name(target).partition(":")
        devices = [None]
        if device == "all":
            target = library
            with suppress(TargetUnavailable):
                devices = find_target(library).xp.__array_namespace_info__().devices()
        yield from ((library, place) if place else target for place in devices)


def find_target(target: Any, dtypes: Iterable[Any] = ()) -> Target:
    """Return a target by "library" or "library:device", a namespace, or a tuple (either, device).

    A Target is returned unchanged. "jax:jit" compiles the function with ``jax.jit``.

    Raises:
        TargetUnavailable: the library is not installed, has no such device here, or the device lacks one of
            these dtypes, as MPS lacks float64.
        InputError: no library has this name.

    >>> find_target("numpy").name
    'numpy'
    """
    if isinstance(target, Target):
        return target
    name = target_name(target)
    library, _, suffix = name.partition(":")
    xp, device = target if isinstance(target, tuple) else (target, suffix)
    compiler = None
    try:
        if isinstance(xp, str) or xp.__name__ in ("torch", "cupy", "dask.array"):  # these lack functions
            xp = importlib.import_module(NAMESPACES.get(library, library))
            if library == "jax":  # float64 arrays need it
                importlib.import_module("jax").config.update("jax_enable_x64", True)
        if name == "jax:jit":
            compiler = importlib.import_module("jax").jit
            device = None
        found = Target(name, xp, _make_device(xp, device) if device else None, compiler)
        for dtype in (np.float32, *dtypes):
            stored = to_numpy(found.to_array(np.zeros(1, dtype))).dtype
            if stored != dtype:
                raise TypeError(f"it stores {dtype} arrays as {stored}")
    except ModuleNotFoundError as error:
        if library not in NAMESPACES and error.name == library.partition(".")[0]:
            expected = "numpy, torch, jax, dask, cupy, strict or an array namespace that can be imported"
            raise InputError(f"{library!r} is no array library here, expected {expected}") from None
        raise TargetUnavailable(f"{shorten(error)}; pip install {error.name}") from None
    except MemoryError:
        raise
    except Exception as error:  # each library has its own exceptions, also for a missing driver
        raise TargetUnavailable(f"{name} cannot run here: {shorten(error)}") from None
    return found


def _make_device(xp: Any, device: Any) -> Any:
    """Return the library's device object named "gpu" or "0"; return objects unchanged."""
    if not isinstance(device, str):
        return device
    if xp.__name__ == NAMESPACES["jax"]:
        return importlib.import_module("jax").devices(device)[0]
    if xp.__name__.rpartition(".")[2] == "cupy":
        return importlib.import_module("cupy").cuda.Device(int(device))
    return getattr(xp, "Device", str)(device)
