"""What the command lines share: their names, how they end, what they print and write."""

import argparse
import contextlib
import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from backends import BackendUnavailable, InputError
from backends.errors import one_line, short_repr
from dnn.io.atomic_files import write_atomically
from dnn.io.notices import silence
from dnn.validation.settings import look_up

BAD_INPUT = 2
INTERRUPTED = 130
T = TypeVar("T")


def program() -> str:
    """This command's name: "train.py", or "dnn train" where ``dnn.__main__`` runs it."""
    return Path(sys.argv[0]).name


def called() -> list[str]:
    """The words that call this command again: ["scripts/train.py"], or ["dnn", "train"]."""
    return program().split() if program().startswith("dnn ") else [sys.argv[0]]


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one sentence, and help that names commands as this one was called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(prog=program(), **settings)
        if program().startswith("dnn ") and self.epilog:
            self.epilog = re.sub(r"\b(\w+)\.py\b", r"dnn \1", self.epilog)

    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: error: {one_line(message)} (see {self.prog} --help)")
        sys.exit(BAD_INPUT)


def say(line: str) -> None:
    """Print a line about progress: on stderr, so that stdout holds results alone."""
    if sys.stderr is None:  # as where it was closed before Python started; print would take stdout
        return
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # its terminal was closed; the exit code still tells how the command ended
        silence(sys.stderr)


def write_json(path: Path | None, content: object) -> None:
    """Write a file of JSON; None, where no --json was given, writes nothing."""
    if path is not None:
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def as_json(content: Mapping[str, Any], indent: int | None = None) -> str:
    """JSON text, with null for each number that JSON lacks: NaN and infinity."""
    return json.dumps(json.loads(json.dumps(content), parse_constant=lambda _: None), indent=indent)


def listed(argument: str, text: str | None, table: Mapping[str, Any]) -> list[str]:
    """The names in "A,B,..."; None: all of the table. Raises InputError: a name is not in the table."""
    names = list(table) if text is None else text.split(",")
    for name in names:
        look_up(argument, name, table)
    return names


class ToStderr(logging.Handler):
    """The command lines' log: a line on stderr; where that is closed or full, nobody reads it."""

    def emit(self, record: logging.LogRecord) -> None:
        mark = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        with contextlib.suppress(OSError, ValueError):
            say(mark + record.getMessage())


@contextlib.contextmanager
def _log_on_stderr() -> Iterator[None]:
    """Print the package's log on stderr. Afterwards the logger is as it was."""
    log = logging.getLogger("dnn")
    level = log.level
    handler = ToStderr()
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def run(work: Callable[[T], int | None], parse: Callable[[], T]) -> NoReturn:
    """Parse the command line, do the work, and exit with the code that it returns.

    A user's mistake becomes one sentence on stderr and exit code 2.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name may hold bytes that are not text. stderr escapes them by itself.
        sys.stdout.reconfigure(errors="backslashreplace")
    with _log_on_stderr():
        code = _exit_code(work, parse)
    sys.exit(code)


def _exit_code(work: Callable[[T], int | None], parse: Callable[[], T]) -> int | None:
    """Do the work. Print an error that the user can mend as one sentence."""
    try:
        code = work(parse())
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (InputError, BackendUnavailable) as error:
        say(f"{program()}: error: {one_line(error)}")
        return BAD_INPUT
    except BrokenPipeError:  # whoever read our output is gone, as after "| head"
        silence(sys.stdout)
        return 1
    except OSError as error:  # of the system, with its own words: a full disk, a closed folder, a long name
        if error.strerror is None:
            raise
        where = "standard output" if error.filename is None else short_repr(error.filename)
        silence(sys.stdout)
        say(f"{program()}: error: {where} cannot be read or written ({error.strerror})")
        return BAD_INPUT
    except Exception as error:
        reason = _out_of_memory(error)
        if reason is None:
            raise
        say(f"{program()}: error: {reason}")
        return BAD_INPUT
    except KeyboardInterrupt:
        say(f"{program()}: interrupted")
        return INTERRUPTED


def _out_of_memory(error: Exception) -> str | None:
    """The sentence for an error that means too little memory; None for any other.

    Judged by class names and words, so that neither torch nor CuPy is imported for it.
    """
    text = one_line(str(error).split("\n")[0])
    cure = "use a smaller network or batch"
    if type(error).__name__ == "OutOfMemoryError":  # torch's and CuPy's
        return f"the GPU's memory is full ({text}); {cure} or --backend numpy"
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch on the CPU
        return f"memory is full ({text}); {cure}"
    return None
