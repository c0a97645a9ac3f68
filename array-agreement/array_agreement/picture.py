"""The plot of a report: the largest error / bound of each test on each backend."""

from collections.abc import Iterable

import numpy as np

from array_agreement.check import Agreement
from array_agreement.report import worst_verdicts

MIN_RATIO = 1e-3
MAX_RATIO = 1e3


def draw(results: Iterable[tuple[str, Agreement]], file: str) -> None:
    """Plot the results of tests into a file. Tests that differ only in the seed share a row.

    Args:
        results: (name of a test, its agreement)
        file: path of the picture

    Raises ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    worst = {key: min(max(v.ratio, MIN_RATIO), MAX_RATIO) for key, v in worst_verdicts(results).items()}
    largest = {row: max(r for (_, test), r in worst.items() if test == row) for _, row in worst}
    tests = sorted(largest, key=lambda row: largest[row])
    figure = Figure(figsize=(9, 1.2 + 0.21 * len(tests)), dpi=120, layout="constrained")
    axes = figure.add_subplot(xscale="log", xlim=(MIN_RATIO / 2, 2 * MAX_RATIO))
    axes.axvspan(1, 2 * MAX_RATIO, color="tab:red", alpha=0.1)
    for i, backend in enumerate(sorted({backend for backend, _ in worst})):
        points = [(ratio, tests.index(row)) for (name, row), ratio in worst.items() if name == backend]
        axes.plot(*np.transpose(points), "osD^vP*X"[i % 8], label=backend, markersize=4, alpha=0.7)
    axes.set_yticks(range(len(tests)), [t if len(t) < 60 else f"{t[:57]}..." for t in tests], fontsize=8)
    axes.set_xlabel("largest error / bound, shown from 0.001 to 1000 (above 1: disagrees)")
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(file)
