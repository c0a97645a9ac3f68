"""The plot of a report: rows, series and positions."""

from __future__ import annotations

from matplotlib.figure import Figure

from array_agreement import Agreement
from array_agreement.bounds import Verdict
from array_agreement.picture import draw


def agreement(*results):
    return Agreement("f", [Verdict(backend, output, ratio) for backend, output, ratio in results])


def test_plots_the_largest_ratio_of_all_seeds_in_one_row_per_test(monkeypatch):
    """Ratios beyond the axis lie at its ends. Gradients are separate series."""
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
    expected = {
        "numpy": [(1e-3, 0), (0.7, 1), (1e3, 2)],
        "torch": [(1e-3, 0)],
        "torch, gradient": [(2.0, 1)],
    }
    points = {
        line.get_label(): sorted(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in axes.lines
    }
    assert points == expected
    assert axes.get_xlim() == (5e-4, 2e3)
    assert len({line.get_marker() for line in axes.lines}) == 3
