"""gpu_check.py: what it does on a machine without a GPU, and how it holds its parts together."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import array_api_compat.numpy as npx
import gpu_check
import host_cuda
import pytest
from benchmarks import settings as benchmark
from benchmarks.contenders import get_contender
from benchmarks.task import load
from command_lines import assert_refused, run, run_here
from gpu_checks import parts, speed
from gpu_checks import run as checks
from gpu_checks.common import Settings
from gpu_checks.parts import BUDGET_S, PARTS

import dnn.datasets
from backends import BackendUnavailable, available_backends
from backends.numpy.backend import NumpyBackend
from backends.recording import Recorded
from dnn.commands import train

no_gpu = pytest.mark.skipif(available_backends()["cupy"] is None, reason="there is a GPU")


@pytest.mark.slow
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
    assert_refused(run_here("gpu_check", "--device", "cpu"), "device is 'cpu'", "cuda or cuda:N")


@pytest.mark.parametrize("broken", [False, True])
def test_results_are_written_and_decide_the_exit_code(broken, monkeypatch, tmp_path, capsys):
    asked = []
    outcome = {"seconds": 1.0, "result": {"holds": not broken}}
    words = ["--parts", "floor,memory", "--json", str(tmp_path / "j")]
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", *words])
    monkeypatch.setattr(Settings, "on", lambda *_: None)
    monkeypatch.setattr(dnn.datasets, "load_dataset", lambda *found: asked.append(found))
    monkeypatch.setattr(checks, "run_parts", lambda names, settings, told: ((n, outcome) for n in names))
    assert gpu_check.main(gpu_check.parse()) == broken
    assert json.loads((tmp_path / "j").read_text()) == {"floor": outcome, "memory": outcome}
    assert asked == [("mnist", None)]
    printed = capsys.readouterr().out
    assert printed.startswith(f"floor  (1 s)\n    holds{' ' * 56}{not broken}\nmemory  (1 s)\n")
    assert printed.count("\n| ") == 1 + len(checks.ROWS)


def test_one_library_is_enough(monkeypatch):
    def on(settings, library):
        if library in missing:
            raise BackendUnavailable(f"{library} is missing")
        return library.upper()

    monkeypatch.setattr(Settings, "on", on)
    for missing in (["cupy"], ["torch"]):
        found = {}
        (there,) = {"cupy", "torch"} - {*missing}
        assert list(Settings().both(found)) == [(there, there.upper())]
        assert found == {missing[0]: f"{missing[0]} is missing"}
    missing = ["cupy", "torch"]
    with pytest.raises(BackendUnavailable, match="cupy is missing; torch is missing"):
        list(Settings().both({}))


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


def test_no_part_begins_when_the_time_is_over(monkeypatch):
    """A part has its own limit, or what is left of the whole one; from five seconds on it begins."""
    clock, asked, told = iter([100.0, 100.0, 100.0 + BUDGET_S - 5, 100.1 + BUDGET_S - 5]), [], []
    monkeypatch.setattr(checks, "time", SimpleNamespace(perf_counter=lambda: next(clock)))

    def one(name, settings, limit):
        asked.append((name, limit))
        return {"seconds": 1.0, "result": {}}

    outcomes = dict(checks.run_parts(["doctor", "floor", "memory"], Settings(), told.append, one))
    assert asked == [("doctor", PARTS["doctor"].seconds), ("floor", 5.0)]
    assert outcomes["memory"] == {"seconds": 0.0, "reason": f"not begun: {BUDGET_S} s are over"}
    assert told == ["doctor ...", "floor ..."]


def test_results_are_a_line_for_each_number():
    result = {"cupy": {"us": 12.3456, "n": 7, "smi": "two\nlines", "word": "one"}}
    assert checks.table({"doctor": {"seconds": 1.6, "result": result}}).splitlines() == [
        "doctor  (2 s)", *(f"    {'cupy  ' + name:<60} {value}" for name, value in (
            ("us", "12.35"), ("n", "7"), ("smi", "(see the JSON)"), ("word", "one")))
    ]  # fmt: skip


def test_speed_is_that_of_the_benchmarks_contenders_on_this_card(monkeypatch):
    """Each line of the last table is among the results; TF32 has one graph on torch, and none on CuPy."""

    def timed(contender, settings):
        assert (contender.device, settings.data_dir) == ("cuda:1", "d")
        assert (settings.updates, settings.chunk) == (3000, 600)
        asked.append((contender.label, settings.precision, settings.unroll))
        return None, None, {"ms": 0.25, "preparation": 3.0}

    asked = []
    monkeypatch.setattr(speed, "train", timed)
    found = {name: getattr(speed, name)(Settings("d", "cuda:1")) for name in
             ("speed_cupy", "speed_torch", "speed_native", "speed_compile")}  # fmt: skip
    for part, name, _ in checks.ROWS.values():
        there = found[part].get(name, found[part].get(f"float32 {name}"))
        assert there == {"us": 250.0, "prepared in s": 3.0}
    for part, planned, graphs in (
        ("speed_cupy", ["launches"], []),
        ("speed_torch", [], ["tf32 graph of 25"]),
    ):
        first = ["layers", *planned, *(f"graph of {n}" for n in (1, 5, 25, 50))]
        last = ["tf32 layers", *graphs]
        assert list(found[part]) == [*(f"float32 {name}" for name in first), *last]
    assert ("ours on torch, CUDA graphs on cuda:1", "float32", 50) in asked
    assert ("ours on CuPy, layer by layer on cuda:1", "tf32", 25) in asked
    assert ("PyTorch eager on cuda:1", "float32", 25) in asked
    monkeypatch.setattr(speed, "timed", lambda copy, size, times: [copy(0), 2.0, 1.0, 3.0][1:])
    torch = pytest.importorskip("torch")
    zeros, synchronized = torch.zeros, []
    monkeypatch.setattr(torch, "zeros", lambda n, dtype, device: zeros(n >> 20, dtype=dtype))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: synchronized.append(1))
    monkeypatch.setattr(Settings, "on", lambda *_: None)
    products = speed.floor(Settings("d", "cuda:1"))
    assert products["flop_an_update"] == 309_800_000
    assert products["copy GB/s"] == pytest.approx(2 * (1 << 8) / 2e-3 / 1e9)
    assert asked[-1] == ("products alone, torch.mm on cuda:1", "tf32", 25)
    assert len(synchronized) == 2


@pytest.mark.slow
def test_a_part_without_a_device_gives_its_reason():
    outcome = checks.run_part("memory", Settings(), 120)
    if "result" in outcome:
        pytest.skip("there is a GPU")
    assert "needs a CUDA device" in outcome["reason"]
    json.dumps(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [(), ("--mutant", "lost-duplicates")])
def test_agreement_is_read_from_agree(wrong):
    options = ("--quick", "--levels", "L0", "--dataset", "digits", *wrong)
    found = parts._agree(Settings(device="cpu"), "numpy torch", *options)
    assert found["holds"] == (not wrong) == (not found["broken"])
    assert found["comparisons"] > 100


def test_a_report_that_cannot_be_had_is_an_error(monkeypatch):
    def ran(command, **settings):
        asked.append(command)
        return SimpleNamespace(returncode=2, stderr="first\nno such thing\n", stdout="no such program\n")

    asked = []
    monkeypatch.setattr(subprocess, "run", ran)
    with pytest.raises(RuntimeError, match=r"^no such thing$"):
        parts.agreement_tf32(Settings("d", "cuda:1"))
    (command,) = asked
    names = "--backends", "--levels", "--data-dir", "--precision"
    options = [command[command.index(name) + 1] for name in names]
    assert options == ["torch:cuda:1,cupy:cuda:1", "L0,L1,L2,L3", "d", "tf32"]
    monkeypatch.setattr(Settings, "on", lambda self, name: SimpleNamespace(describe=lambda: f"{name} here"))
    found = parts.doctor(Settings())
    assert [found[name] for name in ("cupy", "torch")] == ["cupy here", "torch here"]
    assert found["nvidia-smi"] == "no such program"
    assert parts.trained(Settings(), "torch") == {"reason": "no such thing"}


def test_whole_trainings_are_asked_for_as_train_py_takes_them(monkeypatch):
    def ran(command, **settings):
        given = train.make_parser().parse_args(command[2:])
        asked.append((given.backend, given.graphs, given.precision))
        assert (given.device, given.data_dir) == ("cuda:1", "d")
        assert (given.quiet, given.require_backend) == (True, True)
        Path(given.run_dir).mkdir()
        (Path(given.run_dir) / "result.json").write_text(json.dumps({**numbers, "updates": 6000}))
        return SimpleNamespace(returncode=0)

    names = "seconds_to_first_update", "ms_per_update", "seconds", "test_accuracy"
    asked, numbers = [], dict.fromkeys(names, 0.5)
    monkeypatch.setattr(subprocess, "run", ran)
    assert parts.full_runs(Settings("d", "cuda:1")) == dict.fromkeys(parts.RUNS, numbers)
    both = [(name, graphs, "float32") for name in ("cupy", "torch") for graphs in (False, True)]
    assert asked == [*both[:2], ("cupy", False, "tf32"), *both[2:], ("torch", True, "tf32")]


class Here:
    """What the parts ask of Settings, with the CUDA text on the host in the place of a card."""

    device = "cpu"
    MISSING = "backend 'torch' on 'cuda' needs a CUDA device"

    def __init__(self, wrong=0.0):
        self.wrong = wrong

    def task(self):
        return load(benchmark.Settings(dataset="digits", hidden=(16,), batch=50))

    def both(self, found):
        found["torch"] = self.MISSING
        yield "cupy", self.on("cupy")

    def on(self, library, graphs=False):
        made = host_cuda.CupyOverridesOnNumpy
        backend, wrong = made("cupy", npx, "cpu", "float32"), self.wrong

        class Graphs(Recorded):
            def record(self, n):
                return lambda: self.eagerly(n if wrong == 0 else n - 1)

        class Planning(made):
            def planned(self, plan):
                one = super().planned(replace(plan, scale=plan.scale * (1 + wrong)))
                return Graphs(partial(one, 1), plan.unroll) if graphs and one else one

        return Planning(backend.name, backend.xp, "cpu", "float32")


class OnNumpy(Here):
    """The same on NumPy: with graphs every step may be larger, or a replay some steps short."""

    def __init__(self, larger=1.0, short=0):
        self.larger, self.short = larger, short

    def on(self, library, graphs=False):
        larger, short = (self.larger, self.short) if graphs else (1.0, 0)

        class Graphs(Recorded):
            def record(self, n):
                return lambda: self.eagerly(n - short)

        class Recording(NumpyBackend):
            def capture(self, step, unroll=25):
                return Graphs(step, unroll) if graphs else super().capture(step, unroll)

        def wrap(name, kind, kernel):
            def longer(values, *arguments):
                before = values.copy()
                kernel(values, *arguments)
                values += (larger - 1) * (values - before)

            return longer if name == "sgd" else kernel

        return Recording("cupy", npx, "cpu", "float32").wrapped(wrap)


@pytest.mark.parametrize(
    ("part", "wrong", "held"),
    [
        (parts.captured_equals_eager, {}, {"same_bits": True, "largest_difference": 0.0}),
        (parts.captured_equals_eager, {"short": 1}, None),
        (parts.plans_equal_layers, {}, {"layers": 0.0, "launches": 0.0, "graph": 0.0}),
        (parts.plans_equal_layers, {"larger": 1.0005}, {"layers": 0.0, "launches": 0.0, "graph": 5e-4}),
        (parts.plans_equal_layers, {"larger": 1.002}, None),
    ],
)
def test_ways_to_the_same_weights_are_held_against_each_other(part, wrong, held):
    found = part(OnNumpy(**wrong))
    assert (found["holds"], found["torch"]) == (held is not None, OnNumpy.MISSING)
    assert held is None or found["cupy"] == pytest.approx(held, rel=0.2)


@pytest.mark.slow
@pytest.mark.skipif(host_cuda.COMPILER is None, reason="no C++ compiler")
@pytest.mark.parametrize("part", [parts.captured_equals_eager, parts.plans_equal_layers])
def test_plans_and_their_recordings_are_held_against_each_other(part, monkeypatch):
    host_cuda.install(monkeypatch)
    found = part(Here())
    assert found["holds"]
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
    times = {"float32 launches": {"us": 123.4}, "tf32 layers": {"us": 99.6}}
    full = {"cupy": {"seconds_to_first_update": 4.26, "test_accuracy": 0.98123}}
    native = {"pytorch": {"us": 250.0}}
    outcomes = {
        "speed_cupy": {"result": times}, "full_runs": {"result": full}, "speed_native": {"result": native},
        "speed_torch": {"reason": "not done after 40 s"},
    }  # fmt: skip
    lines = checks.summary(outcomes).splitlines()
    assert "| CuPy, planned, 7 launches | 123 | - | 4.3 | 0.9812 |" in lines
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
