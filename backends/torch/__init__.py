"""PyTorch tensors on the CPU, CUDA or Metal."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from backends.processor import require_address_space

SPIN_COUNT = "4000"
"""A waiting OpenMP thread of torch polls this often, about 0.1 ms, before it sleeps.

GNU OpenMP's default of 300,000 takes milliseconds. Beside another program, both threads may share one core.
Each wait then takes the time that the other thread needs, and an update of the lecture's network took 200 ms,
now 10. On a quiet machine it takes as long as with the default (2 % longer with 2000), and an update of
convolutions takes 3 % longer.
"""
WAIT_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
STARTUP_BYTES = 150 << 20  # of address space beside the libraries: 40 MB, and 64 MB for each further thread


def _import_torch() -> None:
    """Import torch with SPIN_COUNT, which GNU OpenMP reads now, unless the user chose how threads wait.

    Raises MemoryError: torch's libraries exceed the limit. C++ would abort if memory ended while they load.
    """
    found = find_spec("torch")
    if "torch" not in sys.modules and found is not None and found.origin is not None:
        libraries = (Path(found.origin).parent / "lib").glob("*")
        require_address_space("torch", STARTUP_BYTES + sum(path.stat().st_size for path in libraries))
    if any(name in os.environ for name in WAIT_VARIABLES):
        return
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        import torch  # noqa: F401
    finally:
        del os.environ["GOMP_SPINCOUNT"]  # other programs that this one starts keep their default


_import_torch()
