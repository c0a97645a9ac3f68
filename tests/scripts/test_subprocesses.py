"""How a tool asks another process, and how its tables look."""

import json
import os
import sys
import time
from pathlib import Path

import _workers
import pytest
from _tables import columns


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [("ours", "a", "2.5"), ("theirs", "bb", "12.0")]
    assert columns(("", "", "ms"), rows, left=2, ruled=True).splitlines() == [
        "              ms", "─" * 16, "ours    a    2.5", "theirs  bb  12.0",
    ]  # fmt: skip
    assert columns(("", "b"), [("a", "")]) == "   b\na"


ANSWERS = """
import json, os, sys
kind, settings = sys.argv[1], json.loads(sys.argv[3])
print(*settings["talk"], sep="\\n")
if kind == "fails":
    sys.exit("first\\nlast")
if kind == "silent":
    os._exit(4)
for line in sys.stdin:
    where = [path for path in sys.path if path in settings["paths"]]
    told = {"word": line, "pid": os.getpid(), "paths": where, "x": os.environ.get("X")}
    print(json.dumps(told), flush=True)
"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """(name, times) -> the answers of a worker; its module is in a folder that PYTHONPATH names."""
    (tmp_path / "answers_of_a_test.py").write_text(ANSWERS)
    paths = [str(_workers.SCRIPTS), str(_workers.SCRIPTS.parent), str(tmp_path)]
    settings = {"talk": ["talk", "[1,", "5", '"a"'], "paths": paths}
    variables = {**os.environ, "PYTHONPATH": str(tmp_path), "X": "set"}
    monkeypatch.setenv("X", "not this one")
    return paths, lambda name, times: list(
        _workers.ask_often("answers_of_a_test", name, settings, 30.0, times, variables)
    )


def test_a_worker_stays_and_is_told_when_it_is_the_last_time(asked):
    paths, answers = asked
    one, two, three = answers("stays", 3)
    assert [found["word"] for found in (one, two, three)] == ["next\n", "next\n", f"{_workers.LAST}\n"]
    assert (one["paths"][-3:], one["x"]) == (paths, "set")  # after where it was started
    assert one["pid"] == three["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(one["pid"], 0)


def test_a_worker_that_ends_leaves_its_last_words(asked):
    _, answers = asked
    assert answers("fails", 2) == [{"reason": "its process ended with code 1: last"}] * 2
    assert answers("silent", 1) == [{"reason": "its process ended with code 4: it printed nothing"}]


def test_a_worker_has_this_environment_where_none_is_given(asked, monkeypatch):
    paths, _ = asked
    monkeypatch.setenv("PYTHONPATH", paths[-1])
    found = _workers.ask("answers_of_a_test", "stays", {"talk": [], "paths": []}, 30.0)
    assert (found["word"], found["x"]) == (f"{_workers.LAST}\n", "not this one")


ROWS = """
import json, subprocess, sys, time
ends = sys.argv[1]
print("talk")
print(json.dumps({"row": 1}), flush=True)
if ends == "hangs":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(json.dumps({"row": child.pid}), flush=True)
    time.sleep(600)
if ends == "crashes":
    sys.exit("first\\nlast")
"""


@pytest.mark.parametrize("ends", ["well", "hangs", "crashes"])
def test_the_rows_of_a_worker_stay_however_it_ends(ends, tmp_path, monkeypatch):
    (tmp_path / "rows_of_a_test.py").write_text(ROWS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    first, *others = _workers.ask_all("rows_of_a_test", ends, {}, 5.0 if ends == "hangs" else 60.0)
    assert first == {"row": 1}
    if ends == "hangs":
        child, reason = others
        assert reason == {"reason": "not done after 5 s"}
        assert ended(child["row"])  # what a worker started ends with it
    else:
        assert others == ([] if ends == "well" else [{"reason": "its process ended with code 1: last"}])


def ended(pid):
    """Whether a process is gone, or about to be, within a few seconds."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


def some(*answers):
    """An iterator of these, that raises those which are errors."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
        yield answer


@pytest.mark.parametrize(
    ("made", "code", "printed"),
    [
        (lambda: {"path": Path("a")}, 0, [{"path": "a"}]),
        (lambda: {"reason": "no"}, 1, [{"reason": "no"}]),
        (lambda: some({"a": 1}, {"path": Path("a")}), 0, [{"a": 1}, {"path": "a"}]),
        (lambda: some({"a": 1}, ValueError("two\nlines")), 1, [{"a": 1}, {"reason": "ValueError: two"}]),
        (lambda: some(_workers.CannotRun(" so it is\n")), 1, [{"reason": "so it is"}]),
        (lambda: some(RuntimeError()), 1, [{"reason": "RuntimeError: "}]),
    ],
)
def test_what_a_worker_finds_is_printed(made, code, printed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["worker", "its name"])
    given = []
    assert _workers.serve("about", lambda *words: given.append(words) or made()) == code
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == printed
    assert given == [("its name", "{}")]
