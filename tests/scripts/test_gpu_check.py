"""gpu_check.py: what it does on a machine without a GPU, and how it holds its parts together."""

import json
from dataclasses import replace
from functools import partial

import array_api_compat.numpy as npx
import host_cuda
import pytest
from benchmarks import settings as benchmark
from benchmarks.contenders import get_contender
from benchmarks.task import load
from command_lines import assert_refused, run, run_here
from gpu_checks import parts
from gpu_checks import run as checks
from gpu_checks.common import Settings
from gpu_checks.parts import BUDGET_S, PARTS

from backends import available_backends
from backends.recording import Recorded

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


class Here:
    """What the parts ask of Settings, with the CUDA text on the host in the place of a card."""

    device = "cpu"

    def __init__(self, wrong=0.0):
        self.wrong = wrong

    def task(self):
        return load(benchmark.Settings(dataset="digits", hidden=(16,), batch=50))

    def both(self, found):
        found["torch"] = "backend 'torch' on 'cuda' needs a CUDA device"
        yield "cupy", self.on("cupy")

    def on(self, library, graphs=False):
        made = host_cuda.WholeOnNumpy if graphs else host_cuda.CupyOverridesOnNumpy
        backend, wrong = made("cupy", npx, "cpu", "float32"), self.wrong

        class Graphs(Recorded):
            def record(self, n):
                return lambda: self.eagerly(n if wrong == 0 else n - 1)

        class Planning(made):
            def planned(self, plan):
                one = super().planned(replace(plan, scale=plan.scale * (1 + wrong)))
                return Graphs(partial(one, 1), plan.unroll) if graphs and one else one

        return Planning(backend.name, backend.xp, "cpu", "float32")


@pytest.mark.slow
@pytest.mark.skipif(host_cuda.COMPILER is None, reason="no C++ compiler")
@pytest.mark.parametrize("part", [parts.captured_equals_eager, parts.plans_equal_layers])
def test_plans_and_their_recordings_are_held_against_each_other(part, monkeypatch):
    host_cuda.install(monkeypatch)
    found = part(Here())
    assert found["holds"]
    assert found["torch"].startswith("backend 'torch'")
    assert found["cupy"]["same_bits"] if "same_bits" in found["cupy"] else 0 < found["cupy"]["graph"] < 1e-4
    assert not part(Here(wrong=0.5))["holds"]


@pytest.mark.slow
def test_a_training_is_train_py_itself():
    found = parts.trained(Settings(device="cpu"), "torch", "--dataset", "digits", "--epochs", "1")
    assert 0 < found["seconds_to_first_update"] < found["seconds"] + 60
    assert found["ms_per_update"] > 0
    assert found["test_accuracy"] > 0.3
    assert "cuda:7" in parts.trained(Settings(device="cuda:7"), "torch", "--dataset", "digits")["reason"]


def test_the_last_table_is_ready_for_the_document():
    times = {"float32 launches": {"us": 123.4}, "tf32 launches": {"us": 99.6}}
    full = {"cupy": {"seconds_to_first_update": 4.26, "test_accuracy": 0.98123}}
    native = {"pytorch": {"us": 250.0}}
    outcomes = {
        "speed_cupy": {"result": times}, "full_runs": {"result": full}, "speed_native": {"result": native},
        "speed_torch": {"reason": "not done after 40 s"},
    }  # fmt: skip
    lines = checks.summary(outcomes).splitlines()
    assert "| CuPy, planned, 17 launches | 123 | 100 | 4.3 | 0.9812 |" in lines
    assert "| native PyTorch, eager | 250 | - | - | - |" in lines
    assert "| torch, one graph | - | - | - | - |" in lines
    assert len(lines) == 2 + len(checks.ROWS)
    assert {line.count("|") for line in lines} == {6}


def test_every_line_of_the_table_is_timed():
    for part, name, training in checks.ROWS.values():
        assert part in PARTS
        assert training is None or training in parts.RUNS
        library = {"speed_cupy": "cupy", "speed_torch": "torch"}.get(part)
        contender = {"layers": "-layers", "launches": "", "graph of 25": "-graphs"}
        assert get_contender(f"{library}{contender[name]}" if library else name)


def test_a_part_that_hangs_is_stopped():
    outcome = checks.run_part("doctor", Settings(), 0.05)
    assert outcome["reason"] == "not done after 0 s"


def test_all_parts_fit_into_eight_minutes():
    assert BUDGET_S < 480
    assert sum(part.seconds for part in PARTS.values()) < 600  # their limits; most need far less
