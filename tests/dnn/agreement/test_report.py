"""Reports: the verdict, the table and the JSON."""

from __future__ import annotations

import json
import re

import pytest

from dnn.agreement import Record, report, worst_records

HOLDING_RECORD = Record("L2", "case", "z dense_1", "numpy", 0.5, 1.0)
MISMATCH_RECORD = Record("L1", "case", "array type", "torch", float("inf"), 0.0, "z has dtype float64")


def broken_record(ratio):
    return Record("L2", "case", f"d {ratio}", "torch", 2.0 * ratio, 2.0)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([HOLDING_RECORD, HOLDING_RECORD], "all 2 comparisons hold"),
        ([HOLDING_RECORD, broken_record(2), broken_record(3)],
         "2 of 3 comparisons are broken: L2 torch case: d 3 3 x its bound; L2 torch case: d 2 2 x its bound"),
        ([MISMATCH_RECORD], "1 of 1 comparisons are broken: L1 torch case: array type (z has dtype float64)"),
        ([Record("L1", "c", "z", "numpy", float("inf"), 1.0)],
         "1 of 1 comparisons are broken: L1 numpy c: z inf x its bound"),
    ],
)  # fmt: skip
def test_verdict(records, expected):
    assert report.verdict(records) == expected


@pytest.mark.parametrize(("n", "more"), [(5, ""), (6, "; and 1 more"), (7, "; and 2 more")])
def test_verdict_names_at_most_five_records(n, more):
    said = report.verdict([broken_record(i + 2) for i in range(n)])
    assert said.count("x its bound") == 5
    assert said.endswith(f"d {n - 3} {n - 3} x its bound{more}")


def test_table_has_a_line_for_each_level_and_backend():
    accuracy = Record("L5", "10 epochs", "test accuracy", "numpy", 0.0, 0.25, "mean 98")
    lines = report.table(
        [HOLDING_RECORD, accuracy, broken_record(3), broken_record(2), MISMATCH_RECORD], {"cupy": "none"}
    ).splitlines()
    cells = [re.split(r" {2,}", line.strip()) for line in lines]
    at = next(i for i, row in enumerate(cells) if row[0] == "L1")
    assert cells[0] == list(report.HEADINGS)
    assert cells[at : at + 4] == [
        ["L1", "torch", "broken", "1", "inf", "0.00e+00", "inf", "case: array type"],
        ["L2", "numpy", "holds", "1", "5.00e-01", "1.00e+00", "0.5", "case: z dense_1"],
        ["L2", "torch", "broken", "2", "6.00e+00", "2.00e+00", "3", "case: d 3"],
        ["L5", "numpy", "holds", "1", "0.00e+00", "2.50e-01", "0", "10 epochs: test accuracy"],
    ]
    assert lines[-3:-1] == ["numpy, 10 epochs: mean 98", "not run: cupy: none"]


def test_as_json_contains_everything():
    found = json.loads(report.as_json([HOLDING_RECORD], {"a": "b"}, {"seed": 1}, {"numpy": {"x": 2}}))
    assert {k: found[k] for k in ("holds", "asked", "backends", "not_run")} == {
        "holds": True, "asked": {"seed": 1}, "backends": {"numpy": {"x": 2}}, "not_run": {"a": "b"},
    }  # fmt: skip
    names = ("level", "case", "tensor", "backend", "measured", "bound", "note", "verdict")
    values = ("L2", "case", "z dense_1", "numpy", 0.5, 1.0, "", "holds")
    assert found["records"] == [dict(zip(names, values, strict=True))]


def test_ratios_at_0_and_worst_records():
    exact = [Record("L0", "c", "t", "numpy", m, 0.0) for m in (0.0, 1.0)]
    assert [r.ratio for r in exact] == [0.0, float("inf")]
    assert [r.holds for r in exact] == [True, False]
    assert Record("L0", "c", "t", "numpy", 1.0, 1.0).holds
    unknown = Record("L2", "c", "z", "numpy", float("nan"), 1.0)
    assert (unknown.holds, unknown.ratio) == (False, float("inf"))
    names = (("L1", "c", "t", "a"), ("L0", "d", "t", "a"), ("L0", "c", "s", "a"), ("L0", "c", "t", "b"))
    others = [Record(*of, 0.1, 1.0) for of in (*names, ("L0", "c", "t", "a"))]
    assert worst_records(others) == others
    assert worst_records([exact[1], exact[0]]) == [exact[1]]
