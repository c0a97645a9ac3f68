"""Checks that a function gives the same result on all backends. See docs/agreement-for-your-code.md."""

from backends.testing.check import Agreement, Disagreement, check_agreement

__all__ = ["Agreement", "Disagreement", "check_agreement"]
