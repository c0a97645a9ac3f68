"""The harness finds each fault that a training could have. test_resume.py runs it on real trainings."""

import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import needs_fork

from dnn.callbacks import latest_state
from dnn.callbacks.training_checkpoint import state_files, write_state
from dnn.training.state import StateError, TrainingState
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


@pytest.mark.parametrize(("damaging", "chance", "damaged", "closed"), [(False, 0.5, 0, 0), (True, 0.0, 1, 2)])
def test_a_correct_training_is_clean(run_killed, damaging, chance, damaged, closed):
    found = run_killed(damaging=damaging, chance=chance)
    assert not found.run.exists()
    tally = found.tally
    assert (tally.clean, tally.kills, tally.finished) == (True, {"running": 1}, 1)
    assert (tally.damaged, tally.closed) == (damaged, closed)


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
