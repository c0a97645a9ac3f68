"""The harness finds each fault that a training could have. tests/scripts runs it on real trainings."""

import errno
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import small_data, small_model

from backends import InputError, get_backend
from dnn import Adam, LinearDecay
from dnn.callbacks import latest_state
from dnn.callbacks.terminate_on_nan import DivergedError, TerminateOnNaN
from dnn.callbacks.training_checkpoint import state_files, write_state
from dnn.training.state import StateError, TrainingState
from faults import __main__ as faults_command
from faults import comparison, groups, harness, troubles
from faults.harness import Harness, Tally
from faults.troubles import FileLimit, FullDisk, Kill

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="trainings are forked, which this system cannot"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def state_file(folder, epoch):
    return folder / f"state-{epoch:05d}-0000000.safetensors"


def training(arguments):
    """Write six states, weights and a result. Files beside the run folder select its faults."""
    run, resumed = Path(arguments[-1]), arguments[-2] == "--resume"
    wrong = {path.name for path in run.parent.iterdir()}

    def pause():
        (run.parent / "waiting").touch()
        time.sleep(60)

    run.mkdir(exist_ok=True)
    (run / "config.json").write_text("{}")
    (run / ".lock").write_text(str(time.time_ns()))
    if resumed and "exits" in wrong:
        return os.write(2, b"it broke") and 3
    if resumed and "forgets" in wrong and state_files(run):
        for path in state_files(run):
            path.unlink()
        pause()
    try:
        done = latest_state(run).epoch
    except StateError:
        done = 0
    for epoch in range(done + 1, 7):
        write_state(TrainingState(epoch, 0, {}, {"loss": [0.5]}, {"x": np.ones(3)}), state_file(run, epoch))
        if epoch == 3 and not resumed and "waits" in wrong:
            if "tears" in wrong:
                state_file(run, epoch).write_bytes(b"half a state")
            pause()
    (run / "model.safetensors").write_bytes(b"others" if resumed and "differs" in wrong else b"weights")
    (run / "result.json").write_text(json.dumps({"test_accuracy": 0.5, "seconds": time.time()}))
    return 0


@dataclass
class KillWhenWaiting(Kill):
    """Kill a training once it signals that it waits."""

    seconds: float = 0.0

    def wait(self, pid, run):
        while not (run.parent / "waiting").exists():
            time.sleep(1e-3)
        (run.parent / "waiting").unlink()
        return super().wait(pid, run)


@pytest.fixture
def run_killed(tmp_path):
    """Return a function that kills a training with these faults and returns the harness."""

    def of(*wrong, times=1, damaging=False, chance=0.5):
        made = Harness(training, ["--epochs", "6"], tmp_path / "runs")
        for word in ("waits", *wrong):
            (tmp_path / "runs" / word).touch()
        draw = random.Random(0)
        made.chance = SimpleNamespace(random=lambda: chance, randrange=draw.randrange, choice=lambda c: c[-1])
        made._run_disturbed(lambda resumed: KillWhenWaiting(), times, damaging)
        return made

    return of


def test_a_correct_training_is_clean(run_killed):
    found = run_killed()
    assert not found.run.exists()
    assert (found.tally.clean, found.tally.kills, found.tally.closed) == (True, {"running": 1}, 0)
    assert found.tally.line() == (
        "1 kills (start-up 0, resume 0, saving 0, running 1; up to 1 of one training), 0 trainings with "
        "write errors, 0 damaged states and 0 closed pipes survived, 1 finished: 0 newest states unreadable, "
        "0 lost, 0 mismatches, 0 unexpected ends"
    )


def test_a_damaged_state_is_survived(run_killed):
    tally = run_killed(damaging=True, chance=0.0).tally
    assert (tally.clean, tally.damaged, tally.closed, tally.finished) == (True, 1, 2, 1)


@pytest.mark.parametrize(
    ("wrong", "times", "counted", "failures"),
    [
        ("differs", 1, {"mismatches": 1, "finished": 1}, ("model.safetensors differs",)),
        ("tears", 1, {"unreadable": 1, "finished": 1}, ()),
        ("forgets", 2, {"lost": 1, "finished": 1, "chain": 2}, ()),
        ("exits", 1, {"finished": 0}, ("exit 3: it broke",)),
    ],
)
def test_faulty_trainings_are_found(run_killed, wrong, times, counted, failures):
    tally = run_killed(wrong, times=times).tally
    assert {name: getattr(tally, name) for name in counted} == counted
    assert (tally.failures, tally.clean) == (failures, False)
    assert ("1 unexpected ends" in tally.line()) == (wrong == "exits")


def test_rejects_a_training_that_fails_undisturbed(tmp_path):
    with pytest.raises(InputError, match="undisturbed training failed: it broke"):
        Harness(lambda arguments: os.write(2, b"it broke") and 4, [], tmp_path / "runs")


# ----- what is compared


def test_differences_are_named():
    name, other = (state_file(Path(), epoch).name for epoch in (1, 2))
    expected = {"a": 1, "b": 2, name: 3}
    assert comparison.differences(expected, expected) == []
    found = {"a": 1, "c": 2, name: 4, other: 5}
    first, last = ["b is missing", "c is one too many"], f"{name} differs"
    assert comparison.differences(found, expected) == [*first, f"{other} is one too many", last]
    assert comparison.differences(found, expected, other_states=True) == [*first, last]


def test_times_are_ignored(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, seconds in ((one, 1.0), (two, 2.0)):
        folder.mkdir()
        times = dict.fromkeys(comparison.TIME_FIELDS, seconds)
        state = TrainingState(2, 0, {"seed": 1}, {"loss": [0.5], "seconds": [seconds]}, {"x": np.ones(3)})
        write_state(state, state_file(folder, 2))
        (folder / "result.json").write_text(json.dumps({"updates": 9, **times}))
        (folder / "metrics.jsonl").write_text(json.dumps({"epoch": 1, **times}) + "\n")
        (folder / ".lock").write_text(str(seconds))
    found = comparison.contents(one)
    assert found == comparison.contents(two)
    assert (found["result.json"], found["metrics.jsonl"]) == ({"updates": 9}, [{"epoch": 1}])
    assert ".lock" not in found
    other = {"epoch": 3, "updates": 1, "facts": {}, "history": {}, "arrays": {"x": np.zeros(3)}}
    for change in ({name: value} for name, value in other.items()):
        write_state(TrainingState(**{**vars(state), **change}), state_file(two, 2))
        assert comparison.differences(comparison.contents(two), found), change


# ----- what happens to them


def test_kill_returns_the_exit_code_of_an_ended_process(tmp_path):
    for number in (1, 2):
        (tmp_path / f".file{number}.unfinished").touch()
    for command, kill, wanted in (
        (["sleep", "60"], Kill(0.0), None),
        (["sh", "-c", "exit 3"], Kill(0.0, 3), 3),
        (["sleep", "60"], Kill(60.0, 2), None),
    ):
        process = subprocess.Popen(command)
        assert kill.wait(process.pid, tmp_path) == wanted
        with pytest.raises(ChildProcessError):
            troubles.exit_code(process.pid)
        process.wait()


def test_full_disk_and_file_limit(monkeypatch):
    """Writes fail from the third file on, for two files; then a limit on file sizes is set."""
    flushed, said = [], []
    monkeypatch.setattr(os, "fsync", flushed.append)
    FullDisk(2, 4).enter()
    for number in range(6):
        try:
            os.fsync(number)
        except OSError as error:
            said.append((number, error.errno))
    assert (flushed, said) == ([0, 1, 4, 5], [(2, errno.ENOSPC), (3, errno.ENOSPC)])
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: said.append(limit))
    FileLimit(9).enter()
    assert said[-1] == (resource.RLIMIT_FSIZE, (9, 9))


def test_diverge_makes_weights_nan_at_high_rates(monkeypatch):
    for name in ("on_progress", "every"):
        monkeypatch.setattr(TerminateOnNaN, name, vars(TerminateOnNaN)[name])
    troubles.diverge()
    x, y = small_data()
    for rate in (0.003, 0.0031):
        model = small_model(get_backend("numpy"))
        model.compile(optimizer=Adam(LinearDecay(rate, 999)))
        if rate > 0.003:
            with pytest.raises(DivergedError, match=r"epoch 2 .*finite at update 10 of epoch 2"):
                model.fit(x, y, batch_size=2, epochs=3, verbose=0, callbacks=[TerminateOnNaN()])
        else:
            model.fit(x, y, batch_size=2, epochs=3, verbose=0, callbacks=[TerminateOnNaN()])


# ----- groups of workers, and the command


def test_an_unexpected_exit_code_of_a_worker_is_a_failure(tmp_path):
    made = groups.Groups(training, [], tmp_path / "runs")
    made.main = lambda arguments: 3
    made.kill_workers(1)
    assert len(made.tally.failures) == 5
    assert all(failure.startswith("exit {") and ": 3" in failure for failure in made.tally.failures)


def test_a_group_that_hangs_is_a_failure(tmp_path, monkeypatch):
    made = groups.Groups(training, [], tmp_path / "runs")
    monkeypatch.setattr(groups, "HANG_SECONDS", 0.5)
    made.main, made.tally.failures, made.seconds = lambda arguments: time.sleep(60), ("",) * 4, 0.0
    made._run_one(0)
    assert made.tally.failures[4].startswith("a group of ")
    assert "hangs" in made.tally.failures[4]


@pytest.mark.parametrize("lost", [0, 1])
def test_command_passes_its_options_and_fails_on_a_loss(lost, monkeypatch, capsys):
    class HarnessRecorder:
        def __init__(self, main, arguments, folder, seed, tally=None, enter=None):
            self.name, self.tally = folder.name, tally or Tally()
            asked.append((self.name, seed, arguments[-2:], enter))

        def __getattr__(self, name):
            return lambda times, report: asked.append((self.name, name, times))

    asked = []
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(variable, "2")
    monkeypatch.setattr(harness, "Harness", HarnessRecorder)
    monkeypatch.setattr(groups, "Groups", HarnessRecorder)
    words = "--backends numpy --kills 9 --write-errors 4 --worker-kills 5 --seed 7"
    tally = Tally(lost=lost)
    monkeypatch.setattr(harness, "Tally", lambda: tally)
    assert faults_command.main(faults_command.parse(words.split())) == lost
    assert asked == [
        ("plain", 7, ["--backend", "numpy"], None),
        ("rewound", 7, ["--learning-rate", "0.01"], troubles.diverge), ("plain", "kill", 7),
        ("rewound", "kill", 9), ("plain", "fail_writes", 4),
        ("groups", 7, ["--worker-timeout", "20"], None), ("groups", "kill_workers", 5),
    ]  # fmt: skip
    assert f"{lost} lost" in capsys.readouterr().out
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_command_rejects_an_unknown_backend():
    line = [sys.executable, "-m", "tests.faults", "--backends", "nunpy"]
    result = subprocess.run(line, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert result.returncode == 2
    assert result.stderr.startswith("python -m tests.faults: error: backend is 'nunpy'")
    assert result.stderr.count("\n") == 1
