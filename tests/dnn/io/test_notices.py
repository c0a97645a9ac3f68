"""Warnings through the logger "dnn", which the command lines print, and lines on any standard output."""

import io
import logging
import os
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from types import SimpleNamespace

import pytest
from command_lines import run_code
from helpers import fit_small, others_slow, same_bits, small_data, small_model, weights

from backends import InputError
from dnn.commands import train
from dnn.commands.command_line import StderrHandler, print_result
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


def stream(**attributes):
    """Return a class of objects with ``write`` and these attributes only."""
    return lambda: SimpleNamespace(**{"write": lambda text: None, **attributes})


def fails(error):
    def fail(*arguments):
        raise error

    return fail


def closed(file):
    file.close()
    return file


FULL = OSError(28, "No space left on device")
STREAMS = {
    "None": lambda: None,
    "without any method": object,
    "only write": stream(),
    "flush fails": stream(flush=fails(FULL), fileno=lambda: 1),
    "write fails": stream(write=fails(FULL), fileno=lambda: 1, isatty=lambda: True),
    "write fails with an error of its own": stream(write=fails(RuntimeError("no line"))),
    "an encoding that does not exist": stream(encoding="no-such"),
    "a terminal": stream(isatty=lambda: True, flush=lambda: None, encoding="utf-8"),
    "closed text": lambda: closed(io.StringIO()),
    "closed file": lambda: closed(io.TextIOWrapper(io.BytesIO())),
    "ascii": lambda: io.TextIOWrapper(io.BytesIO(), "ascii"),
    "notebook": type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"}),
}


@contextmanager
def odd_streams(name):
    """Set stdout, stderr and the stream of a log handler; afterwards fd 1 must be what it was."""
    before = os.fstat(1)
    odd = STREAMS[name]()
    handler = logging.StreamHandler(odd)
    logger = logging.getLogger("dnn")
    logger.addHandler(handler)
    try:
        with redirect_stdout(odd), redirect_stderr(odd):
            yield
    finally:
        logger.removeHandler(handler)
    assert os.path.samestat(os.fstat(1), before)


def train_and_print():
    model = small_model()
    for verbose in (0, 1, 2, "auto"):
        fit_small(model, verbose=verbose)
    model.evaluate(*small_data(), verbose=1)
    model.summary()
    warn("größe")
    return weights(model)


@pytest.mark.parametrize("name", STREAMS)
def test_no_stream_disturbs_a_training(name):
    with odd_streams("notebook"):
        expected = train_and_print()
    with odd_streams(name):
        assert same_bits(train_and_print(), expected)


@pytest.mark.parametrize("name", others_slow(STREAMS, ["without any method", "closed file"]))
def test_no_stream_ends_the_command(name, tmp_path, monkeypatch):
    words = "train.py --dataset digits --hidden 8 --epochs 1 --limit 200 --backend numpy --run-dir"
    monkeypatch.setattr(sys, "argv", [*words.split(), str(tmp_path)])
    with odd_streams(name), pytest.raises(SystemExit) as ended:
        train.main()
    assert not ended.value.code
    assert (tmp_path / "result.json").exists()


@pytest.mark.parametrize("name", STREAMS)
def test_a_result_is_printed_or_refused(name):
    with odd_streams(name), suppress(OSError, InputError):
        print_result("größe\n中")


def test_a_silent_training_does_not_touch_stdout(monkeypatch):
    monkeypatch.delattr(sys, "stdout")
    fit_small(verbose=0)


@pytest.mark.parametrize(
    ("encoding", "line"),
    [("ascii", r"gr\xf6\xdfe \u4e2d"), ("cp1252", r"größe \u4e2d"), ("utf-16", "größe 中")],
)
def test_characters_that_stdout_cannot_encode_are_escaped(encoding, line, monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    print_line("größe 中", end="")
    assert stdout.buffer.getvalue().decode(encoding) == line


FULL_PIPE = """
r, w = os.pipe(); os.dup2(1, 9); os.dup2(w, 1); os.set_blocking(1, False)
try:
    while True:
        os.write(1, b"x" * 4096)
except BlockingIOError:
    print_line("y" * 100_000)
os.dup2(9, 1)
"""
# What happens to fd 1, how the output ends, and the number of warnings.
PROCESSES = {
    "ascii": ("", "gr\\xf6\\xdfe\nafter\n", 0),
    "a pipe that is full for a moment": (FULL_PIPE, "after\n", 1),
    "a full disk": ("os.dup2(os.open('/dev/full', os.O_WRONLY), 1)", "", 1),
    "closed": ("os.close(1)", "", 1),
}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize("case", PROCESSES)
def test_only_a_broken_stdout_is_given_up(case):
    before, expected, warnings = PROCESSES[case]
    code = f"import os\nfrom dnn.io.notices import print_line\n{before}\n"
    code += "print_line('größe')\nprint_line('after')"
    done = run_code(code, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUNBUFFERED": ""})
    assert done.stdout.endswith(expected)
    assert done.stderr.count("standard output cannot be written") == warnings
