"""Run the scripts as a user would, for several test files."""

import contextlib
import io
import logging
import re
import runpy
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from helpers import MAX_SECONDS

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def run(command, *arguments, **settings):
    """Run a command such as "train --epochs 1" in its own process, for tests about the process.

    ``run_here`` is faster. The arguments may contain spaces.
    """
    script, *words = command.split()
    line = [sys.executable, str(SCRIPTS / f"{script}.py"), *words, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=MAX_SECONDS, **settings)


def run_here(command, *arguments, cwd="."):
    """Run a command in this process: the result of ``run`` without the second that imports take."""
    script, *words = command.split()
    words += map(str, arguments)
    path = SCRIPTS / f"{script}.py"
    out, errors, code, log = io.StringIO(), io.StringIO(), 0, logging.getLogger("dnn")
    with (
        mock.patch.object(log, "handlers", []),  # drops the command's own handler afterwards
        mock.patch.object(log, "setLevel"),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        mock.patch.object(sys, "argv", [str(path), *words]),
        mock.patch.object(sys, "path", [str(path.parent), *sys.path]),
    ):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
    return subprocess.CompletedProcess(words, code, out.getvalue(), errors.getvalue())


def run_code(code, *arguments, expected=0, **settings):
    """Run Python code in its own process; it must end with the expected exit code."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_SECONDS, **settings)
    assert done.returncode == expected, done.stderr
    return done


def succeed(command, *arguments, cwd="."):
    """Return the result of ``run_here`` of a command that must succeed."""
    result = run_here(command, *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result


@contextmanager
def serving(*arguments, **settings):
    """Run draw.py at a free port and yield the page's address. Ctrl-C must end it without output."""
    with serving_process(*arguments, **settings) as (url, _):
        yield url


@contextmanager
def serving_process(*arguments, **settings):
    """Yield the page's address and the id of its process; otherwise as ``serving``."""
    command = [sys.executable, str(SCRIPTS / "draw.py"), *map(str, arguments), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, **settings) as server:
        try:
            first = server.stdout.readline()
            found = re.search(r"http://\S+", first)
            assert found, first + server.stderr.read()
            yield found[0], server.pid
        finally:
            server.send_signal(signal.SIGINT)
            _, said = server.communicate(timeout=MAX_SECONDS)
    assert (server.returncode, said) == (0, "")


def assert_refused(result, *words):
    """Check for exit code 2 and one sentence on stderr that contains these words."""
    assert_said(result.returncode, result.stderr, words)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    for word in words:
        assert word in last


def assert_said(code, said, arguments):
    """Check that a command succeeded or rejected its input with one sentence, without a traceback."""
    assert "Traceback" not in said, arguments
    if code == 0:
        return
    assert code == 2, (arguments, code, said)
    last = said.removesuffix("\n").splitlines()[-1]
    assert "error: " in last, (arguments, said)
    assert len(last) < 1300, last
