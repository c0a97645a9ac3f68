"""Reports: the verdict, the table and the JSON."""

from __future__ import annotations

import json
import re

import pytest

from dnn.agreement import Record, report
from dnn.agreement.calls.call import make_draw
from dnn.agreement.calls.step_calls import step_call
from dnn.optimizers import AdamW, RMSprop

HOLDING_RECORD = Record("L2", "case", "z dense_1", "numpy", 0.5, 1.0)
MISMATCH_RECORD = Record("L1", "case", "ArrayMismatch", "torch", float("inf"), 0.0, "z has dtype float64")


def broken_record(ratio):
    return Record("L2", "case", f"d {ratio}", "torch", 2.0 * ratio, 2.0)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([HOLDING_RECORD, HOLDING_RECORD], ["all 2 comparisons hold"]),
        ([HOLDING_RECORD, broken_record(2), broken_record(3)],
         ["2 of 3 comparisons are broken:", "L2 torch case: d 3, 3 x its bound; and 1 more"]),
        ([MISMATCH_RECORD], ["1 of 1 comparisons are broken:",
                             "L1 torch case: ArrayMismatch (z has dtype float64)"]),
        ([Record("L1", "c", "z", "numpy", float("inf"), 1.0)],
         ["1 of 1 comparisons are broken:", "L1 numpy c: z, inf x its bound"]),
    ],
)  # fmt: skip
def test_verdict_comes_first_with_the_worst_of_each_level_and_backend(records, expected):
    assert report.table(records, {}).split("\n\n")[0].splitlines() == expected


def test_table_has_a_line_for_each_level_and_the_notes_come_last():
    accuracy = [Record("L5", "10 epochs", "accuracy", name, 0.0, 0.25, "98") for name in ("numpy", "strict")]
    records = [MISMATCH_RECORD, HOLDING_RECORD, broken_record(30), broken_record(2), *accuracy]
    lines = report.table(records, {"cupy": "none"}).splitlines()
    cells = [re.split(r" {2,}", line.strip()) for line in lines]
    assert cells[-7:-3] == [
        ["worst error / bound", "comparisons", "torch", "numpy", "strict"],
        ["L1 layers", "1", "inf", "-", "-"],
        ["L2 networks", "3", "30", "0.5", "-"],
        ["L5 accuracy", "2", "-", "0", "0"],
    ]
    assert lines[-3:] == ["", "not run: cupy: none", "numpy, strict, 10 epochs: 98"]


def test_a_call_names_its_arguments_and_settings():
    for optimizer in (AdamW(0.1), RMSprop(0.1, momentum=0.5)):
        label = step_call(optimizer, make_draw(0), 9, 12).label
        settings = ", ".join(map(str, optimizer.settings()))
        for name, value in {"p": 9, "rate": 0.25, "updates": 12.0, "settings": f"({settings})"}.items():
            assert f" {name}={value}" in label


def test_as_json_contains_everything():
    found = json.loads(report.as_json([HOLDING_RECORD], {"a": "b"}, {"seed": 1}, {"numpy": {"x": 2}}))
    assert {k: found[k] for k in ("holds", "asked", "backends", "not_run")} == {
        "holds": True, "asked": {"seed": 1}, "backends": {"numpy": {"x": 2}}, "not_run": {"a": "b"},
    }  # fmt: skip
    names = ("level", "case", "tensor", "backend", "measured", "bound", "note", "verdict")
    values = ("L2", "case", "z dense_1", "numpy", 0.5, 1.0, "", "holds")
    assert found["records"] == [dict(zip(names, values, strict=True))]


def test_ratios_at_0_and_of_nan():
    exact = [Record("L0", "c", "t", "numpy", m, 0.0) for m in (0.0, 1.0)]
    assert [r.ratio for r in exact] == [0.0, float("inf")]
    assert [r.holds for r in exact] == [True, False]
    assert Record("L0", "c", "t", "numpy", 1.0, 1.0).holds
    unknown = Record("L2", "c", "z", "numpy", float("nan"), 1.0)
    assert (unknown.holds, unknown.ratio) == (False, float("inf"))
