"""PyTorch tensors on the CPU, CUDA or Metal."""

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

SPIN_COUNT = "4000"
"""A waiting OpenMP thread of torch polls this often, about 0.1 ms, before it sleeps.

GNU OpenMP's default of 300,000 takes milliseconds. Beside another program, both threads may share one core.
Each wait then takes the time that the other thread needs, and an update of the lecture's network took 200 ms,
now 10. On a quiet machine 4000 is as fast as the default, and 2000 is 2 % slower.
"""
WAIT_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
STARTUP_BYTES = 150 << 20  # of address space beside the libraries: 40 MB, and 64 MB for each further thread


def _require_memory() -> None:
    """Raise MemoryError if torch's libraries exceed RLIMIT_AS, since C++ aborts if memory ends meanwhile."""
    found = find_spec("torch")
    if "torch" in sys.modules or found is None or found.origin is None:
        return
    with suppress(ImportError, OSError):  # Windows has no limits, macOS no /proc
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        needed = STARTUP_BYTES + sum(p.stat().st_size for p in (Path(found.origin).parent / "lib").iterdir())
        if limit != resource.RLIM_INFINITY and limit - used < needed:
            left = max(0, limit - used)
            raise MemoryError(f"torch needs {needed >> 20} MB of address space, {left >> 20} MB are left")


def _import_torch() -> None:
    """Import torch with SPIN_COUNT, which GNU OpenMP reads now, unless the user chose how threads wait."""
    _require_memory()
    if any(name in os.environ for name in WAIT_VARIABLES):
        return
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        import torch  # noqa: F401
    finally:
        del os.environ["GOMP_SPINCOUNT"]  # other programs that this one starts keep their default


_import_torch()
