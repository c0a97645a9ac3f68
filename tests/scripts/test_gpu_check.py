"""gpu_check.py on a machine without a GPU: how it runs its parts and reports each kind of failure."""

import contextlib
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import array_api_compat.numpy as npx
import gpu_check
import host_cuda
import pytest
from benchmarks import task as benchmark
from command_lines import assert_refused, run_here
from gpu_checks import forms, parts
from gpu_checks import kernels as gpu_kernels
from gpu_checks import run as checks
from gpu_checks.common import LIBRARIES, Settings
from gpu_checks.forms import FORMS
from gpu_checks.parts import BUDGET_SECONDS, PARTS
from helpers import NUMPY

import dnn.datasets
from backends import BackendUnavailable, available_backends, nvidia
from backends.cupy import compilation
from backends.recording import RecordedSteps
from dnn.commands import train_options

no_gpu = pytest.mark.skipif(available_backends()["cupy"] is None, reason="there is a GPU")


@no_gpu
def test_reports_a_missing_device():
    result = run_here("gpu_check")
    assert result.returncode == 3
    assert result.stderr.startswith("gpu_check.py: no CUDA device can be used: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_rejects_unknown_parts():
    assert_refused(run_here("gpu_check", "--parts", "doctro"), "doctro", "doctor")
    assert_refused(run_here("gpu_check", "--device", "cpu"), "device is 'cpu'", "cuda or cuda:N")


@pytest.fixture
def check(monkeypatch, tmp_path, capsys):
    """Run gpu_check.py on made-up outcomes; return its exit code, its output and its JSON file."""

    def run_on(outcomes, missing=()):
        words = ["--parts", ",".join(outcomes), "--json", str(tmp_path / "j")]
        monkeypatch.setattr(sys, "argv", ["gpu_check.py", *words])
        obstacles = {library: f"{library} is missing" for library in missing}
        monkeypatch.setattr(checks, "find_obstacles", lambda settings: obstacles)
        monkeypatch.setattr(dnn.datasets, "load_dataset", lambda *found: None)
        monkeypatch.setattr(checks, "run_parts", lambda names, settings: outcomes.items())
        code = gpu_check.main(gpu_check.parse())
        written = (tmp_path / "j").read_text() if (tmp_path / "j").exists() else ""
        return code, capsys.readouterr().out, written

    return run_on


GOOD_ROW = {"seconds": 1.0, "rows": {"cupy": {"holds": True, "us": 12.5}}}
BAD_ROWS = {
    "a row that does not hold": {"seconds": 1.0, "rows": {"cupy": {"holds": False, "us": 12.5}}},
    "a row that failed": {"seconds": 1.0, "rows": {"cupy": {"reason": "cupy is missing"}}},
    "a part that was not done": {"seconds": 1.0, "rows": GOOD_ROW["rows"], "reason": "not done after 20 s"},
}


@pytest.mark.parametrize("bad", [None, *BAD_ROWS])
def test_results_determine_the_exit_code(bad, check):
    outcomes = {"doctor": GOOD_ROW, "kernels": GOOD_ROW if bad is None else BAD_ROWS[bad]}
    code, printed, written = check(outcomes)
    assert code == (bad is not None)
    assert json.loads(written) == outcomes
    assert printed.startswith(f"doctor  (1 s)\n    cupy  holds{' ' * 50}True\n    cupy  us ")
    assert ("FAILED" in printed) == (bad is not None)
    assert printed.count("\n| ") == 2 + len(FORMS)


def test_one_library_is_enough(check):
    for missing in (["cupy"], ["torch"]):
        assert check({"doctor": GOOD_ROW}, missing)[0] == 0


@pytest.mark.parametrize(("cards", "code"), [([], 3), ([nvidia.Card(580, (9, 0))], 1)])
def test_a_broken_installation_is_not_a_missing_card(check, monkeypatch, cards, code):
    monkeypatch.setattr(nvidia, "query_cards", lambda: cards)
    assert check({"doctor": GOOD_ROW}, ["cupy", "torch"])[0] == code


@no_gpu
def test_obstacles_are_found_in_other_processes(monkeypatch):
    monkeypatch.setattr(Settings, "backend", lambda *options: pytest.fail("this process would use the card"))
    obstacles = checks.find_obstacles(Settings())
    assert list(obstacles) == list(LIBRARIES)
    for library, why in obstacles.items():
        assert why.startswith(f"backend {library!r}")
    assert checks.find_obstacles(Settings(device="cpu")).keys() == {"cupy"}


def test_parts_after_the_loss_of_the_card_are_skipped(monkeypatch):
    lost = {"forms": {"cupy": "it is gone", "torch": "also gone"}, "kernels": {"cupy": "one fails"}}
    begun = []

    def run_part(name, settings, limit):
        begun.append(name)
        return {"seconds": 1.0, "rows": {}, "reason": "failed"} if name in lost else GOOD_ROW

    monkeypatch.setattr(checks, "run_part", run_part)
    monkeypatch.setattr(checks, "find_obstacles", lambda settings: lost[begun[-1]])
    outcomes = dict(checks.run_parts(["doctor", "kernels", "forms", "bits", "full_runs"], Settings()))
    assert begun == ["doctor", "kernels", "forms"]
    for name in ("bits", "full_runs"):
        reason = "skipped: since the part 'forms' the card cannot be used (it is gone; also gone)"
        assert outcomes[name] == {"seconds": 0.0, "rows": {}, "reason": reason}


def test_the_end_says_what_to_send(check):
    row = {"us": 7.25, "us to launch": 2.0, "registers": 64, "spilled bytes": 0}
    _, printed, _ = check(
        {"kernels": {"seconds": 1.0, "rows": {"kernel step": row, "cupy": {"an update": 5.0}}}}
    )
    *_, times, advice = printed.splitlines()
    assert times == "kernel step 7.2 us"
    assert re.search(r"send the file .*j, everything printed above, and the output of doctor.py", advice)
    _, printed, _ = check({"doctor": GOOD_ROW, "forms": BAD_ROWS["a row that failed"]})
    assert "--parts forms, and send all output" in printed.splitlines()[-1]


def test_a_missing_library_is_a_failed_row(monkeypatch):
    def on(settings, library, **options):
        if library == "cupy":
            raise BackendUnavailable("cupy is missing")
        return SimpleNamespace(describe=lambda: {"torch": "2.13"})

    monkeypatch.setattr(Settings, "backend", on)
    rows = dict(parts.report_libraries(Settings()))
    assert rows["cupy"] == {"reason": "cupy is missing"}
    assert rows["torch"] == {"torch": "2.13"}
    assert not checks.holds({"doctor": {"seconds": 1.0, "rows": rows}})


def test_no_part_starts_after_the_time_budget(monkeypatch):
    """A part gets its own limit or the rest of the budget, and starts only if five seconds are left."""
    clock, asked = iter([100.0, 100.0, 100.0 + BUDGET_SECONDS - 5, 100.1 + BUDGET_SECONDS - 5]), []
    monkeypatch.setattr(checks, "time", SimpleNamespace(perf_counter=lambda: next(clock)))

    def one(name, settings, limit):
        asked.append((name, limit))
        return GOOD_ROW

    monkeypatch.setattr(checks, "run_part", one)
    outcomes = dict(checks.run_parts(["doctor", "forms", "kernels"], Settings()))
    assert asked == [("doctor", PARTS["doctor"].seconds), ("forms", 5.0)]
    reason = f"not started: {BUDGET_SECONDS} s are over"
    assert outcomes["kernels"] == {"seconds": 0.0, "rows": {}, "reason": reason}
    assert not checks.holds(outcomes)
    assert BUDGET_SECONDS < 480  # eight minutes


def test_a_part_runs_in_its_own_process():
    outcome = checks.run_part("doctor", Settings(), 120)
    assert "reason" not in outcome
    assert set(outcome["rows"]) == {"python", "cupy", "torch", "nvidia-smi"}
    json.dumps(outcome)


# --------------------------------------------------------------------------- other programs


@pytest.mark.parametrize(
    ("libraries", "wrong"),
    [pytest.param("numpy torch", (), marks=pytest.mark.slow), ("numpy", ("--mutant", "lost-duplicates"))],
)
def test_agreement_rows(libraries, wrong):
    options = ("--quick", "--levels", "L0", "--dataset", "digits", *wrong)
    found = parts.check_agreement(Settings(device="cpu"), libraries, *options)
    assert found["holds"] == (not wrong) == (not found["broken"])
    assert found["comparisons"] > 100


def test_a_crash_is_a_failed_row(monkeypatch):
    def fake_run(command, **settings):
        asked.append(command)
        return SimpleNamespace(returncode=2, stderr="first\nno such thing\n", stdout="no such program\n")

    asked = []
    monkeypatch.setattr(subprocess, "run", fake_run)
    rows = dict(PARTS["agreement_tf32"].run(Settings("d", "cuda:1")))
    assert rows == {library: {"reason": "no such thing"} for library in ("cupy", "torch")}
    for library, command in zip(("cupy", "torch"), asked, strict=True):
        words = f"--precision tf32 --levels L0,L1,L2,L3 --backends {library}:cuda:1 --data-dir d"
        assert " ".join(command).endswith(words)
    rows = dict(parts.full_runs(Settings()))
    assert set(rows) == set(parts.TRAIN_RUNS)
    for row in rows.values():
        assert row["reason"] == "train.py ended with code 2: no such thing"
    assert not checks.holds({"full_runs": {"seconds": 1.0, "rows": rows}})


@pytest.mark.parametrize("fell_back", [False, True])
def test_full_runs_call_train_py(monkeypatch, fell_back):
    def fake_run(command, **settings):
        assert command[1:3] == ["-W", "error::UserWarning"]
        given = train_options.make_parser().parse_args(command[4:])
        assert (given.device, given.data_dir, given.require_backend) == ("cuda:1", "d", True)
        Path(given.run_dir).mkdir()
        name = " ".join([given.backend, *["graphs"] * given.graphs, *["tf32"] * (given.precision == "tf32")])
        asked.append(name)
        form = "layers" if fell_back else FORMS[name].expected
        result = {**numbers, "updates": 6000, "describe": {"update_forms": form}}
        (Path(given.run_dir) / "result.json").write_text(json.dumps(result))
        return SimpleNamespace(returncode=0)

    names = "seconds_to_first_update", "ms_per_update", "seconds", "test_accuracy"
    asked, numbers = [], dict.fromkeys(names, 0.5)
    monkeypatch.setattr(subprocess, "run", fake_run)
    rows = dict(parts.full_runs(Settings("d", "cuda:1")))
    assert [*rows] == asked == [*parts.TRAIN_RUNS]
    for name, row in rows.items():
        assert row.items() >= numbers.items()
        assert row["holds"] == (not fell_back or FORMS[name].expected == "layers")


@pytest.mark.slow
def test_train_row_comes_from_train_py():
    found = parts.train(Settings(device="cpu"), "torch", "--dataset", "digits", "--epochs", "1")
    assert 0 < found["seconds_to_first_update"] < found["seconds"] + 60
    assert found["ms_per_update"] > 0
    assert found["test_accuracy"] > 0.3
    assert found["form"] == "layers"
    assert "cuda:7" in parts.train(Settings(device="cuda:7"), "torch", "--dataset", "digits")["reason"]


# --------------------------------------------------------------------------- forms


class HostSettings:
    """The Settings of the parts, with CUDA kernels emulated on the host."""

    def __init__(self, trouble=None):
        self.trouble = trouble

    def task(self):
        return benchmark.load(benchmark.Settings(dataset="digits", hidden=(16,), batch=200))

    def backend(self, library, precision="float32", graphs=False):
        if library == "torch":
            raise BackendUnavailable("torch is missing")
        trouble = self.trouble

        class Graphs(RecordedSteps):
            def record(self, n):
                if trouble == "recording fails":
                    raise RuntimeError("not permitted when stream is capturing")
                return lambda: self.run_eagerly(n if trouble != "a replay is short" else n - 1)

        class Emulated(host_cuda.CupyOverridesOnNumpy):
            def synchronize(self):
                if trouble == "the card is lost" and graphs:
                    raise RuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")

            def compile_plan(self, plan):
                run = super().compile_plan(plan)
                if run is None or trouble == "a plan is refused":
                    return None
                if trouble == "a kernel does not compile":
                    warnings.warn("CuPy cannot run the kernels of a planned update (no)", stacklevel=2)
                    return None
                return Graphs(lambda: run(1), plan.unroll, plan.forms) if graphs else run

        return Emulated("cupy", npx, "cpu", "float32", precision=precision)


def wrong_forms(trouble, monkeypatch):
    host_cuda.install(monkeypatch)
    monkeypatch.setattr(forms, "N_UPDATES", 10)
    monkeypatch.setattr(forms, "_time_epoch", lambda trainer, task: 1.0)  # five epochs take most of the time
    rows = dict(forms.forms(HostSettings(trouble)))
    assert list(rows) == list(FORMS)
    failed = {name: row for name, row in rows.items() if not checks.row_holds(row)}
    for name in (name for name in FORMS if "torch" in name):
        assert failed.pop(name) == {"reason": "BackendUnavailable: torch is missing"}
    return failed, rows


needs_compiler = pytest.mark.skipif(host_cuda.COMPILER is None, reason="no C++ compiler")


@pytest.mark.slow
@needs_compiler
def test_each_form_is_a_row(monkeypatch):
    wrong, rows = wrong_forms(None, monkeypatch)
    assert wrong == {}
    assert rows["cupy graphs"]["bits without graphs"]
    assert rows["cupy layers"]["distance from layers"] == 0.0 < rows["cupy"]["distance from layers"] < 1e-4
    for name in ("cupy layers", "cupy", "cupy graphs", "cupy tf32"):
        assert rows[name]["form"] == FORMS[name].expected
        assert rows[name]["bits of two runs"]
        assert rows[name]["us"] == 1.0


@needs_compiler
@pytest.mark.parametrize(
    ("trouble", "names", "words"),
    [
        pytest.param(
            "recording fails",
            {"cupy graphs"},
            "UserWarning: CUDA graphs do not work here (not permitted",
            marks=pytest.mark.slow,
        ),
        ("a kernel does not compile", {"cupy", "cupy graphs"}, "UserWarning: CuPy cannot run the kernels"),
        pytest.param("a plan is refused", {"cupy", "cupy graphs"}, None, marks=pytest.mark.slow),
        pytest.param("a replay is short", {"cupy graphs"}, None, marks=pytest.mark.slow),
    ],
)
def test_fallbacks_and_wrong_results_are_failed_rows(trouble, names, words, monkeypatch):
    wrong, rows = wrong_forms(trouble, monkeypatch)
    assert set(wrong) == names
    for row in wrong.values():
        assert row.get("reason", "").startswith(words or "")
        assert words or row["holds"] is False
    if trouble == "a plan is refused":
        assert {row["form"] for row in wrong.values()} == {"layers"}
    assert not checks.holds({"forms": {"seconds": 1.0, "rows": rows}})


@needs_compiler
def test_forms_after_an_error_that_lasts_are_skipped(monkeypatch):
    host_cuda.install(monkeypatch)
    monkeypatch.setattr(forms, "N_UPDATES", 2)
    rows = dict(forms.forms(HostSettings("the card is lost")))
    assert list(rows) == ["cupy layers", "cupy", "cupy graphs"]
    reason = "RuntimeError: cudaErrorIllegalAddress: an illegal memory access was encountered"
    assert rows["cupy graphs"] == {"reason": f"{reason}; {forms.LOST}"}


class NamedKernel:
    """A kernel with the attributes that CuPy reads from the driver."""

    attributes = {"num_regs": 64, "local_size_bytes": 0}  # noqa: RUF012

    def __init__(self, name, *types):
        self.name = name
        self.kernel = host_cuda.raw(name, *types)

    def __call__(self, *arguments):
        self.kernel(*arguments)


@needs_compiler
def test_each_kernel_of_an_update_is_timed(monkeypatch):
    event = SimpleNamespace(record=lambda: None, synchronize=lambda: None)
    cuda = SimpleNamespace(Event=lambda: event, get_elapsed_time=lambda begin, end: 1.5)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(compilation, "raw_kernel", NamedKernel)
    monkeypatch.setattr(gpu_kernels, "REPEATS", 3)
    settings = HostSettings()
    rows = dict(gpu_kernels.time_kernels(settings.backend("cupy"), settings.task()))
    assert list(rows) == [f"kernel {name}" for name in ("forward_gathered", "output_hidden", "step")]
    for row in rows.values():
        assert row.pop("us to launch") > 0
        assert row == {"us": 500.0, "registers": 64, "spilled bytes": 0}


def test_the_profiler_keeps_its_events(monkeypatch):
    """torch 2.10 warns otherwise, and warnings are errors."""
    from torch import cuda, profiler

    def profile(activities, acc_events=False):
        if not acc_events:
            warnings.warn("Profiler clears events at the end of each cycle", stacklevel=1)
        events = [SimpleNamespace(name=name, device_type="DeviceType.CUDA") for name in "abb" * 20]
        profiled = SimpleNamespace(events=lambda: [*events, SimpleNamespace(name="c", device_type="CPU")])
        return contextlib.nullcontext(profiled)

    monkeypatch.setattr(profiler, "profile", profile)
    monkeypatch.setattr(cuda, "synchronize", lambda: None)
    settings = HostSettings()
    found = gpu_kernels.count_kernels(NUMPY, settings.task())
    assert found == {"an update": 3.0, "names": {"b": 2.0, "a": 1.0}}


def test_kernels_of_a_missing_library_are_a_failed_row(monkeypatch):
    monkeypatch.setattr(gpu_kernels, "time_kernels", lambda *given: iter([("kernel step", {"us": 1.0})]))
    monkeypatch.setattr(gpu_kernels, "count_kernels", lambda *given: {"an update": 5.0})
    rows = dict(gpu_kernels.kernels(HostSettings()))
    assert rows == {
        "kernel step": {"us": 1.0}, "cupy": {"an update": 5.0}, "torch": {"reason": "torch is missing"},
    }  # fmt: skip


@pytest.mark.slow
@needs_compiler
def test_a_slightly_wrong_kernel_is_found(monkeypatch):
    original = forms._weight_change
    name = "_weight_change"
    monkeypatch.setattr(forms, name, lambda b, task: original(b, task) * (1 if b.wrap else 1.002))
    wrong, _ = wrong_forms(None, monkeypatch)
    assert set(wrong) == {"cupy", "cupy graphs"}
    assert wrong["cupy"]["distance from layers"] == pytest.approx(2e-3, rel=0.2)


def test_summary_table():
    rows = {"cupy": {"us": 123.4, "form": "planned", "first update after s": 2.04, "bits of two runs": True}}
    lines = checks.summary({"forms": {"rows": rows}, "kernels": {"rows": {}}}).splitlines()
    assert "| cupy | planned | 123 | 2.0 | True | - | - | - |" in lines
    assert [line.count("|") for line in lines] == [9] * (2 + len(FORMS))
