"""Do backends agree on a function of yours? See docs/agreement-for-your-code.md."""

from backends.testing.check import Agreement, Disagreement, check_agreement

__all__ = ["Agreement", "Disagreement", "check_agreement"]
