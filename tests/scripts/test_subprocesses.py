"""The protocol between a tool and its worker process."""

import io
import json
import os
import sys
import time
from pathlib import Path

import _workers
import pytest

ANSWERS = """
import json, os, subprocess, sys, time
kind, settings = sys.argv[1], json.loads(sys.argv[3])
print(*settings["talk"], sep="\\n", flush=True)
for n, line in enumerate(sys.stdin):
    if n == 2 and kind == "fails":
        sys.exit("first\\nlast")
    if n == 2 and kind == "is silent":
        os._exit(4)
    if n == 2 and kind == "ends":
        break
    child = 0
    if n == 1 and kind == "hangs":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid
    where = [path for path in sys.path if path in settings["paths"]]
    told = {"n": n, "pid": os.getpid(), "child": child, "paths": where, "x": os.environ.get("X")}
    print(json.dumps(told), flush=True)
    if child:
        time.sleep(600)
"""


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Return a function (name, timeout) -> answers of a worker in a temporary folder on PYTHONPATH."""
    (tmp_path / "answers_of_a_test.py").write_text(ANSWERS)
    paths = [str(_workers.SCRIPTS_FOLDER), str(_workers.SCRIPTS_FOLDER.parent), str(tmp_path)]
    settings = {"talk": ["talk", "[1,", "5", '"a"'], "paths": paths}
    variables = {**os.environ, "PYTHONPATH": str(tmp_path), "X": "set"}
    monkeypatch.setenv("X", "of this process")
    monkeypatch.setenv("PYTHONPATH", paths[-1])

    def answers(name, timeout=60.0, own=True):
        asked = ("answers_of_a_test", name, settings, timeout)
        return paths, _workers.ask(*asked, variables if own else None)

    return answers


def test_a_worker_computes_on_demand(ask):
    paths, answers = ask("stays")
    one, two = next(answers), next(answers)
    assert [one["n"], two["n"], one["pid"]] == [0, 1, two["pid"]]
    assert (one["paths"][-3:], one["x"]) == (paths, "set")  # after where it was started
    answers.close()
    assert is_gone(one["pid"])
    assert next(ask("stays", own=False)[1])["x"] == "of this process"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ends", None),
        ("fails", "its process ended with code 1: last"),
        ("is silent", "its process ended with code 4: it printed nothing"),
        ("hangs", "not done after 5 s"),
    ],
)
def test_answers_are_kept_when_a_worker_fails(name, reason, ask):
    _, answers = ask(name, 5.0 if name == "hangs" else 60.0)
    first, second, *rest = answers
    assert (first["n"], second["n"]) == (0, 1)
    assert rest == ([] if reason is None else [{"reason": reason}])
    assert name != "hangs" or is_gone(second["child"])  # what a worker started ends with it


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


def yield_or_raise(*answers):
    """Yield these values, and raise those that are exceptions."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
        yield answer


@pytest.mark.parametrize(
    ("made", "code", "printed"),
    [
        (lambda: yield_or_raise({"a": 1}, {"path": Path("a")}), 0, [{"a": 1}, {"path": "a"}]),
        (
            lambda: yield_or_raise({"a": 1}, ValueError("two\nlines")),
            1,
            [{"a": 1}, {"reason": "ValueError: two"}],
        ),
        (lambda: yield_or_raise({"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}), 0, [{"a": 1}, {"a": 2}, {"a": 3}]),
    ],
)
def test_serve_prints_one_answer_per_line(made, code, printed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["worker", "its name"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("next\n" * 3))
    given = []
    assert _workers.serve("about", lambda *words: given.append(words) or made()) == code
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == printed
    assert given == [("its name", "{}")]
