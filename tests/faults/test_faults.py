"""The harness finds each fault that a training could have. tests/scripts runs it on real trainings."""

import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import input_error, needs_fork

from dnn.callbacks import latest_state
from dnn.callbacks.training_checkpoint import state_files, write_state
from dnn.training.state import StateError, TrainingState
from faults import comparison
from faults.harness import Harness
from faults.troubles import Kill

pytestmark = needs_fork


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
    with input_error("undisturbed training failed: it broke"):
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
