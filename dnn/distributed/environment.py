"""The environment variables of torchrun."""

import os
from math import inf

from backends.errors import InputError, short_repr

MAX_PORT = 65535
MAX_WORKERS = 2**16


def read_environment(name: str, first: int, last: float, default: object = "") -> int:
    """Return a variable of torchrun. Raises InputError: not an integer from ``first`` to ``last``."""
    text = os.environ.get(name, str(default))
    is_number = text.isdecimal() and len(text) < 10
    if not is_number or not first <= int(text) <= last:
        expected = f"a whole number from {first} to {last:g}"
        cure = "start workers with torchrun, or unset WORLD_SIZE for a single process"
        raise InputError(f"{name} is {short_repr(text)}", expected, cure)
    return int(text)


def read_torchrun() -> tuple[int, int, int, int]:
    """Return (rank, size, local rank, restarts). Raises InputError: one is missing or wrong."""
    size = read_environment("WORLD_SIZE", 1, MAX_WORKERS)
    rank = read_environment("RANK", 0, size - 1)
    local_rank = read_environment("LOCAL_RANK", 0, size - 1, 0)
    restarts = read_environment("TORCHELASTIC_RESTART_COUNT", 0, inf, 0)
    read_environment("MASTER_PORT", 1, MAX_PORT)
    return rank, size, local_rank, restarts
