"""Warnings through the logger "dnn", which the command lines print, and standard output."""

import io
import logging
import sys

import pytest

from dnn.commands.command_line import StderrHandler
from dnn.io.notices import print_line, warn


@pytest.fixture
def log():
    logger = logging.getLogger("dnn")
    handler = StderrHandler()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_the_library_only_logs(caplog, capsys):
    warn("the disk is full")
    assert [(r.name, r.levelname, r.message) for r in caplog.records] == [
        ("dnn", "WARNING", "the disk is full")
    ]
    assert capsys.readouterr().out == ""


class Full(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full()])
def test_a_closed_or_full_stderr_does_not_end_the_program(log, monkeypatch, stream, capsys):
    monkeypatch.setattr(sys, "stderr", stream)
    warn("nobody reads this")
    assert capsys.readouterr().out == ""


def test_say_flushes_at_once_and_ignores_a_closed_stdout(monkeypatch, capsys):
    class Pipe(io.StringIO):
        def flush(self):
            self.written = self.getvalue()

    for stdout in (Pipe(), None):
        monkeypatch.setattr(sys, "stdout", stdout)
        print_line("one")
        assert stdout is None or stdout.written == "one\n"
    assert capsys.readouterr().err == ""


def test_a_full_stdout_warns_once(log, monkeypatch, capsys):
    full = Full()
    monkeypatch.setattr(sys, "stdout", full)
    monkeypatch.setattr("dnn.io.notices.silence", lambda stream: setattr(sys, "stdout", io.StringIO()))
    print_line("one")
    print_line("two")
    assert capsys.readouterr().err.count("standard output cannot be written") == 1
