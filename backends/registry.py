"""Backends by name: built in, or registered by other packages."""

import importlib
import inspect
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from backends.backend import FLOAT_DTYPES, Backend
from backends.errors import (
    BackendUnavailable,
    InputError,
    report_unavailable,
    short_repr,
    unknown_name_error,
)
from backends.processor import has_gpu_driver
from backends.reference import Kernels
from backends.reproducible import make_reproducible
from backends.smoke_test import run_smoke_test

ENTRY_POINT_GROUP = "dnn.backends"
REGISTRATION_CURE = f"correct its entry point in {ENTRY_POINT_GROUP!r}, or the function that it names"
PRECISIONS = ("float32", "tf32", "reproducible")
CPU_FIRST = ("numba", "torch")
MAX_THREADS = 1024

BUILT_IN = ("numpy", "numba", "cupy", "torch", "strict")


def backend_names() -> tuple[str, ...]:
    """Return all names that ``get_backend`` accepts, except "auto"; some may not run on this machine."""
    registered = (point.name for point in entry_points(group=ENTRY_POINT_GROUP))
    return tuple(dict.fromkeys((*BUILT_IN, *registered)))  # a built-in name comes first, and once


def _factory(name: str) -> Any:
    """Import the function that makes the backend.

    It is called with (device, dtype, fused), and with precision= and graphs= unless they are the defaults.
    """
    if name in BUILT_IN:
        module = "backends.strict" if name == "strict" else f"backends.{name}.backend"
        return importlib.import_module(module).make
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            return point.load()
    if name.lower() in ("cuda", "gpu", "nvidia"):
        cure = "get_backend('torch', 'cuda'), or --backend torch --device cuda"
        raise InputError(f"backend is {name!r}", "an array library on the GPU: cupy, or torch", cure)
    raise unknown_name_error("backend", name, ("auto", *backend_names()))


def _auto(device: Any, cpu_first: str, *settings: Any) -> Backend:
    """Return the fastest backend that can run here; its ``reason`` says how to get a faster one.

    Raises BackendUnavailable: no backend can run; raises the last one's reason.
    """
    # (name, device, advantage), the fastest first.
    gpu = [("cupy", device, "runs on the GPU"), ("torch", device or "cuda", "runs on the GPU")]
    first, second = CPU_FIRST if cpu_first == CPU_FIRST[0] else reversed(CPU_FIRST)
    cpu = [
        (first, "cpu", "is the fastest on the CPU"), (second, "cpu", "is faster than NumPy"),
        ("numpy", "cpu", "runs everywhere"),
    ]  # fmt: skip
    without_driver = device is None and not has_gpu_driver()  # importing torch would be wasted time
    candidates = cpu if without_driver or str(device) == "cpu" else gpu
    if device is None and not without_driver:
        candidates += cpu
    refused = []
    for name, candidate, advantage in candidates:
        try:
            chosen = get_backend(name, candidate, *settings)
        except BackendUnavailable as error:
            refused.append(error)
            continue
        reason = f"{name} {advantage}"
        if refused:
            reason += f"; {refused[0]}"  # the fastest one's reason, which ends with the cure
        elif without_driver:
            reason += "; there is no NVIDIA driver"
        return replace(chosen, reason=reason)
    raise refused[-1]


def get_backend(
    name: str, device: Any = None, dtype: str = "float32", fused: bool = True,
    precision: str = "float32", graphs: bool = False, threads: int | None = None,
    cpu_first: str = "numba",
) -> Backend:  # fmt: skip
    """Return a backend: one array library on one device with one float dtype.

    Args:
        name: "numpy", "numba" (NumPy with compiled loops), "cupy", "torch", "strict"
            (array-api-strict), a registered name, or "auto": the first of CuPy, torch on CUDA, numba,
            torch on the CPU and NumPy that can run; ``reason`` says why, and what would be faster.
        device: the library's device, as object or text ("cpu", "cuda", "cuda:1", "mps"); None: its
            first (torch: "cpu").
        dtype: "float32" or "float64".
        fused: False forces the reference kernels.
        precision: "tf32" lets CUDA round the factors of float32 products to 10 bits (one switch per library
            and process: the backend created last decides); "reproducible": the same bits on every backend.
        graphs: record updates as CUDA graphs and replay them (torch on CUDA; CuPy: Dense layers only).
        threads: number for matrix products on the CPU, process-wide; None: all, or one where that is faster.
        cpu_first: "numba" or "torch": which of them "auto" tries first on the CPU.

    Raises:
        InputError: an unknown name, device, dtype or precision.
        BackendUnavailable: it cannot run on this machine; says what is missing. Backends on a GPU and
            registered ones must pass ``run_smoke_test``.

    >>> get_backend("numpy").xp.__name__
    'array_api_compat.numpy'
    """
    for setting, value, known in (
        ("dtype", dtype, FLOAT_DTYPES), ("precision", precision, PRECISIONS),
        ("cpu_first", cpu_first, CPU_FIRST),
    ):  # fmt: skip
        if not isinstance(value, str) or value not in known:
            cures = [f"write {word!r}" for word in known if word in str(value)]
            raise InputError(f"{setting} is {short_repr(value)}", f"one of {', '.join(known)}", *cures[:1])
    flags = fused, graphs
    if not all(isinstance(flag, bool) for flag in flags):
        raise InputError(f"fused and graphs are {short_repr(flags)}", "True or False")
    if threads is not None and (type(threads) is not int or not 0 < threads <= MAX_THREADS):
        raise InputError(f"threads is {short_repr(threads)}", f"a whole number from 1 to {MAX_THREADS}")
    if not isinstance(name, str):
        raise unknown_name_error("backend", name, ("auto", *backend_names()))
    if name == "auto":
        if precision == "reproducible":
            cpu_first = "numba"  # compiles its products
        return _auto(device, cpu_first, dtype, fused, precision, graphs, threads)
    extra: dict[str, Any] = {"precision": precision} if precision == "tf32" else {}
    if graphs:
        extra["graphs"] = graphs
    built_in = name in BUILT_IN
    with report_unavailable(name, "" if built_in else REGISTRATION_CURE):
        factory = _factory(name)
        for setting in extra.keys() - inspect.signature(factory).parameters.keys():
            why = f"backend {short_repr(name)} has no setting {setting}={extra[setting]!r}"
            raise BackendUnavailable(f"{why}; leave it out, or take torch on CUDA")
        backend = factory(device, dtype, fused, **extra)
        if not isinstance(backend, Backend) or backend.dtype_name != dtype:
            made = f"{type(backend).__name__} with dtype {getattr(backend, 'dtype_name', None)!r}"
            raise TypeError(f"it returned a {made}, expected a Backend with dtype {dtype!r}")
    if precision == "reproducible":
        backend = make_reproducible(backend)
    if not built_in or backend.device_type != "cpu":
        run_smoke_test(backend)
    if threads is not None:
        backend.set_threads(threads)
    return backend


@cache
def host_kernels() -> Kernels:
    """Return the fastest kernels on NumPy's arrays: numba's if it can run, else NumPy's."""
    with suppress(BackendUnavailable):
        return get_backend("numba").kernels
    return get_backend("numpy").kernels


def available_backends() -> dict[str, str | None]:
    """Return name -> None if the backend runs here on its default device, else why it does not."""
    reasons: dict[str, str | None] = dict.fromkeys(backend_names())
    for name in reasons:
        try:
            get_backend(name)
        except BackendUnavailable as error:
            reasons[name] = str(error)
    return reasons
