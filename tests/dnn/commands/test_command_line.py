"""Shared parts of the command lines: exit codes, messages, JSON."""

import argparse
import io
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import input_error

from backends import BackendUnavailable, InputError
from backends.errors import one_line
from dnn.commands import command_line, options
from dnn.io import notices
from dnn.io.json_text import as_json

LOG = logging.getLogger("dnn")


@pytest.fixture
def run_main(monkeypatch, capsys):
    """Return a function that runs a command's main and returns (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["folder/it.py"])
    monkeypatch.setattr(LOG, "handlers", [])

    def of(work, words=None):
        with pytest.raises(SystemExit) as stop:
            command_line.run(work, lambda: words)
        return stop.value.code, *capsys.readouterr()

    return of


def main_that_raises(error):
    def main(_):
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "code", "said"),
    [
        (lambda _: None, None, ""),
        (lambda _: 3, 3, ""),
        (main_that_raises(InputError("one\ntwo")), 2, "it.py: error: one two\n"),
        (main_that_raises(BackendUnavailable("no GPU")), 2, "it.py: error: no GPU\n"),
        (main_that_raises(KeyboardInterrupt()), 130, "it.py: interrupted\n"),
        (main_that_raises(BrokenPipeError()), 1, ""),
    ],
)
def test_exit_codes(run_main, main, code, said):
    assert run_main(main) == (code, "", said)


def test_log_messages_are_printed_once_on_stderr(run_main):
    def main(text):
        LOG.warning(text)
        LOG.info("for your %s", "information")
        LOG.debug("nothing")

    for _ in range(2):
        assert run_main(main, "mind") == (None, "", "WARNING: mind\nfor your information\n")
    assert LOG.handlers == []


def test_the_logger_is_restored_after_an_error(run_main):
    level = LOG.level
    with pytest.raises(ZeroDivisionError):
        command_line.run(main_that_raises(ZeroDivisionError()), lambda: None)
    assert (LOG.level, LOG.handlers) == (level, [])


def test_undecodable_names_are_escaped(run_main, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    run_main(lambda _: command_line.print_result("\udcff"))
    assert stream.buffer.getvalue() == b"\\udcff\n"


def test_parse_names():
    table = {"a": 1, "b": 2}
    assert command_line.parse_names("part", None, table) == ["a", "b"]
    assert command_line.parse_names("part", "b,a,b", table) == ["b", "a", "b"]
    for text in ("", "a,", "a b", "c"):
        with input_error("part"):
            command_line.parse_names("part", text, table)


def test_write_json(tmp_path):
    command_line.write_json(None, {"a": 1})
    assert list(tmp_path.iterdir()) == []
    command_line.write_json(tmp_path / "a.json", {"a": [1]})
    assert (tmp_path / "a.json").read_text() == '{\n "a": [\n  1\n ]\n}\n'


def test_json_has_null_for_nonfinite_numbers():
    text = as_json({"a": {"b": [1.5, float("-inf"), "nan", np.inf]}})
    assert text == '{"a": {"b": [1.5, null, "nan", null]}}'


def test_parser_errors(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["folder/it.py"])
    with pytest.raises(SystemExit) as stop:
        command_line.Parser().error("two\nlines")
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", "it.py: error: two lines (see it.py --help)\n")


@pytest.mark.parametrize(
    ("word", "hint"),
    [("--epocs=3", "; did you mean --epochs?"), ("--lr", "; did you mean --learning-rate?"), ("epochs", "")],
)
def test_an_unknown_option_names_the_closest_one(capsys, word, hint):
    parser = command_line.Parser()
    parser.add_argument("--epochs")
    parser.add_argument("--learning-rate")
    with pytest.raises(SystemExit):
        parser.parse_args([word])
    assert f"error: unrecognized arguments: {word}{hint} (see" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("first", "words"),
    [("dnn train", ["-m", "dnn", "train"]), ("my scripts/train.py", ["my scripts/train.py"])],
)
def test_program_command(first, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", [first, "--epochs", "1"])
    assert command_line.program_command() == [sys.executable, *words]


@pytest.mark.parametrize(
    "word", ["runs/é", "a  b", "new\nline", "it's \\x41", "\x1b[2J", "$HOME`ls`", "\udcff"]
)
def test_a_quoted_word_is_printed_on_one_line_and_read_by_a_shell(word):
    quoted = command_line.quote(word)
    assert one_line(quoted) == quoted
    shell = ["bash", "-c", f"printf %s {quoted}"]
    assert subprocess.check_output(shell) == os.fsencode(word)


@pytest.mark.parametrize(("word", "quoted"), [(r"C:\runs\1-a", r"C:\runs\1-a"), (r"my\a&b", r'"my\a&b"')])
def test_a_word_is_quoted_for_windows(word, quoted, monkeypatch):
    monkeypatch.setattr(os, "name", "nt")
    found = command_line.quote(word)
    monkeypatch.undo()
    assert found == quoted


def test_no_control_character_reaches_the_terminal(run_main):
    def work(_):
        notices.print_line("out\a\x1b[2J\n")
        notices.warn("log\a\x1b[2J\n")
        raise InputError("run \a\x1b[2J\u202e is wrong")

    _, out, err = run_main(work)
    assert out == "out\\x07\\x1b[2J\\n\n"
    assert err.splitlines() == [
        "WARNING: log\\x07\\x1b[2J\\n",
        "it.py: error: run \\x07\\x1b[2J\\u202e is wrong",
    ]


def test_cpu_fallback_backend(monkeypatch):
    get_backend = options.get_backend
    asked = []

    def get(name, *arguments, **options):
        asked.append(name)
        if name == "torch":
            raise BackendUnavailable("torch is missing")
        return get_backend(name, *arguments, **options)

    monkeypatch.setattr(options, "get_backend", get)
    found = options.on_cpu(argparse.Namespace(backend="torch", threads=1, precision="tf32"), "float64")
    assert (found.name, found.dtype_name, found.thread_count) == ("numpy", "float64", 1)
    assert asked == ["torch", "numpy"]
