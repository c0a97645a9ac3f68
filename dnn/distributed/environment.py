"""The environment variables of torchrun."""

import os
from math import inf

from backends.errors import InputError, short_repr

ENVIRONMENT_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
MAX_PORT = 65535
MAX_WORKERS = 2**16


def read_environment(name: str, default: int, first: int, last: float) -> int:
    """Return a variable of torchrun. Raises InputError: not an integer from ``first`` to ``last``."""
    text = os.environ.get(name, str(default))
    is_number = text.isdecimal() and len(text) < 10
    if not is_number or not first <= int(text) <= last:
        expected = f"a whole number from {first} to {last:g}"
        raise InputError(
            f"{name} is {short_repr(text)}", expected, "unset it, or start workers with torchrun"
        )
    return int(text)


def read_torchrun() -> tuple[int, int, int, int, int]:
    """Return (rank, size, local rank, local size, restarts). Raises InputError: one is missing or wrong."""
    if missing := [name for name in ENVIRONMENT_VARIABLES if name not in os.environ]:
        raise InputError(f"WORLD_SIZE is set and {missing[0]} is not", "the environment of torchrun")
    size = read_environment("WORLD_SIZE", 1, 1, MAX_WORKERS)
    rank = read_environment("RANK", 0, 0, size - 1)
    local_size = read_environment("LOCAL_WORLD_SIZE", size, 1, size)
    local_rank = read_environment("LOCAL_RANK", 0, 0, local_size - 1)
    restarts = read_environment("TORCHELASTIC_RESTART_COUNT", 0, 0, inf)
    read_environment("MASTER_PORT", 0, 1, MAX_PORT)
    return rank, size, local_rank, local_size, restarts
