"""Backends by name: the built-in ones, and those that other packages register."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from backends.backend import Backend
from backends.dispatch import FLOATS
from backends.errors import BackendUnavailable, InputError, brief, shown, unknown
from backends.proof import prove

ENTRY_POINT_GROUP = "dnn.backends"
Factory = Callable[..., Backend]  # of (device, dtype, fused); some take precision= and graphs= too
PRECISIONS = ("float32", "tf32")

_BUILT_IN: Mapping[str, str] = MappingProxyType({
    **{name: f"backends.{name}.backend" for name in ("numpy", "numba", "cupy", "torch")},
    "strict": "backends.strict",
})  # fmt: skip


def backend_names() -> tuple[str, ...]:
    """Names that ``get_backend`` knows, besides "auto"; whether they can run here is another matter."""
    registered = (point.name for point in entry_points(group=ENTRY_POINT_GROUP))
    return (*_BUILT_IN, *(name for name in registered if name not in _BUILT_IN))


def _factory(name: str) -> Factory:
    if isinstance(name, str) and name in _BUILT_IN:
        try:
            factory: Factory = importlib.import_module(_BUILT_IN[name]).make
        except Exception as error:  # numba's are of many kinds where its environment variables are odd
            why = f"backend {shown(name)} cannot run ({brief(error)})"
            raise BackendUnavailable(f"{why}; pip install {name}") from None
        return factory
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            registered: Factory = point.load()
            return registered
    raise unknown("backend", name, ("auto", *backend_names()))


def _auto(device: Any, *settings: Any) -> Backend:
    """The best that can run here, with the reason: why it is that one, and why none of those before it.

    Raises BackendUnavailable: none can; says why not the last.
    """
    gpu = [("cupy", device, "runs on the GPU"), ("torch", device or "cuda", "runs on the GPU")]
    cpu = [("numba", None, "is the fastest on the CPU"), ("numpy", None, "runs everywhere")]
    refused = []
    for name, place, merit in cpu if device == "cpu" else gpu if device is not None else gpu + cpu:
        try:
            chosen = get_backend(name, place, *settings)
        except BackendUnavailable as error:
            refused.append(error)
        else:
            # The messages end in "; " and the cure.
            reasons = [f"{name} {merit}", *(str(error).partition("; ")[0] for error in refused)]
            return replace(chosen, reason="; ".join(reasons))
    raise refused[-1]


def get_backend(
    name: str, device: Any = None, dtype: str = "float32", fused: bool = True,
    precision: str = "float32", graphs: bool = False, threads: int | None = None,
) -> Backend:  # fmt: skip
    """One array library on one device with one float dtype.

    Args:
        name: "numpy", "numba" (NumPy with compiled loops), "cupy", "torch", "strict"
            (array-api-strict), a registered name, or "auto": CuPy or torch on CUDA if there is a
            device that can be used, else numba where it is installed, else NumPy; ``reason`` says why.
        device: the library's device, as object or text ("cpu", "cuda", "cuda:1", "mps"); None: its
            first or only one (torch: "cpu").
        dtype: "float32" or "float64".
        fused: False forces the reference kernels.
        precision: "tf32" lets CUDA round the factors of float32 products to 10 bits (tensor cores). CuPy
            and torch each have one switch for the whole process: the backend made last decides.
        graphs: record updates as CUDA graphs and replay them (torch on CUDA; CuPy those of Dense layers).
        threads: of products on the CPU, in the whole process; None: all, or one while that is faster.

    Raises:
        InputError: an unknown name, device, dtype or precision.
        BackendUnavailable: it cannot run on this machine; says what is missing. What runs on a GPU, or is
            registered, is tried out first (``prove``).

    >>> get_backend("numpy").xp.__name__
    'array_api_compat.numpy'
    """
    if not isinstance(dtype, str) or dtype not in FLOATS:
        raise InputError(f"dtype is {shown(dtype)}, expected one of {', '.join(FLOATS)}")
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise InputError(f"precision is {shown(precision)}, expected one of {', '.join(PRECISIONS)}")
    if not (isinstance(fused, bool) and isinstance(graphs, bool)):
        raise InputError(f"fused and graphs are {shown((fused, graphs))}, expected True or False")
    if isinstance(name, str) and name == "auto":
        return _auto(device, dtype, fused, precision, graphs, threads)
    factory = _factory(name)
    extra: dict[str, Any] = {} if precision == "float32" else {"precision": precision}
    if graphs:
        extra["graphs"] = graphs
    for setting in extra.keys() - inspect.signature(factory).parameters.keys():
        why = f"backend {shown(name)} has no setting {setting}={extra[setting]!r}"
        raise BackendUnavailable(f"{why}; leave it out, or take torch on CUDA")
    backend = factory(device, dtype, fused, **extra)
    if name not in _BUILT_IN or backend.device_type != "cpu":
        prove(backend)
    return backend if threads is None else backend.with_threads(threads)


def available_backends() -> dict[str, str | None]:
    """Each known backend: None if it can run here on its default device, else why it cannot."""
    verdicts: dict[str, str | None] = {}
    for name in backend_names():
        verdicts[name] = None
        try:
            get_backend(name)
        except BackendUnavailable as error:
            verdicts[name] = str(error)
    return verdicts
