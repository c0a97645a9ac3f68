"""A harness that kills trainings at random moments, or lets their writes fail, resumes them and compares.

Each training is the command that a user types, in a forked child. Its final weights must be those of a
training that nothing happened to, bit for bit, and after every kill the newest state in the folder must be
readable.
"""

import itertools
import os
import random
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from backends import InputError
from dnn.callbacks.training_checkpoint import state_files
from dnn.run_folder import MODEL, RESULT
from dnn.training.state import StateError, read_state

Main = Callable[[Sequence[str]], int]  # the training command, given its arguments


@dataclass
class Tally:
    """What happened."""

    kills: int = 0  # trainings that were alive when they were killed
    write_errors: int = 0  # trainings that ran with a limit on the size of files
    unreadable: int = 0  # times that the newest state could not be read
    lost: int = 0  # times that no state was left although there had been one
    mismatches: int = 0  # finished trainings whose weights differ from the undisturbed one's
    finished: int = 0  # trainings that came to their end
    failures: tuple[str, ...] = ()  # the last words of trainings that ended in an unexpected way

    @property
    def clean(self) -> bool:
        return not (self.unreadable or self.lost or self.mismatches or self.failures)

    def line(self) -> str:
        return (
            f"{self.kills} kills and {self.write_errors} trainings under a file-size limit survived, "
            f"{self.finished} finished: {self.unreadable} newest states unreadable, {self.lost} lost, "
            f"{self.mismatches} mismatches, {len(self.failures)} unexpected ends"
        )


def start(
    main: Main, arguments: Sequence[str], file_limit: int | None = None, log: Path | None = None
) -> int:
    """Run the training in a forked child; returns its process number."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        if file_limit is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(code)


def _ended(pid: int, wait: bool = True) -> int | None:
    """The child's exit code; None while it runs, where we do not wait."""
    found, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    return None if found == 0 else os.waitstatus_to_exitcode(status)


def _newest(folder: Path, tally: Tally, seen: bool) -> bool:
    """Look at the newest state after a kill; returns whether there is one."""
    states = state_files(folder)
    if not states:
        tally.lost += seen
        return False
    try:
        read_state(states[-1])
    except StateError:
        tally.unreadable += 1
    return True


class Harness:
    """Trainings of one command in one folder.

    Args:
        main: the training command.
        arguments: its arguments without --run-dir and --resume; they must make it save within an epoch.
        folder: for the runs; is made new.
        seed: of the moments of killing.

    Raises InputError: the undisturbed training does not work, or this system cannot fork.
    """

    def __init__(self, main: Main, arguments: Sequence[str], folder: Path, seed: int = 0) -> None:
        if not hasattr(os, "fork"):
            raise InputError("the harness forks its trainings, which this system cannot")
        self.main, self.arguments, self.folder = main, list(arguments), folder
        self.random, self.tally = random.Random(seed), Tally()
        folder.mkdir(parents=True)
        whole, log = folder / "whole", folder / "log"
        began = time.perf_counter()
        if _ended(start(main, [*arguments, "--run-dir", str(whole)], log=log)) != 0:
            raise InputError(f"the undisturbed training failed: {log.read_text(encoding='utf-8')[-300:]}")
        self.seconds = time.perf_counter() - began
        self.weights = (whole / MODEL).read_bytes()

    def _disturbed(self, number: int, kill: bool, limit: Callable[[], int | None]) -> None:
        """One training, disturbed until it is done; ``limit`` gives each attempt's largest file, or None."""
        run, log, seen = self.folder / f"run-{number}", self.folder / "log", False
        for attempt in range(200):
            begun = bool(state_files(run))
            if run.is_dir() and not begun:
                shutil.rmtree(run)  # killed before anything was saved: start anew
            if (run / RESULT).exists():  # killed after its end
                break
            command = ["--resume", str(run)] if begun else [*self.arguments, "--run-dir", str(run)]
            last = attempt >= 20  # disturbed often enough: let it end
            file_limit = None if last else limit()
            pid = start(self.main, command, file_limit, log)
            wait = last or not kill
            if not wait:
                time.sleep(self.random.uniform(0.0, self.seconds))
            code = _ended(pid, wait)
            if code is None:
                os.kill(pid, signal.SIGKILL)
                _ended(pid)
                self.tally.kills += 1
                seen = _newest(run, self.tally, seen)
                continue
            if file_limit is not None:
                self.tally.write_errors += 1
                seen = _newest(run, self.tally, seen)
            if code == 0:
                break
            if file_limit is None:
                said = log.read_text(encoding="utf-8", errors="replace").strip()[-300:]
                self.tally.failures += (f"exit {code}: {said}",)
                return
        self.tally.finished += 1
        if (run / MODEL).read_bytes() != self.weights:
            self.tally.mismatches += 1
        shutil.rmtree(run)

    def kill(self, times: int, told: Callable[[str], object] = lambda line: None) -> None:
        """Kill trainings until so many were alive when it happened; each is resumed to its end."""
        for number in itertools.count():
            if self.tally.kills >= times or len(self.tally.failures) >= 5:
                return
            self._disturbed(number, True, lambda: None)
            told(self.tally.line())

    def fail_writes(
        self, times: int, largest: int, told: Callable[[str], object] = lambda line: None
    ) -> None:
        """Run trainings under random limits on the size of files, up to ``largest`` bytes."""
        for number in itertools.count(10_000):
            if self.tally.write_errors >= times or len(self.tally.failures) >= 5:
                return
            limits = (self.random.randrange(largest) for _ in range(3))
            self._disturbed(number, False, partial(next, limits, None))
            told(self.tally.line())


def main_of_script(path: Path) -> Main:
    """The ``main`` of a script of ours, called with arguments as a command line would."""

    def main(arguments: Sequence[str]) -> int:
        sys.argv = [str(path), *arguments]
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1
        return 0

    return main
