"""What the command lines share: how they end, what they say and where, and how one asks another process."""

import io
import json
import logging
import os
import sys
from pathlib import Path

import _command
import _workers
import pytest
from _tables import columns

import backends
from backends import BackendUnavailable, InputError

LOG = logging.getLogger("dnn")


@pytest.fixture
def ended(monkeypatch, capsys):
    """A command's main -> (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["folder/it.py"])
    monkeypatch.setattr(LOG, "handlers", [])

    def of(main, *arguments):
        with pytest.raises(SystemExit) as stop:
            _command.run(main, *arguments)
        return stop.value.code, *capsys.readouterr()

    return of


def raises(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "code", "said"),
    [
        (lambda: None, None, ""),
        (lambda: 3, 3, ""),
        (raises(InputError("one\ntwo")), 2, "it.py: error: one two\n"),
        (raises(BackendUnavailable("no GPU")), 2, "it.py: error: no GPU\n"),
        (raises(KeyboardInterrupt()), 130, "it.py: interrupted\n"),
        (raises(BrokenPipeError()), 1, ""),
    ],
)
def test_how_a_command_ends(ended, main, code, said):
    assert ended(main) == (code, "", said)


def test_what_the_library_tells_is_on_stderr_once(ended):
    def main(text):
        LOG.warning(text)
        LOG.info("for your %s", "information")

    for _ in range(2):
        assert ended(main, "mind") == (None, "", "WARNING: mind\nfor your information\n")
    assert len(LOG.handlers) == 1


def test_names_that_are_no_text_can_be_printed(ended, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    ended(lambda: print("\udcff", flush=True))
    assert stream.buffer.getvalue() == b"\\udcff\n"


def test_names_in_a_list_are_looked_up():
    table = {"a": 1, "b": 2}
    assert _command.listed("part", None, table) == ["a", "b"]
    assert _command.listed("part", "b,a,b", table) == ["b", "a", "b"]
    for text in ("", "a,", "a b", "c"):
        with pytest.raises(InputError, match="part"):
            _command.listed("part", text, table)


def test_json_is_written_where_it_is_asked_for(tmp_path):
    _command.write_json(None, {"a": 1})
    assert list(tmp_path.iterdir()) == []
    _command.write_json(tmp_path / "a.json", {"a": [1]})
    assert (tmp_path / "a.json").read_text() == '{\n "a": [\n  1\n ]\n}\n'


def test_json_on_stdout_is_one_line(capsys):
    _command.print_json({"a": {"b": [1.5, float("-inf"), "nan"]}})
    assert capsys.readouterr().out == '{"a": {"b": [1.5, null, "nan"]}}\n'


def test_errors_before_a_command_runs(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["folder/it.py"])
    with pytest.raises(SystemExit) as stop:
        _command.Parser(epilog="after it.py").error("two\nlines")
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", "it.py: error: two lines (see it.py --help)\n")
    _command._hook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "it.py: interrupted\n"
    _command._hook(ValueError, ValueError("a bug"), None)
    assert capsys.readouterr().err == "ValueError: a bug\n"
    assert _command.Parser(epilog="after it.py").epilog == "after it.py"
    assert _command.called() == ["folder/it.py"]


def test_on_the_cpu_is_torch_only_where_it_was_asked_for_and_is_there(monkeypatch):
    found = _command.on_cpu("cupy", "float64", 1)
    assert (found.name, found.dtype_name, found.thread_count) == ("numpy", "float64", 1)
    get_backend, asked = backends.get_backend, []

    def get(name, *arguments, **options):
        asked.append(name)
        if name == "torch":
            raise BackendUnavailable("torch is missing")
        return get_backend(name, *arguments, **options)

    monkeypatch.setattr(backends, "get_backend", get)
    found = _command.on_cpu("torch", "float64", 1)
    assert (found.name, found.dtype_name, found.thread_count) == ("numpy", "float64", 1)
    assert asked == ["torch", "numpy"]


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [("ours", "a", "2.5"), ("theirs", "bb", "12.0")]
    assert columns(("", "", "ms"), rows, left=2, ruled=True).splitlines() == [
        "              ms", "─" * 16, "ours    a    2.5", "theirs  bb  12.0",
    ]  # fmt: skip
    assert columns(("", "b"), [("a", "")]) == "   b\na"


# ----- workers


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
