"""Plans: a backend declares which ones it compiles, and the check trains with each of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product

import pytest
from agreement_inputs import DATA, setup

from backends.plan import PlanForms
from dnn.agreement import get_contender, level4_fits, report
from dnn.agreement.plan_fits import plan_cases

FEW = PlanForms(("float32",), ("adam",), 2, ("linear", "relu"), ("bytes",), 1.0, False, 2, 64, 9)


def plans(forms):
    return [c for c in plan_cases(partial(level4_fits.make_case, DATA, 0), forms) if "70001" not in c.name]


def test_fits_have_every_pair_of_the_declared_forms():
    *cases, long = plans(FEW)
    pairs = {(c.activation, c.optimizer.name) for c in cases}
    assert pairs == {*product(FEW.activations, ("adam", "adamw"))}
    assert {(c.dtypes, c.images.dtype.name, c.loss.label_smoothing) for c in cases} == {
        (("float32",), "uint8", 0.0)
    }
    assert {c.classes for c in cases} == {2, 3}
    assert {len(c.hidden) for c in cases} == {1, 2, 3, 4}
    assert len(long.labels) > 2 * 512  # batches of two


@pytest.mark.parametrize("kind", level4_fits.MISTAKES)
def test_a_fit_that_would_not_notice_a_mistake_fails(kind, monkeypatch):
    """Its rate is so small that no change exceeds the bound."""
    monkeypatch.setattr(level4_fits, "MISTAKES", [kind] * 4)
    for case in plans(FEW)[:2]:
        for rate, holds in ((case.optimizer.learning_rate, True), (1e-9, False)):
            same = replace(case, optimizer=replace(case.optimizer, learning_rate=rate))
            broken = [r.tensor for r in level4_fits.judge_fit(setup("L4"), same) if not r.holds]
            assert broken == [f"one {kind} changed"] * (not holds)


@pytest.mark.parametrize("refused", ["nothing", "relu (", ""])
def test_each_declared_fit_must_run_as_a_plan(refused, monkeypatch):
    """A backend that declares a form, and does not compile it, fails by the form's name."""
    pytest.importorskip("numba")
    numba = get_contender("numba")
    kind = type(numba.backend)
    forms = numba.backend.plan_forms
    if forms is None:
        pytest.skip("NumPy has no OpenBLAS here, or this is not Linux")
    monkeypatch.setattr(level4_fits, "fit_cases", lambda *_: [])
    monkeypatch.setattr(level4_fits, "plan_cases", lambda _, forms: declared.append(forms) or cases)
    declared = []
    cases = [c for c in plans(replace(forms, examples=("bytes",), min_layers=2))[::5]]
    compile_plan = kind.compile_plan

    def compile_less(self, plan):
        return None if refused in f"{plan.layers[0].activation} (" else compile_plan(self, plan)

    monkeypatch.setattr(kind, "compile_plan", compile_less)
    records = list(level4_fits.fit_level(setup("L4", numba, get_contender("numpy"))))
    broken = [r.case for r in records if not r.holds]
    assert broken == [c.name for c in cases if refused in c.name]
    assert declared == [forms, PlanForms()]
    ran = len(cases) - len(broken)
    assert (f"numba: {ran} fits ran as plans" in report.table(records, {})) == (ran > 0)
