"""If its terminal is closed, a training ends as after SIGHUP: exit code 129, state and weights saved."""

import os
import select
import signal
import sys
import time

import pytest
from command_lines import SCRIPTS
from helpers import MAX_SECONDS

from dnn.callbacks.training_checkpoint import latest_state

pty = pytest.importorskip("pty", reason="no terminals here")


def test_a_closed_terminal_saves_the_training(tmp_path):
    options = "--dataset digits --hidden 16 --epochs 100000 --backend numpy --run-dir run"
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup, which ignores it
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, str(SCRIPTS / "train.py"), *options.split()])
    shown = b""
    deadline = time.monotonic() + MAX_SECONDS
    while b"epoch 3" not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 100_000)
    os.close(terminal)
    ended = 0
    while ended == 0 and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.1)
    if ended == 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the training went on without its terminal")
    assert os.waitstatus_to_exitcode(status) == 129
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert latest_state(tmp_path / "run").epoch >= 3
