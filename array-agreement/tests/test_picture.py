"""The plot of a report: rows, series, ticks and positions."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from array_agreement import Agreement
from array_agreement.bounds import Verdict
from array_agreement.picture import draw


def agreement(*results):
    return Agreement("f", [Verdict(backend, output, ratio) for backend, output, ratio in results])


def test_plots_the_largest_ratio_of_all_seeds_in_one_row_per_test(monkeypatch):
    """0 and infinity lie beside the ticks of the axis. Gradients are separate series."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file: figures.append(self))
    name, inf = "a.py::" + "x" * 60, float("inf")
    results = [
        ("a.py::test_b[seed0-k]", agreement(("numpy", "result", 0.5), ("torch", "gradient", 2.0))),
        ("a.py::test_b[seed12-k]", agreement(("numpy", "result", 0.7), ("torch", "gradient", 1.0))),
        ("a.py::test_a[seed3]", agreement(("torch", "result", 0.0), ("numpy", "result", 1e-7))),
        (name, agreement(("numpy", "result", inf), ("numpy", "more", 0.01))),
    ]
    draw(results, "unused.png")
    (axes,) = figures[0].axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["test_a", "test_b[k]", "x" * 57 + "..."]
    ticks = dict(zip((t.get_text() for t in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert ticks == {"0": 0.025, "0.1": 0.1, "1": 1.0, "10": 10.0, "inf": 40.0}
    points_by_series = {
        line.get_label(): np.transpose([line.get_xdata(), line.get_ydata()]) for line in axes.lines
    }
    expected = {
        "numpy": [(0.025, 0), (0.7, 1), (40.0, 2)],
        "torch": [(0.025, 0)],
        "torch, gradient": [(2.0, 1)],
    }
    assert list(points_by_series) == list(expected)
    for i, (series, points) in enumerate(expected.items()):
        np.testing.assert_allclose(points_by_series[series], np.add(points, [0, 0.4 * ((i + 0.5) / 3 - 0.5)]))
    assert axes.get_xlim() == (0.0125, 80.0)
    assert axes.get_ylim() == (-0.5, 2.5)
    assert len({line.get_marker() for line in axes.lines}) == 3
