"""gpu_check.py on a machine without a GPU: how it runs its parts and reports each kind of failure."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gpu_check
import pytest
from command_lines import assert_refused, run_here
from gpu_checks import parts
from gpu_checks.parts import BUDGET_SECONDS, FORMS, PARTS, CheckOptions
from helpers import NUMPY, no_gpu

import dnn.datasets
from backends import BackendUnavailable, nvidia
from dnn.commands import train_options


@no_gpu
def test_reports_a_missing_device():
    result = run_here("gpu_check")
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == "gpu_check.py: there is no NVIDIA card: nvidia-smi lists none\n"


def test_rejects_unknown_parts():
    assert_refused(run_here("gpu_check", "--parts", "doctro"), "doctro", "doctor")


@pytest.fixture
def check(monkeypatch, tmp_path, capsys):
    """Run gpu_check.py on made-up outcomes; return its exit code, its output and its JSON file."""

    def run_on(outcomes):
        file = tmp_path / "j"
        monkeypatch.setattr(sys, "argv", f"gpu_check.py --parts {','.join(outcomes)} --json {file}".split())
        monkeypatch.setattr(nvidia, "query_cards", lambda: [nvidia.Card(580, (9, 0))])
        monkeypatch.setattr(dnn.datasets, "load_dataset", lambda *found: None)
        monkeypatch.setattr(parts, "run_parts", lambda names, settings: outcomes.items())
        code = gpu_check.main(gpu_check.parse())
        return code, capsys.readouterr().out, file.read_text() if file.exists() else ""

    return run_on


GOOD_ROW = {"seconds": 1.0, "rows": {"cupy": {"holds": True, "us": 12.5}}}
BAD_ROWS = {
    "a row that does not hold": {"seconds": 1.0, "rows": {"cupy": {"holds": False, "us": 12.5}}},
    "a row that failed": {"seconds": 1.0, "rows": {"cupy": {"reason": "cupy is missing"}}},
    "a part that was not done": {"seconds": 1.0, "rows": GOOD_ROW["rows"], "reason": "not done after 20 s"},
}


@pytest.mark.parametrize("second", [GOOD_ROW, *BAD_ROWS.values()])
def test_results_determine_the_exit_code(second, check):
    outcomes = {"doctor": GOOD_ROW, "bits": second}
    fails = second is not GOOD_ROW
    code, printed, written = check(outcomes)
    assert code == fails
    assert json.loads(written) == outcomes
    assert printed.startswith("doctor  (1 s)\n    cupy: holds True, us 12.5\n")
    assert ("FAILED" in printed) == fails
    *_, advice = printed.splitlines()
    assert advice.endswith("--parts bits, and send all output.") == fails
    assert "/j, everything printed above, and the output of doctor.py" in printed


def test_no_part_starts_after_the_time_budget(monkeypatch):
    """A part gets its own limit or the rest of the budget, and starts only if five seconds are left."""
    clock, asked = iter([100.0, 100.0, 100.0 + BUDGET_SECONDS - 5, 100.1 + BUDGET_SECONDS - 5]), []
    monkeypatch.setattr(parts, "time", SimpleNamespace(perf_counter=lambda: next(clock)))

    def one(name, settings, limit):
        asked.append((name, limit))
        return GOOD_ROW

    monkeypatch.setattr(parts, "run_part", one)
    outcomes = dict(parts.run_parts(["doctor", "forms", "bits"], CheckOptions()))
    assert asked == [("doctor", PARTS["doctor"].seconds), ("forms", 5.0)]
    reason = f"not started: {BUDGET_SECONDS} s are over"
    assert outcomes["bits"] == {"seconds": 0.0, "rows": {}, "reason": reason}
    assert not parts.part_holds(outcomes["bits"])
    assert BUDGET_SECONDS < 480  # eight minutes


def test_a_part_runs_in_its_own_process():
    outcome = parts.run_part("doctor", CheckOptions(), 120)
    assert "reason" not in outcome
    assert set(outcome["rows"]) == {"cupy", "torch"}
    json.dumps(outcome)


# --------------------------------------------------------------------------- other programs


@pytest.mark.slow
@pytest.mark.parametrize(("libraries", "wrong"), [("numpy torch", ""), ("numpy", "--mutant adam-epsilon")])
def test_agreement_rows(libraries, wrong):
    options = f"--quick --levels L3 --dataset digits {wrong}"
    ((_, found),) = parts.agreement(CheckOptions(device="cpu"), [libraries], options)
    assert found["holds"] == (not wrong) == (not found["broken"])
    assert found["comparisons"] > 100


def test_a_crash_is_a_failed_row(monkeypatch):
    def fake_run(command, **settings):
        asked.append(command)
        return SimpleNamespace(returncode=2, stderr="first\nno such thing\n", stdout="no such program\n")

    asked = []
    monkeypatch.setattr(subprocess, "run", fake_run)
    rows = dict(PARTS["agreement_tf32"].run(CheckOptions("d", "cuda:1")))
    assert rows == {library: {"reason": "no such thing"} for library in ("cupy", "torch")}
    for library, command in zip(("cupy", "torch"), asked, strict=True):
        words = f"--precision tf32 --levels L0,L1,L2,L3 --backends {library}:cuda:1 --data-dir d"
        assert " ".join(command).endswith(words)
    rows = dict(parts.forms(CheckOptions()))
    assert {row["reason"] for row in rows.values()} == {"train.py ended with code 2: no such thing"}
    assert not parts.part_holds({"seconds": 1.0, "rows": rows})


TROUBLES = {
    "": (),
    "fell back": [name for name, expected in FORMS.items() if expected != "layers"],
    "other bits": FORMS,
    "other bits in graphs": [name for name in FORMS if "graphs" in name],
}
"""Trouble -> the forms that fail."""


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_form_is_trained_twice_by_train_py(monkeypatch, trouble):
    def fake_run(command, **settings):
        assert command[1:3] == ["-W", "error::UserWarning"]
        options = train_options.make_parser().parse_args(command[4:])
        assert (options.device, options.data_dir, options.require_backend) == ("cuda", "d", True)
        Path(options.run_dir).mkdir()
        tf32 = options.precision == "tf32"
        name = " ".join([options.backend, *["graphs"] * options.graphs, *["tf32"] * tf32])
        asked.append(name)
        plan = "planned" if options.backend == "cupy" and not tf32 else "layers"
        form = "layers" if trouble == "fell back" else "graphs, " * options.graphs + plan
        graphs = options.graphs and trouble == "other bits in graphs"
        digest = f"{tf32} {graphs} {len(asked) if trouble == 'other bits' else 0}"
        result = {**numbers, "weights_sha256": digest, "describe": {"update_forms": form}}
        (Path(options.run_dir) / "result.json").write_text(json.dumps(result))
        return SimpleNamespace(returncode=0)

    names = "seconds_to_first_update", "ms_per_update", "seconds", "test_accuracy"
    asked, numbers = [], dict.fromkeys(names, 0.5)
    monkeypatch.setattr(subprocess, "run", fake_run)
    rows = dict(parts.forms(CheckOptions("d")))
    assert asked == [name for name in FORMS for _ in range(2)]
    assert [*rows] == [*FORMS]
    for name, row in rows.items():
        assert row.items() >= numbers.items()
        assert parts.row_holds(row) == (name not in TROUBLES[trouble])


def test_a_missing_library_is_a_failed_row(monkeypatch):
    def get(library, device):
        if library == "torch":
            raise BackendUnavailable("torch is missing")
        return NUMPY

    monkeypatch.setattr(parts, "get_backend", get)
    rows = dict(parts.report_libraries(CheckOptions()))
    assert rows["torch"] == {"reason": "torch is missing"}
    assert rows["cupy"]["backend"] == "numpy"
    assert not parts.part_holds({"seconds": 1.0, "rows": rows})
