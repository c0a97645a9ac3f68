"""This machine: its processor, what limits the libraries in using it, and whether it has a GPU's driver."""

import ctypes
import importlib
import os
import platform
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

INSTRUCTION_SETS = {
    "AVX-512": {"avx512f", "x86_v4"},
    "AVX2": {"avx2", "x86_v3"},
    "SSE4.2": {"sse4_2", "sse42", "x86_v2"},
    "SVE": {"sve"},
    "NEON": {"asimd", "neon"},
}
"""Name -> what Linux and NumPy call it; the widest of an architecture first."""
CUDA_DRIVERS = ("libcuda.so.1", "nvcuda.dll")
"""NVIDIA's driver on Linux and on Windows, by the names under which CuPy and torch load it."""
ROCM_DRIVER = "/dev/kfd"
"""AMD's: torch's builds for ROCm call its device "cuda" too."""
LIMITING_VARIABLES = (
    "OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES", "GLIBC_TUNABLES",
)  # fmt: skip
"""Environment variables by which libraries choose other code than this processor's fastest."""


class Processor(NamedTuple):
    """A processor: its model name, and the widest of INSTRUCTION_SETS that it has."""

    name: str
    instruction_set: str


@cache
def this_processor() -> Processor:
    """Return the processor of this machine; the architecture stands for what cannot be found out."""
    info = _cpuinfo() if platform.system() == "Linux" else {}
    name = info.get("model name") or platform.processor() or platform.machine()
    found = (info.get("flags") or info.get("Features") or " ".join(_numpy_features())).lower().split()
    sets = (title for title, flags in INSTRUCTION_SETS.items() if flags & set(found))
    return Processor(name, next(sets, platform.machine()))


def _cpuinfo(path: str = "/proc/cpuinfo") -> dict[str, str]:
    """The first core's entries of Linux's list of cores; {} where it cannot be read."""
    entries: dict[str, str] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                entries.setdefault(key.strip(), value.strip())
    except OSError:
        return {}
    return entries


def _numpy_features(only: str | None = None) -> list[str]:
    """NumPy's names of the instructions that it may use; of those in the list ``only`` of its module."""
    try:
        umath: Any = importlib.import_module("numpy._core._multiarray_umath")

        features: dict[str, bool] = umath.__cpu_features__
        return [name for name in (getattr(umath, only) if only else features) if features[name]]
    except (ImportError, AttributeError, KeyError):  # no public part of NumPy has them
        return []


def numpy_dispatch() -> str:
    """The instruction sets beyond its baseline that NumPy's own loops use here.

    >>> isinstance(numpy_dispatch(), str)
    True
    """
    return " ".join(_numpy_features("__cpu_dispatch__")) or "baseline"


@cache
def has_gpu_driver() -> bool:
    """Whether there is a driver without which neither CuPy nor torch's "cuda" can find a GPU."""
    for name in CUDA_DRIVERS:
        with suppress(OSError):
            ctypes.CDLL(name)
            return True
    return os.path.exists(ROCM_DRIVER)


def limiting_variables() -> dict[str, str]:
    """The variables of LIMITING_VARIABLES that are set, with their values."""
    return {name: os.environ[name] for name in LIMITING_VARIABLES if os.environ.get(name)}
