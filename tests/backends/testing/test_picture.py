"""The picture of a report: what is drawn where."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from backends.testing import Agreement
from backends.testing.bounds import Verdict
from backends.testing.picture import draw


def agreement(*found):
    return Agreement("f", [Verdict(backend, output, ratio) for backend, output, ratio in found])


def test_the_largest_of_all_seeds_stands_in_the_row_of_its_test(monkeypatch):
    """0 and infinity beside the ends of the axis; gradients are a series of their own."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file: figures.append(self))
    name, inf = "a.py::" + "x" * 60, float("inf")
    found = [
        ("a.py::test_b[seed0-k]", agreement(("numpy", "result", 0.5), ("torch", "gradient", 2.0))),
        ("a.py::test_b[seed12-k]", agreement(("numpy", "result", 0.7), ("torch", "gradient", 1.0))),
        ("a.py::test_a[seed3]", agreement(("torch", "result", 0.0), ("numpy", "result", 1e-7))),
        (name, agreement(("numpy", "result", inf), ("numpy", "more", 0.01))),
    ]
    draw(found, "unused.png")
    (axes,) = figures[0].axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["test_a", "test_b[k]", "x" * 57 + "..."]
    ticks = dict(zip((t.get_text() for t in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert ticks == {"0": 0.025, "0.1": 0.1, "1": 1.0, "10": 10.0, "inf": 40.0}
    drawn = {line.get_label(): np.transpose([line.get_xdata(), line.get_ydata()]) for line in axes.lines}
    wanted = {
        "numpy": [(0.025, 0), (0.7, 1), (40.0, 2)],
        "torch": [(0.025, 0)],
        "torch, gradient": [(2.0, 1)],
    }
    assert list(drawn) == list(wanted)
    for i, (series, points) in enumerate(wanted.items()):
        np.testing.assert_allclose(drawn[series], np.add(points, [0, 0.4 * ((i + 0.5) / 3 - 0.5)]))
    assert axes.get_xlim() == (0.0125, 80.0)
    assert axes.get_ylim() == (-0.5, 2.5)
    assert len({line.get_marker() for line in axes.lines}) == 3
