"""The answers of work in a process of its own."""

import os
import signal
import time
from pathlib import Path

import _workers
import pytest

WORK = """
import os, signal, subprocess, sys, time
from pathlib import Path

def work(kind):
    print("talk")
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield {"pid": os.getpid(), "path": Path("a"), "blocked": blocked}
    child = None
    if kind == "hangs":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid
    yield {"pid": os.getpid(), "child": child}
    if kind == "hangs":
        time.sleep(600)
    if kind == "fails":
        raise ValueError("two\\nlines")
    if kind == "crashes":
        os._exit(4)
"""


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Return a function (kind, timeout) -> answers of WORK in its own process."""
    (tmp_path / "work_of_a_test.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    from work_of_a_test import work

    return lambda kind, timeout=60.0: _workers.run_in_process(work, kind, timeout=timeout)


def test_a_worker_computes_each_answer_on_request(ask, capfd):
    answers = ask("stays")
    one = next(answers)
    assert one["path"] == "a"
    assert one["blocked"]  # Ctrl-C while it starts is no traceback
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert next(answers)["pid"] == one["pid"] != os.getpid()
    answers.close()
    assert is_gone(one["pid"])
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("ends", None),
        ("fails", "ValueError: two"),
        ("crashes", "its process ended with code 4"),
        ("hangs", "not done after 5 s"),
    ],
)
def test_answers_are_kept_when_a_worker_fails(kind, reason, ask):
    first, second, *rest = ask(kind, timeout=5.0 if kind == "hangs" else 60.0)
    assert first["pid"] == second["pid"]
    assert rest == ([] if reason is None else [{"reason": reason}])
    assert kind != "hangs" or is_gone(second["child"])  # what a worker started ends with it


def is_gone(pid):
    """Return whether a process ends within a few seconds."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False
