"""Checks that a function gives the same result in all array libraries. README.md shows how."""

from array_agreement.check import Agreement, Disagreement, NothingCompared, check_agreement
from array_agreement.targets import InputError

__all__ = ["Agreement", "Disagreement", "InputError", "NothingCompared", "check_agreement"]
__version__ = "0.1.0"
