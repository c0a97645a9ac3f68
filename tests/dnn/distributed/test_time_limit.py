"""Calls with a time limit, and the exit of a process beside threads of torch, which must not abort it."""

import math
import os
import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip("torch.distributed", reason="torch.distributed is missing")

from faults.groups import free_port
from helpers import MAX_SECONDS

from dnn.distributed.time_limit import call_within, running_calls

FINISHED_WORKER = """
import sys, time
import torch
from dnn.distributed import Workers

workers = Workers.from_environment(timeout=60.0)
workers.share(lambda: None)
sys.setswitchinterval(60)  # the main thread keeps the GIL: gloo's thread waits for it until the exit
torch.distributed.all_reduce(torch.zeros(3), async_op=True)
end = time.monotonic() + 0.5
while time.monotonic() < end:
    pass
"""
INTERRUPTED_CALL = """
import signal, threading, time
from datetime import timedelta
from torch.distributed import TCPStore
from dnn.commands import command_line
from dnn.distributed.time_limit import call_within

class SlowEnd:
    def __del__(self):
        time.sleep(4)  # the call ends while Python finalises

slow_end = SlowEnd()

def work(_):
    command_line.print_result("begun")
    main_thread = threading.main_thread().ident
    threading.Timer(0.2, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
    call_within(60.0, TCPStore, "127.0.0.1", 9, 2, False, timedelta(seconds=0.8))

command_line.run(work, lambda: None)
"""


def start(program, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | {"TORCH_CPP_LOG_LEVEL": "FATAL"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def result(process):
    out, errors = process.communicate(timeout=MAX_SECONDS)
    return process.returncode, out, errors


def test_a_call_returns_or_raises_what_the_function_does():
    assert call_within(60.0, max, 3, 4) == 4
    with pytest.raises(ValueError, match="math domain"):
        call_within(60.0, math.sqrt, -1)


def test_a_call_runs_after_its_time_limit_until_it_returns():
    earlier = running_calls()
    ended = threading.Event()
    with pytest.raises(TimeoutError, match="no answer"):
        call_within(0.01, ended.wait)
    (call,) = running_calls() - earlier
    ended.set()
    call.join(MAX_SECONDS)
    assert running_calls() <= earlier


@pytest.mark.slow
def test_a_finished_worker_exits_with_0():
    """It aborted if gloo's thread needed the GIL, to drop the tensors of the last sum, after the end."""
    values = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    workers = [start(FINISHED_WORKER, **values, RANK=str(rank)) for rank in range(2)]
    assert [result(worker) for worker in workers] == [(0, "", "")] * 2


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system cannot interrupt one thread")
def test_a_command_that_is_interrupted_in_a_call_exits_with_130():
    """It aborted if the call returned during the exit."""
    assert result(start(INTERRUPTED_CALL)) == (130, "begun\n", "-c: interrupted\n")
