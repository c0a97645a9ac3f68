"""train.py with workers: started by torchrun, killed, and resumed with other numbers of workers."""

import os
import re
import signal
import subprocess
import sys
import time

import matplotlib.figure  # noqa: F401  # as load_dataset below
import pytest
from command_lines import SCRIPTS, assert_refused, run, run_here
from helpers import MAX_SECONDS, NUMPY, needs_fork, others_slow

pytest.importorskip("torch.distributed", reason="torch.distributed is missing")

from faults.groups import Group, Groups, free_port
from faults.harness import main_of_script

from dnn.callbacks.training_checkpoint import latest_state
from dnn.datasets import load_dataset
from dnn.training.state import fingerprint

pytestmark = needs_fork
OPTIONS = ["--dataset", "digits", "--limit", "320", "--hidden", "16", "--epochs", "3", "--batch-size", "24",
         "--checkpoint-every", "5", "--backend", "numpy", "--blocks", "4"]  # fmt: skip
TRAIN_MAIN = main_of_script(SCRIPTS / "train.py")


def digest(folder):
    return fingerprint(NUMPY, *latest_state(folder).model_arrays.values())


def train(folder, size, *arguments, restarts=0):
    """Run train.py in a group of workers; return their exit codes and outputs."""

    def work():
        raise SystemExit(TRAIN_MAIN([*arguments]))

    group = Group(work, size, folder / "log", restarts)
    group.start()
    assert group.wait(MAX_SECONDS), "the group hangs"
    return [group.codes[rank] for rank in range(size)], [
        group.log_path(rank).read_text() for rank in range(size)
    ]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return the folder of an undisturbed run in a single process."""
    load_dataset("digits")  # loaded here, so that the forked workers share it
    folder = tmp_path_factory.mktemp("undisturbed")
    assert train(folder, 1, *OPTIONS, "--run-dir", str(folder / "run"))[0] == [0]
    return folder / "run"


@pytest.mark.slow
def test_killed_workers_lose_nothing(tmp_path):
    """The short form of ``python -m tests.faults --worker-kills``."""
    arguments = [*OPTIONS, "--require-backend", "--worker-timeout", "8"]
    groups = Groups(TRAIN_MAIN, arguments, tmp_path / "groups", seed=1)
    groups.kill_workers(4)
    assert groups.tally.clean, groups.tally.failures
    assert groups.tally.kills.total() >= 4
    assert groups.tally.finished


@pytest.mark.parametrize(  # torchrun forwards the signal to all workers
    "receivers", others_slow([(0, 1, 2, 3), (3,)], [(0, 1, 2, 3)])
)
def test_resume_with_another_number_of_workers_after_a_signal(receivers, tmp_path, reference):
    place = tmp_path / "run"
    arguments = [*OPTIONS, "--epochs", "12", "--run-dir", str(place)]

    def work():
        raise SystemExit(TRAIN_MAIN(arguments))

    group = Group(work, 4, tmp_path / "log")
    group.start()
    while not any(place.glob("state-00002*")) and group.poll():
        time.sleep(0.01)
    for rank in receivers:
        group.signal(rank, signal.SIGTERM)
    assert group.wait(MAX_SECONDS)
    assert group.codes == dict.fromkeys(range(4), 143), group.log_path(0).read_text()
    assert "stopped by SIGTERM; resume with: " in group.log_path(0).read_text()
    outputs = train(tmp_path, 2, "--resume", str(place))
    assert outputs[0] == [0, 0], outputs
    long = tmp_path / "long"
    assert train(tmp_path, 1, *OPTIONS, "--epochs", "12", "--run-dir", str(long))[0] == [0]
    assert digest(place) == digest(long)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_first_worker_is_one_line_on_stderr(number, tmp_path):
    """Outside torchrun the first worker holds the store of the group."""
    place = tmp_path / "run"
    line = [sys.executable, SCRIPTS / "train.py", *OPTIONS, "--epochs", "3000", "--run-dir", place]
    values = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    with open(tmp_path / "log", "w+") as log:
        first, second = (
            subprocess.Popen(
                [*line, "--worker-timeout", "10"], env=os.environ | values | {"RANK": str(rank)},
                stdout=subprocess.DEVNULL, stderr=log if rank else subprocess.DEVNULL,
            )
            for rank in range(2)
        )  # fmt: skip
        end = time.monotonic() + MAX_SECONDS
        while not any(place.glob("state-00002*")) and second.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        first.send_signal(number)
        try:
            code = second.wait(MAX_SECONDS)
        finally:
            for process in (first, second):
                process.kill()
                process.wait()
    said = (tmp_path / "log").read_text()
    assert re.fullmatch(
        r"train\.py: error: worker 0 ended, or did not answer within 10 s; the run ends\n", said
    )
    assert code == 2


def test_an_unreachable_store_is_one_line_on_stderr(tmp_path):
    """torch logs such errors too, at the levels below FATAL."""
    values = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    line = [*OPTIONS, "--run-dir", tmp_path / "run", "--worker-timeout", "0.5"]
    result = run("train", *line, env=os.environ | values)
    assert_refused(result, "worker 1 cannot reach the first worker's store within 0.5 s")
    assert result.stderr.count("\n") == 1


def test_a_restarted_group_continues_or_finds_a_finished_run(tmp_path, reference):
    place = str(tmp_path / "run")
    for restarts in (1, 2):  # first there is no folder, then a finished run
        codes, outputs = train(tmp_path, 2, *OPTIONS, "--run-dir", place, restarts=restarts)
        assert codes == [0, 0], outputs
        assert outputs[1] == ""  # only the first worker prints
    assert digest(tmp_path / "run") == digest(reference)
    codes, outputs = train(tmp_path, 2, *OPTIONS, "--run-dir", place)  # a new run in this folder is rejected
    assert codes[0] == 2
    assert "exists and is not an empty folder" in outputs[0]


def test_rejects_bad_numbers_of_blocks(tmp_path):
    assert_refused(
        run_here("train", *OPTIONS[:-1], "3", "--run-dir", tmp_path / "a"), "blocks is 3", "power of two"
    )
    codes, outputs = train(tmp_path, 2, *OPTIONS)
    assert set(codes) <= {2}
    assert "workers have no --run-dir" in outputs[0]
    codes, outputs = train(tmp_path, 2, *OPTIONS[:-2], "--run-dir", str(tmp_path / "b"))
    assert "blocks is 1 with 2 workers" in outputs[0]
    assert not (tmp_path / "b").exists()
