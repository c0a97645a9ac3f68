"""What a person is told: the verdict, the table, the pictures; and bounds beside derived ones."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from backends.testing.bounds import student
from backends.testing.watched import Call, Watched
from dnn.agreement import Record, derived, report, worst_of_each
from dnn.agreement.derived import Pair, RandomWalk, disturbed_run

U = 2.0**-24
GOOD = Record("L2", "case", "z dense_1", "numpy", 0.5, 1.0)
INFINITE = Record("L1", "case", "door", "torch", float("inf"), 0.0, "z has dtype float64")


def bad(ratio):
    return Record("L2", "case", f"d {ratio}", "torch", 2.0 * ratio, 2.0)


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([GOOD, GOOD], "all 2 comparisons hold"),
        ([GOOD, bad(2), bad(3)],
         "2 of 3 comparisons are broken: L2 torch case: d 3 3 x its bound; L2 torch case: d 2 2 x its bound"),
        ([INFINITE], "1 of 1 comparisons are broken: L1 torch case: door (z has dtype float64)"),
        ([Record("L1", "c", "z", "numpy", float("inf"), 1.0)],
         "1 of 1 comparisons are broken: L1 numpy c: z inf x its bound"),
    ],
)  # fmt: skip
def test_the_verdict(records, wanted):
    assert report.verdict(records) == wanted


@pytest.mark.parametrize(("n", "more"), [(5, ""), (6, "; and 1 more"), (7, "; and 2 more")])
def test_five_are_named(n, more):
    said = report.verdict([bad(i + 2) for i in range(n)])
    assert said.count("x its bound") == 5
    assert said.endswith(f"d {n - 3} {n - 3} x its bound{more}")


def test_the_table_has_a_line_for_each_level_and_backend():
    accuracy = Record("L5", "10 epochs", "test accuracy", "numpy", 0.0, 0.25, "mean 98")
    lines = report.table([GOOD, accuracy, bad(3), bad(2), INFINITE], {"cupy": "none"}).splitlines()
    cells = [re.split(r" {2,}", line.strip()) for line in lines]
    at = next(i for i, row in enumerate(cells) if row[0] == "L1")
    assert cells[at : at + 4] == [
        ["L1", "torch", "1", "case: door", "inf", "0.00e+00", "inf", "broken"],
        ["L2", "numpy", "1", "case: z dense_1", "5.00e-01", "1.00e+00", "0.5", "holds"],
        ["L2", "torch", "2", "case: d 3", "6.00e+00", "2.00e+00", "3", "broken"],
        ["L5", "numpy", "1", "10 epochs: test accuracy", "0.00e+00", "2.50e-01", "0", "holds"],
    ]
    assert lines[-3:-1] == ["numpy: mean 98", "not run: cupy: none"]


def test_the_file_has_everything():
    found = json.loads(report.as_json([GOOD], {"a": "b"}, {"seed": 1}, {"numpy": {"x": 2}}))
    assert {k: found[k] for k in ("holds", "asked", "backends", "not_run")} == {
        "holds": True, "asked": {"seed": 1}, "backends": {"numpy": {"x": 2}}, "not_run": {"a": "b"},
    }  # fmt: skip
    names = ("level", "case", "tensor", "backend", "measured", "bound", "note", "verdict")
    values = ("L2", "case", "z dense_1", "numpy", 0.5, 1.0, "", "holds")
    assert found["records"] == [dict(zip(names, values, strict=True))]
    assert INFINITE.as_dict()["measured"] == "inf"
    assert GOOD.as_dict()["measured"] == 0.5


def test_ratios_at_0_and_the_worst_of_each():
    exact = [Record("L0", "c", "t", "numpy", m, 0.0) for m in (0.0, 1.0)]
    assert [r.ratio for r in exact] == [0.0, float("inf")]
    assert [r.holds for r in exact] == [True, False]
    assert Record("L0", "c", "t", "numpy", 1.0, 1.0).holds
    names = (("L1", "c", "t", "a"), ("L0", "d", "t", "a"), ("L0", "c", "s", "a"), ("L0", "c", "t", "b"))
    others = [Record(*of, 0.1, 1.0) for of in (*names, ("L0", "c", "t", "a"))]
    assert worst_of_each(others) == others
    assert worst_of_each([exact[1], exact[0]]) == [exact[1]]


@pytest.mark.parametrize(
    ("record", "row"),
    [
        (("L2", "c", "d dense_12.W"), "L2  d dense.W"),
        (("L1", "c", "dx 2"), "L1  dx"),
        (("L0", "unary", "exp"), "L0  unary exp"),
        (("L0", "gather_rows uint8 33", "array 2"), "L0  gather_rows"),
    ],
)
def test_rows_of_the_picture(record, row):
    assert report.row_name(Record(*record, "numpy", 0.0, 1.0)) == row


def test_the_pictures(tmp_path, monkeypatch):
    """Beside each other in the line of their tensor; what has no place on the axis at its ends."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: figures.append(self))
    zero = Record("L0", "unary", "exp", "numpy", 0.0, 4.0)
    report.draw_bounds([GOOD, bad(3), zero, INFINITE], tmp_path / "a.png")
    report.draw_drift({"numpy": [1e-7, 1e-6], "torch": [2e-7]}, tmp_path / "b.png")
    (bounds,), (drifts,) = (figure.axes for figure in figures)
    *lines, limit = bounds.lines
    assert limit.get_xdata() == [1.0, 1.0]
    assert [line.get_label() for line in lines] == ["numpy", "torch"]
    assert [line.get_xdata().tolist() for line in lines] == [[1e-8, 0.5], [1e8, 3.0]]
    np.testing.assert_allclose([line.get_ydata() for line in lines], [[-0.175, 1.825], [1.175, 3.175]])
    assert [t.get_text() for t in bounds.get_yticklabels()] == [
        "L0  unary exp",
        "L1  door",
        "L2  z dense",
        "L2  d",
    ]
    assert bounds.get_ylim() == (3.5, -0.5)
    assert [line.get_xdata().tolist() for line in drifts.lines] == [[1, 2], [1]]
    assert [list(line.get_ydata()) for line in drifts.lines] == [[1e-7, 1e-6], [2e-7]]
    assert {axes.get_yscale() for axes in (drifts,)} == {bounds.get_xscale()} == {"log"}
    assert drifts.lines[0].get_linewidth() > drifts.lines[1].get_linewidth() > 1.5


# --------------------------------------------------------------------------- derived ones


def runs(case, tensor, bound, *errors, note=""):
    return [Record("L2", case, tensor, f"run {i}", e, bound, note) for i, e in enumerate(errors)]


def test_a_derived_bound_is_a_mean_and_students_spread():
    """At least one rounding; of extremes the largest, as one bound is for all; 0 where nothing differs."""
    t = student(3, 1e-6)
    records = [
        *runs("c", "z", 3 * U, U, 2 * U, 3 * U), *runs("c", "a", 4.0, 0.1, 0.1, 0.1),
        *runs("c", "e", 0.0, 0.0, 0.0), *runs("c", "f", 0.0, 0.0, 1e-12),
        *runs("c", "small", 0.0999, 0.0, 0.0), *runs("Dense extremes", "z", 1, 0, 0),
        *runs("hinge extremes", "dy 1", 1.0, 2.0, 2.0), *runs("hinge extremes", "dy 12", 1.0, 3.0, 3.0),
        *runs("c", "twice", 1.0, 4.0, 4.0, note="batch 1"),
        *runs("c", "twice", 1.0, 1.0, 1.0, note="batch 2"),
    ]  # fmt: skip
    found = {(p.case, p.tensor): (p.analytic, p.derived) for p in derived.pairs(records)}
    assert found.pop(("c", "z")) == (3 * U, pytest.approx(2 * U + t * U))
    analytic, of_f = found.pop(("c", "f"))
    assert analytic == 0.0
    assert of_f == U
    assert found == {
        ("c", "a"): (4.0, 0.5), ("c", "e"): (0.0, 0.0), ("c", "small"): (0.0999, U),
        ("hinge extremes", "dy 12"): (1.0, 3.0), ("c", "twice"): (1.0, 4.0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("analytic", "near"), [(10.0, True), (10.1, False), (0.1, True), (0.099, False), (0, False)]
)
def test_near_is_within_a_factor_of_10(analytic, near):
    assert Pair("L2", "c", "z", analytic, 1.0).near is near
    assert Pair("L2", "c", "z", 0.0, 0.0).near
    pairs = [
        Pair("L2", "c", "z dense_1", analytic, 1.0),
        Pair("L2", "c", "z dense_2", 2.0, 1.0),
        Pair("L0", "c", "e", 0.0, 0.0),
    ]
    *lines, last = derived.table(pairs).splitlines()
    assert [re.split(" {2,}", line.strip()) for line in lines] == [
        ["comparison", "number", "analytic / derived bound"],
        ["L2", "z dense", "2", f"{min(2.0, analytic):.2g} to {max(2.0, analytic):.2g}"],
        ["L0", "c", "1", "exact"],
    ]
    assert last == (
        "3 of 3 pairs are within a factor of 10" if near else
        f"2 of 3 pairs are within a factor of 10; 1 are not: L2 c: z dense_1 {analytic:.3g}"
    )  # fmt: skip


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_sums_walk_at_random(name):
    """u sqrt((k + 2) / 3 (r^2 + 3/2 sum x^2)), of a mean divided by k; never more than a sum of sizes."""
    space = Watched(wide=True)
    for x, most in ((np.asarray([0.5, -1.25, 2.5]), False), (np.asarray([0.5, 0.0, 0.0]), True)):
        call = Call(name, getattr(np, name), (space.asarray(x),), {}, True)
        size = np.abs(x).sum() if most else (x.sum() ** 2 + 1.5 * (x**2).sum()) ** 0.5
        wanted = (5 / 3) ** 0.5 * size / (3 if name == "mean" else 1)
        assert RandomWalk().sum_size(call, getattr(x, name)()) == pytest.approx(wanted)


def test_every_disturbed_run_is_another():
    z = np.linspace(-2, 2, 8).reshape(2, 4)
    of = [disturbed_run(*run).activation("tanh", z, z)[0] for run in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert np.array_equal(of[0], of[1])
    assert len({y.tobytes() for y in of}) == 3
    assert all(0 < np.abs(y - np.tanh(z.astype(np.float32))).max() < 8 * U for y in of)
