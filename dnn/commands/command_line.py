"""Shared parts of the command lines: program name, parser, exit codes, log and JSON output."""

import argparse
import contextlib
import difflib
import logging
import os
import re
import shlex
import string
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from backends import BackendUnavailable, InputError
from backends.errors import one_line, reraise, short_repr, shorten
from dnn.distributed.time_limit import running_calls
from dnn.io.atomic_files import require_writable, write_atomically
from dnn.io.json_text import as_json
from dnn.io.notices import silence, try_print
from dnn.keras_names.table import REPLACEMENTS
from dnn.settings.checks import look_up, require

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
T = TypeVar("T")


def program_name() -> str:
    """Return this command's name: "train.py", or "dnn train" if ``dnn.__main__`` runs it."""
    return Path(sys.argv[0]).name


def program_command() -> list[str]:
    """Return the words that run this command again: Python and scripts/train.py, or -m dnn train."""
    is_module = program_name().startswith("dnn ")
    return [sys.executable, *(["-m", *program_name().split()] if is_module else [sys.argv[0]])]


def quote(word: str) -> str:
    r"""Quote a word for a shell, so that a line with it is printed as it is.

    >>> print(quote("my runs"), quote("a\nb"))
    'my runs' $'a\x0ab'
    """
    if os.name == "nt":  # cmd.exe knows only double quotes, which no name of a file has there
        return word if re.fullmatch(r"[\w.:/\\-]+", word) else f'"{word}"'
    if one_line(word) == word:
        return shlex.quote(word)
    plain = (string.ascii_letters + string.digits + "/._-").encode()
    return "$'" + "".join(chr(b) if b in plain else f"\\x{b:02x}" for b in os.fsencode(word)) + "'"


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors; ``%(prog)s`` in its texts is "train.py" or "dnn train"."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(prog=program_name(), **settings)

    def print_help(self, file: Any = None) -> None:
        """Print the help at once: what waits in a buffer for a closed pipe would fail while Python exits."""
        for line in self.format_help().splitlines():
            try_print(file or sys.stdout, line)

    def error(self, message: str) -> NoReturn:
        hint = ""
        is_unknown = message.startswith("unrecognized arguments")
        for unknown in re.findall(r" (--[^\s=]+)", message) if is_unknown else ():
            name = unknown.strip("-").replace("-", "_")
            word = REPLACEMENTS["renamed argument"].get(name, name).split()[0].replace("_", "-")
            close = difflib.get_close_matches(f"--{word}", self._option_string_actions, cutoff=0.7)
            hint += f"; did you mean {close[0]}?" if close else ""
        print_status(f"{self.prog}: error: {one_line(message)}{hint} (see {self.prog} --help)")
        sys.exit(EXIT_BAD_INPUT)


def print_status(line: str) -> None:
    """Print one line to stderr: stdout is for results."""
    try_print(sys.stderr, line)  # if that fails, the exit code still reports the result


def print_result(text: object) -> None:
    """Print lines to standard output at once.

    Raises OSError: the disk is full, or the reader of a pipe has exited. InputError: another object than a
    file is ``sys.stdout``, and it failed.
    """
    for line in str(text).split("\n"):
        error = try_print(sys.stdout, line)
        if isinstance(error, OSError):
            raise error
        require(error is None, "standard output", error, "a stream that can be written")


def require_output(path: Path | None) -> None:
    """Raise InputError if a file cannot be written. Call it before long work. None: no file is asked for."""
    if path is not None:
        with reraise(OSError, f"{path} cannot be written", "a file in an existing folder"):
            require_writable(path.parent)


def write_json(path: Path | None, content: object) -> None:
    """Write a JSON file. Do nothing if ``path`` is None: --json was not given."""
    if path is not None:
        write_atomically(path, (as_json(content, indent=1) + "\n").encode())


def parse_names(argument: str, text: str | None, table: Mapping[str, Any]) -> list[str]:
    """Split "A,B,..." into names; None means all names of the table.

    Raises InputError: a name is not in the table.
    """
    names = list(table) if text is None else text.split(",")
    for name in names:
        look_up(argument, name, table)
    return names


class StderrHandler(logging.Handler):
    """Log handler that prints one line per record to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        mark = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        print_status(mark + record.getMessage())


@contextlib.contextmanager
def _log_on_stderr() -> Iterator[None]:
    """Print the package's log on stderr, then restore the logger's level and handlers."""
    log = logging.getLogger("dnn")
    level = log.level
    handler = StderrHandler()
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def run(work: Callable[[T], int | None], parse: Callable[[], T]) -> NoReturn:
    """Parse the command line, call ``work`` and exit with its return value.

    A user's mistake becomes one sentence on stderr and exit code 2.
    """
    earlier = running_calls()
    with _log_on_stderr():
        code = _exit_code(work, parse)
    if running_calls() - earlier:  # they could abort Python's own exit
        os._exit(code or 0)
    sys.exit(code)


def _exit_code(work: Callable[[T], int | None], parse: Callable[[], T]) -> int | None:
    """Call ``work`` and return its exit code. Errors that the user can fix are printed as one sentence."""
    try:
        return work(parse())
    except (InputError, BackendUnavailable) as error:
        message = one_line(error)
    except BrokenPipeError:  # the reader of our output has exited, as with "| head"
        silence(sys.stdout)
        return 1
    except OSError as error:  # full disk, unreadable folder, file name too long
        if error.strerror is None:
            raise
        where = "standard output" if error.filename is None else short_repr(error.filename)
        silence(sys.stdout)
        message = f"{where} cannot be read or written ({error.strerror})"
    except Exception as error:
        # Class names and words decide, so that neither torch nor CuPy is imported here.
        is_named = type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error)
        if not is_named and not isinstance(error, MemoryError):
            raise
        message = f"memory is full ({shorten(error)}); use a smaller network or batch"
    except KeyboardInterrupt:
        print_status(f"{program_name()}: interrupted")
        return EXIT_INTERRUPTED
    print_status(f"{program_name()}: error: {message}")
    return EXIT_BAD_INPUT
