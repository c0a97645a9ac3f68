"""The environment variables of torchrun."""

import os

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
