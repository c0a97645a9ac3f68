"""The plot of a report: the largest error / bound of each test on each backend."""

import re
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from array_agreement.check import Agreement


def draw(results: Iterable[tuple[str, Agreement]], file: str) -> None:
    """Plot the results of tests into a file. Tests that differ only in the seed share a row.

    Args:
        results: (name of a test, its agreement)
        file: path of the picture

    Raises ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    worst: dict[str, dict[str, float]] = defaultdict(dict)  # test -> backend -> ratio
    for test, agreement in results:
        row = worst[re.sub(r"(?<=\[)seed\d+-?", "", test.rpartition("::")[2]).removesuffix("[]")]
        for verdict in agreement.verdicts:
            series = verdict.backend + ", gradient" * (verdict.output == "gradient")
            row[series] = max(row.get(series, 0.0), verdict.ratio)
    tests = sorted(worst, key=lambda test: max(worst[test].values(), default=0.0))
    ratios = [ratio for row in worst.values() for ratio in row.values() if 1e-6 < ratio < np.inf]
    ticks = 10 ** np.arange(np.floor(np.log10(min([0.1, *ratios]))), np.log10(max([1.1, *ratios])) + 1)
    zero = ticks[0] / 4  # a logarithmic axis has no 0 and no infinity: plot them beside the ticks
    infinite = ticks[-1] * 4
    figure = Figure(figsize=(9, 1.2 + 0.21 * len(tests)), dpi=120, layout="constrained")
    axes = figure.add_subplot(xscale="log", xlim=(zero / 2, infinite * 2), ylim=(-0.5, len(tests) - 0.5))
    axes.axvspan(1, infinite * 2, color="tab:red", alpha=0.1, linewidth=0)
    axes.barh(range(0, len(tests), 2), 1e9, 1.0, color="black", alpha=0.05)
    backends = sorted({backend for row in worst.values() for backend in row})
    for i, backend in enumerate(backends):
        x, y = np.transpose([(worst[t][backend], y) for y, t in enumerate(tests) if backend in worst[t]])
        y += 0.4 * ((i + 0.5) / len(backends) - 0.5)  # so that backends do not overlap
        axes.plot(np.clip(x, zero, infinite), y, "osD^vP*X"[i % 8], label=backend, markersize=4)
    axes.set_xticks([zero, *ticks, infinite], ["0", *(f"{tick:g}" for tick in ticks), "inf"])
    axes.set_yticks(range(len(tests)), [t if len(t) < 60 else f"{t[:57]}..." for t in tests], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("largest error / bound (above 1: disagrees)")
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(file)
