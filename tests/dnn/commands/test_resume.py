"""Stopping and resuming at the command line: signals, exit codes, and equal weights at the end."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_lines import SCRIPTS, assert_refused, run_here, succeed
from helpers import MAX_SECONDS, others_slow

from dnn import load_model
from dnn.callbacks import StopOnSignal
from dnn.callbacks.training_checkpoint import read_state

TRAINING = "--dataset digits --hidden 64 64 --epochs 6 --batch-size 4 --backend numpy"
DIVERGENCE = (
    "--optimizer sgd --learning-rate 1e20 --schedule constant --loss mean_squared_error --activation linear"
)


def start_training(folder, *more):
    command = [sys.executable, str(SCRIPTS / "train.py"), *TRAINING.split(), "--run-dir", str(folder), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_state(folder):
    deadline = time.monotonic() + MAX_SECONDS
    while not any(folder.glob("state-*.safetensors")):
        assert time.monotonic() < deadline, f"no state after {MAX_SECONDS} s"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return the folder of the same training, undisturbed."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    succeed(f"train {TRAINING} --run-dir", folder)
    return folder


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["epoch"], line["loss"], line["val_loss"]) for line in lines]


@pytest.mark.parametrize("number", others_slow([signal.SIGINT, signal.SIGTERM], [signal.SIGINT]))
def test_a_signal_saves_and_prints_the_resume_command(tmp_path, reference, number):
    folder = tmp_path / "run"
    process = start_training(folder, "--checkpoint-every", "50")
    wait_for_state(folder)
    process.send_signal(number)
    _, output = process.communicate(timeout=MAX_SECONDS)
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    assert re.search(rf"stopped by {number.name}; resume with: .*train.py --resume {folder}", output)
    assert not (folder / "result.json").exists()
    succeed("evaluate", folder)  # the weights so far are saved
    command = shlex.split(output.rpartition("resume with: ")[2].splitlines()[0])
    assert ", from epoch " in succeed("train", *command[2:]).stdout
    assert (folder / "model.safetensors").read_bytes() == (reference / "model.safetensors").read_bytes()
    assert losses(folder) == losses(reference)


def test_a_signal_between_nan_and_its_check_prints_the_resume_command(tmp_path, monkeypatch):
    def on_train_begin(self, *_):
        self.signal_number = signal.SIGINT

    monkeypatch.setattr(StopOnSignal, "on_train_begin", on_train_begin)
    stopped = run_here(f"train {TRAINING} {DIVERGENCE} --run-dir", tmp_path / "run")
    assert stopped.returncode == 130, stopped.stderr
    assert "its last updates are not saved" in stopped.stderr
    assert f"train.py --resume {tmp_path / 'run'}" in stopped.stderr


def test_rejects_runs_that_cannot_be_resumed(reference, tmp_path):
    assert_refused(run_here("train --resume", reference), "is finished", "cannot be resumed")
    assert_refused(run_here("train --resume", tmp_path / "nowhere"), "nowhere")


def test_a_second_training_in_a_folder_is_rejected(tmp_path):
    folder = tmp_path / "run"
    # Still runs during the two below.
    process = start_training(folder, "--checkpoint-every", "20", "--epochs", "1000")
    try:
        wait_for_state(folder)
        assert_refused(run_here("train --resume", folder), "in use by another training")
        assert_refused(run_here(f"train {TRAINING} --run-dir", folder), "not an empty folder")
    finally:
        process.kill()
        process.communicate()


def inject_faults(*arguments):
    line = [sys.executable, "-m", "tests.faults", *arguments]
    result = subprocess.run(line, capture_output=True, text=True, timeout=600, cwd=SCRIPTS.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip().splitlines()


@pytest.mark.slow
def test_kills_and_errors_at_every_change_of_the_disk():
    """Twelve kills of a training, as often as it saves states: what one leaves meets the next."""
    inject_faults("--backends", "numpy", "--kills", "0", "--write-errors", "0", "--attempts", "12")


@pytest.mark.slow
def test_short_fault_injection_run():
    """At least one kill in each moment, and two trainings with write errors, on each backend."""
    lines = inject_faults("--kills", "5", "--write-errors", "2")
    assert [line.split(":")[0] for line in lines] == ["numpy", "torch"]
    for line in lines:
        assert not re.search(r"(start-up|resume|saving|running) 0\b", line)
    assert all(
        "0 newest states unreadable, 0 lost, 0 mismatches, 0 unexpected ends" in line for line in lines
    )


def test_a_diverged_training_continues_with_the_printed_command(tmp_path):
    result = run_here(f"train {TRAINING} {DIVERGENCE} --run-dir", tmp_path / "run")
    assert_refused(result, "training diverged", "dense_1.W", "use a smaller learning rate, as in: ")
    command = shlex.split(result.stderr.strip().rpartition("as in: ")[2])
    assert command[0] == sys.executable
    assert command[2:] == ["--resume", str(tmp_path / "run"), "--learning-rate", "5e+19"]
    succeed("train", *command[2:-1], "0.01")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["test_accuracy"] > 0.2


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_a_run_is_resumed_with_another_rate(schedule, tmp_path):
    """A rate of 0 leaves the weights as they were saved after the first epoch."""
    folder = tmp_path / "run"
    words = f"--dataset digits --hidden 16 --epochs 3 --schedule {schedule} --keep 9"
    succeed(f"train {words} --run-dir", folder)
    (folder / "result.json").unlink()
    for later in (*folder.glob("state-00003-*"), *folder.glob("state-00004-*")):
        later.unlink()
    (state,) = folder.glob("state-*")
    saved = read_state(state).arrays["value dense_1.W"]
    result = run_here("train --resume", folder, "--learning-rate", "0")
    assert "from epoch 2, update 0" in result.stdout
    np.testing.assert_array_equal(
        load_model(folder / "model.safetensors").parameters.to_host()["dense_1.W"], saved
    )
    config = json.loads((folder / "config.json").read_text())
    assert config["learning_rate"] == 0.0
    assert config["optimizer_settings"]["learning_rate"]["name"] == schedule


def test_a_run_without_a_state_restarts(tmp_path, reference):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text((reference / "config.json").read_text())
    (folder / "metrics.jsonl").write_text("")
    result = succeed("train --resume", folder)
    assert "from the start" in result.stdout
    assert losses(folder) == losses(reference)
    for path in [folder / "result.json", *folder.glob("state-*")]:  # no restart: weights would be lost
        path.unlink()
    before = (folder / "model.safetensors").read_bytes()
    assert_refused(run_here("train --resume", folder), "holds no training state")
    assert (folder / "model.safetensors").read_bytes() == before
