"""This machine: its processor, environment variables that limit its use, and GPU drivers."""

import ctypes
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backends.errors import InputError

INSTRUCTION_SETS = {
    "AVX-512": {"avx512f", "x86_v4"},
    "AVX2": {"avx2", "x86_v3"},
    "SSE4.2": {"sse4_2", "sse42", "x86_v2"},
    "SVE": {"sve"},
    "NEON": {"asimd", "neon"},
}
"""Name -> the flags of Linux and NumPy for it; the widest of each architecture first."""
CPUINFO = Path("/proc/cpuinfo")
CUDA_DRIVERS = ("libcuda.so.1", "nvcuda.dll")
"""File names of NVIDIA's driver on Linux and Windows, as CuPy and torch load it."""
ROCM_DRIVER = "/dev/kfd"
"""AMD's driver: torch's ROCm builds also call their device "cuda"."""
LIMITING_VARIABLES = (
    "OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES", "GLIBC_TUNABLES",
)  # fmt: skip
"""Environment variables that make libraries use other code than this processor's fastest."""


class Processor(NamedTuple):
    """A processor: its model name, and its widest instruction set of INSTRUCTION_SETS."""

    name: str
    instruction_set: str
    family: int = 0  # of its maker, on Linux and x86; else 0


@cache
def this_processor() -> Processor:
    """Return this machine's processor; the architecture's name replaces what is unknown."""
    lines = []
    with suppress(OSError):  # not Linux
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    entries = (line.partition(":") for line in reversed(lines))
    info = {key.strip(): value.strip() for key, _, value in entries}  # of the first core
    name = info.get("model name") or platform.processor() or platform.machine()
    flags = info.get("flags") or info.get("Features") or _numpy_features("baseline", "found")
    sets = (title for title, names in INSTRUCTION_SETS.items() if names & set(flags.lower().split()))
    family = info.get("cpu family", "")
    return Processor(name, next(sets, platform.machine()), int(family) if family.isdecimal() else 0)


def _numpy_features(*lists: str) -> str:
    """Return NumPy's names of instruction sets: of its "baseline", and those "found" beyond it."""
    extensions: Any = np.show_config(mode="dicts").get("SIMD Extensions", {})  # without empty lists
    return " ".join(name for kind in lists for name in extensions.get(kind, ()))


def numpy_dispatch() -> str:
    """Return the instruction sets beyond the baseline that NumPy's loops use here.

    >>> isinstance(numpy_dispatch(), str)
    True
    """
    return _numpy_features("found") or "baseline"


@cache
def has_gpu_driver() -> bool:
    """Return whether an NVIDIA or AMD driver is installed; CuPy and torch's "cuda" need one."""
    for name in CUDA_DRIVERS:
        with suppress(OSError):
            ctypes.CDLL(name)
            return True
    return os.path.exists(ROCM_DRIVER)


def require_tf32(major: int, minor: int) -> None:
    """Raise InputError if a GPU of this compute capability has no TF32; Ampere (8.0) is the first with it."""
    if major < 8:
        got = f"precision is 'tf32' on compute capability {major}.{minor}"
        raise InputError(got, "a card of compute capability 8.0 or newer", "use the precision 'float32'")


def limiting_variables() -> dict[str, str]:
    """Return those of LIMITING_VARIABLES that are set, with their values."""
    return {name: os.environ[name] for name in LIMITING_VARIABLES if os.environ.get(name)}


def require_address_space(library: str, needed: int) -> None:
    """Raise MemoryError if this process may not map ``needed`` bytes more (``ulimit -v``)."""
    with suppress(ImportError, OSError):  # Windows has no limits, macOS no /proc
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        left = limit - used
        if limit != resource.RLIM_INFINITY and left < needed:
            got = f"{library} needs {needed >> 20} MB of address space, {left >> 20} MB are left"
            raise MemoryError(got)
