"""gpu_check.py: what it does on a machine without a GPU, and how it holds its parts together."""

import json

import pytest
from command_lines import assert_refused, run, run_here
from gpu_checks import parts
from gpu_checks import run as checks
from gpu_checks.common import Settings
from gpu_checks.parts import BUDGET_S, PARTS

from backends import available_backends

no_gpu = pytest.mark.skipif(available_backends()["cupy"] is None, reason="there is a GPU")


@no_gpu
def test_without_a_device_it_says_so():
    result = run("gpu_check")
    if "torch on cuda: usable" in result.stdout:
        pytest.skip("there is a GPU")
    assert result.returncode == 3
    assert result.stderr.startswith("gpu_check.py: no CUDA device can be used: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_an_unknown_part_is_refused():
    assert_refused(run_here("gpu_check", "--parts", "doctro"), "doctro", "doctor")


def test_parts_fail_alone(tmp_path):
    def one(name, settings, limit):
        assert limit <= PARTS[name].seconds
        if name == "floor":
            return {"seconds": 1.0, "reason": "not done after 20 s"}
        return {"seconds": 2.0, "result": {"holds": True, "us": {"eager": 12.5}}}

    outcomes = dict(checks.run_parts(["doctor", "floor", "memory"], Settings(), one=one))
    assert list(outcomes) == ["doctor", "floor", "memory"]
    text = checks.table(outcomes)
    assert "FAILED: not done after 20 s" in text
    assert "us  eager" in text
    assert "12.5" in text
    assert not checks.holds(outcomes)
    del outcomes["floor"]
    assert checks.holds(outcomes)
    outcomes["memory"]["result"]["holds"] = False
    assert not checks.holds(outcomes)


def test_a_part_without_a_device_gives_its_reason():
    outcome = checks.run_part("memory", Settings(), 120)
    if "result" in outcome:
        pytest.skip("there is a GPU")
    assert "needs a CUDA device" in outcome["reason"]
    json.dumps(outcome)


@pytest.mark.parametrize("wrong", [(), ("--mutant", "lost-duplicates")])
def test_agreement_is_read_from_agree(wrong):
    options = ("--quick", "--levels", "L0", "--dataset", "digits", *wrong)
    found = parts._agree(Settings(device="cpu"), "numpy torch", *options)
    assert found["holds"] == (not wrong) == (not found["broken"])
    assert found["comparisons"] > 100


def test_a_part_that_hangs_is_stopped():
    outcome = checks.run_part("doctor", Settings(), 0.05)
    assert outcome["reason"] == "not done after 0 s"


def test_all_parts_fit_into_eight_minutes():
    assert BUDGET_S < 480
    assert sum(part.seconds for part in PARTS.values()) < 600  # their limits; most need far less
