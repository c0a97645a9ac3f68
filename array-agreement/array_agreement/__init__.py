"""Checks that a function gives the same result in all array libraries. README.md shows how."""

import importlib
from typing import Any

from array_agreement.check import Agreement, Disagreement, NothingCompared, check_agreement
from array_agreement.targets import InputError

__all__ = [
    "Agreement",
    "Disagreement",
    "InputError",
    "NothingCompared",
    "check_agreement",
    "check_call",
    "sweep",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Return what needs mpmath: ``check_call`` and ``sweep``."""
    if name in ("check_call", "sweep"):
        return getattr(importlib.import_module("array_agreement.sweeps"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
