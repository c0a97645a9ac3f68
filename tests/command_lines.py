"""The scripts as a person types them, for several test files."""

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


def run(script, *arguments, **settings):
    """A script in a process of its own: for what is about the process. ``run_here`` spares its start."""
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=MAX_SECONDS, **settings)


def run_here(script, *arguments, cwd="."):
    """A script in this process: what ``run`` gives, without the second in which a new one imports."""
    path, words = SCRIPTS / f"{script}.py", [str(word) for word in arguments]
    out, errors, code, log = io.StringIO(), io.StringIO(), 0, logging.getLogger("dnn")
    with (
        mock.patch.object(log, "handlers", [*log.handlers]),  # the command's own ends with it
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


@contextmanager
def serving(*arguments, **settings):
    """draw.py at a free port: yields the page's address, and ends it by Ctrl-C, which leaves no complaint."""
    command = [sys.executable, str(SCRIPTS / "draw.py"), *map(str, arguments), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, **settings) as server:
        try:
            first = server.stdout.readline()
            found = re.search(r"http://\S+", first)
            assert found, first + server.stderr.read()
            yield found[0]
        finally:
            server.send_signal(signal.SIGINT)
            _, said = server.communicate(timeout=MAX_SECONDS)
    assert (server.returncode, said) == (0, "")


def assert_refused(result, *words):
    """One sentence on stderr that holds these words, exit code 2, no traceback."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert "error: " in last
    for word in words:
        assert word in last


def assert_said(code, said, arguments):
    """Done, or refused in one sentence; no traceback."""
    assert "Traceback" not in said, arguments
    if code == 0:
        return
    assert code == 2, (arguments, code, said)
    last = said.removesuffix("\n").splitlines()[-1]
    assert "error: " in last, (arguments, said)
    assert len(last) < 1300, last
