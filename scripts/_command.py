"""What the command lines share: how they fail, what they print and write, and how they ask for a backend.

Python puts the folder of the script that runs on sys.path, so ``import _command`` finds this file.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import math
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

CHECKOUT = Path(__file__).resolve().parent.parent
if (CHECKOUT / "backends").is_dir():  # a clone that was not installed works too
    sys.path.append(str(CHECKOUT))

if TYPE_CHECKING:
    from backends import Backend
    from dnn.sequential import Sequential

BAD_INPUT = 2
INTERRUPTED = 130


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C before ``run``, while Python still imports: a sentence too; the exit is as the system has it."""
    if issubclass(kind, KeyboardInterrupt):
        say(f"{program()}: interrupted")
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _hook


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
        from backends.errors import one_line

        say(f"{self.prog}: error: {one_line(message)} (see {self.prog} --help)")
        sys.exit(BAD_INPUT)


def say(line: str) -> None:
    """Print a line about progress: on stderr, so that stdout holds results alone."""
    if sys.stderr is not None:  # as where it was closed before Python started; print would take stdout
        print(line, file=sys.stderr, flush=True)


def write_json(path: Path | None, content: object) -> None:
    """Write a file of JSON; None, where no --json was given, writes nothing."""
    from dnn.io.atomic_files import write_atomically

    if path is not None:
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object on stdout; a number that JSON lacks, NaN or infinity, becomes null."""

    def held(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: held(part) for key, part in value.items()}
        if isinstance(value, list):
            return [held(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    print(json.dumps(held(content), allow_nan=False), flush=True)


def listed(argument: str, text: str | None, table: Mapping[str, Any]) -> list[str]:
    """The names in "A,B,..."; None: all of the table. Raises InputError: a name is not in the table."""
    from dnn.validation.settings import look_up

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


def run(main: Callable[..., int | None], *arguments: Any) -> NoReturn:
    """Run a script's main: a user's mistake becomes one sentence on stderr and exit code 2."""
    from backends import BackendUnavailable, InputError
    from backends.errors import one_line
    from dnn.io.notices import silence_stdout

    name, log = program(), logging.getLogger("dnn")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(ToStderr())
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold bytes that are no text. stderr escapes them by itself.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = main(*arguments)
    except (InputError, BackendUnavailable) as error:
        say(f"{name}: error: {one_line(error)}")
        code = BAD_INPUT
    except BrokenPipeError:  # whoever read our output is gone, as after "| head"
        silence_stdout()
        code = 1
    except Exception as error:
        # By their names and words, so that neither library is imported for this.
        gpu = type(error).__name__ == "OutOfMemoryError"  # torch's and CuPy's
        if not (gpu or isinstance(error, MemoryError) or "allocate memory" in str(error)):  # torch on the CPU
            raise
        text = one_line(str(error).split("\n")[0])
        full, cure = ("the GPU's memory is", " or --backend numpy") if gpu else ("memory is", "")
        say(f"{name}: error: {full} full ({text}); use a smaller network or batch{cure}")
        code = BAD_INPUT
    except KeyboardInterrupt:
        say(f"{name}: interrupted")
        code = INTERRUPTED
    sys.exit(code)


def add_backend_arguments(parser: argparse.ArgumentParser, default: str = "auto", dtype: bool = True) -> None:
    """--backend, --device, --precision, --graphs, --threads, --require-backend; --dtype if asked for."""
    add = parser.add_argument_group("backend").add_argument
    names = "auto, numpy, numba, cupy, torch, strict or a registered name"
    tf32 = "float32, or tf32 for products on CUDA with 10-bit factors"
    add("--backend", default=default, metavar="NAME", help=f"{names} (default: %(default)s)")
    add("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps, ...")
    if dtype:
        add("--dtype", default="float32", help="float32 or float64 (default: %(default)s)")
    add("--precision", default="float32", help=f"{tf32} (default: %(default)s)")
    graphs = "replay updates as CUDA graphs (cupy, or torch on CUDA; untested)"
    add("--graphs", action="store_true", help=graphs)
    threads = "threads of a product on the CPU (default: all, or one while that is faster; docs/speed.md)"
    add("--threads", type=int, metavar="N", help=threads)
    required = "exit with code 2 if that backend cannot run, instead of using the CPU"
    add("--require-backend", action="store_true", help=required)


def add_data_arguments(
    parser: argparse.ArgumentParser,
    default: str | None = "mnist",
    names: str = "mnist, digits, ... (default: %(default)s)",
) -> None:
    """--dataset, whose help is ``names``, and --data-dir."""
    parser.add_argument("--dataset", default=default, metavar="NAME", help=names)
    parser.add_argument("--data-dir", metavar="DIR", help="default: DNN_DATA_DIR, else ./data")


def add_run_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """RUN, or a list of them, and --allow-nonfinite, which ``open_run`` reads, and --json."""
    about = "run folders of trainings" if several else "the run folder of a training"
    parser.add_argument("run", metavar="RUN", type=Path, nargs="+" if several else None, help=about)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--allow-nonfinite", action="store_true", help="use the weights even if some are NaN or infinite"
    )


def add_deskew(parser: argparse.ArgumentParser) -> None:
    """--deskew, for commands that read pictures."""
    parser.add_argument("--deskew", action="store_true", help="set slanted digits upright")


def open_run(arguments: argparse.Namespace) -> tuple[dict[str, Any], Sequential]:
    """(configuration, model) of the run folder, on the backend asked for."""
    from dnn.run_folder import load_run

    return load_run(arguments.run, lambda dtype: open_backend(arguments, dtype), arguments.allow_nonfinite)


def open_backend(arguments: argparse.Namespace, dtype: str | None = None) -> Backend:
    """The backend asked for, and for "auto" a line that says why it is that one, unless --quiet.

    If it cannot run: a loud warning and the same library on the CPU, else NumPy, unless it is required.
    ``dtype`` stands instead of --dtype.
    """
    from backends import BackendUnavailable, get_backend
    from backends.errors import one_line

    name, dtype = arguments.backend, dtype or arguments.dtype
    try:
        backend = get_backend(
            name, arguments.device, dtype, precision=arguments.precision, graphs=arguments.graphs,
            threads=arguments.threads,
        )  # fmt: skip
    except BackendUnavailable as error:
        if arguments.require_backend:
            raise
        backend = on_cpu(name, dtype, arguments.threads)
        library = {"numpy": "NumPy", "torch": "PyTorch"}[backend.name]
        say(f"WARNING: {error}. Using {library} on the CPU instead.")
    if backend.reason is not None and not getattr(arguments, "quiet", False):
        say(f"--backend auto: {one_line(backend.reason)}")
    return backend


def on_cpu(name: str, dtype: str, threads: int | None) -> Backend:
    """torch on the CPU where torch was asked for and can run, else NumPy."""
    from backends import BackendUnavailable, get_backend

    try:
        return get_backend("torch" if name == "torch" else "numpy", "cpu", dtype, threads=threads)
    except BackendUnavailable:
        return get_backend("numpy", dtype=dtype, threads=threads)
