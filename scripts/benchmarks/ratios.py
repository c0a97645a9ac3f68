"""Ours against theirs: ratios, their spread or interval, and what must hold."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.quartiles import Spread, quartile_ratio
from benchmarks.rotation import Results


def spread(values: Sequence[float]) -> Spread:
    """
    >>> spread([3.0, 1.0, 2.0])
    Spread(value=2.0, low=1.0, high=3.0)
    """
    return Spread(statistics.median(values), min(values), max(values))


OURS = ("numpy", "numba", "torch")
KERAS = ("keras-jax", "keras-torch", "keras-tensorflow")
Requirement = tuple[tuple[str, ...], tuple[str, ...], float]
REQUIREMENTS: Sequence[Requirement] = (
    (("numba",), ("pytorch",), 0.60),
    (("torch",), ("pytorch",), 0.72),
    (("numpy",), ("pytorch",), 0.90),
    (("torch",), ("torch-compile",), 0.80),
    (("torch",), ("pytorch-fused",), 0.83),
    (("numba",), ("torch-compile",), 0.70),
    (("numba",), ("pytorch-fused",), 0.70),
    (OURS, ("jax",), 0.85),
    (("numba",), ("floor-numpy",), 1.05),
    (("torch",), ("floor-torch",), 1.30),
    (OURS, KERAS, 0.45),
    (OURS, ("sklearn",), 0.25),
)
"""(ours, theirs, the most that ours / theirs may be); of several that ran, the fastest stands for them.
What is aimed at: the lecture's network, batch 100, Adam, float32, 2 cores."""


def verdict(holds: bool) -> str:
    """In a word, of which a miss catches the eye."""
    return "holds" if holds else "MISSED"


class Judged(NamedTuple):
    """A requirement and what was measured; ``ratio`` is None where a side could not run."""

    ours: str
    theirs: str
    bound: float
    ratio: Spread | None

    @property
    def verdict(self) -> str:
        return verdict(self.ratio.value <= self.bound) if self.ratio else "not run"


def judge(results: Results, requirements: Sequence[Requirement] = REQUIREMENTS) -> list[Judged]:
    """What was measured for each requirement."""
    lines = []
    for ours, theirs, bound in requirements:
        a, b = (next((n for n in results.names() if n in side), None) for side in (ours, theirs))
        found = quartile_ratio(results.ms(a), results.ms(b)) if a and b else None
        left = f"best of ours ({a})" if a and len(ours) > 1 else a or " / ".join(ours)
        right = f"fastest Keras ({b})" if b and len(theirs) > 1 else b or " / ".join(theirs)
        lines.append(Judged(left, right, bound, found))
    return lines


MEMORY_MB = 120
"""The most that a NumPy training run may take above what importing torch and torchvision takes."""


def memory(results: Results) -> float | None:
    """What "numpy" took above these imports, in MB; None where that was not measured."""
    runs = [run for run in results.runs.get("numpy", []) if run.get("import_mb") is not None]
    return max(float(run["peak_mb"] - run["import_mb"]) for run in runs) if runs else None
