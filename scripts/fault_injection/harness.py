"""A harness that kills trainings, at random moments and by failing writes, resumes them and compares.

Each training is the command line's own, run in a forked child, so that what is tested is what a user has.
The final weights must be those of a training that nothing happened to, bit for bit, and the newest state in
the folder must be readable after every kill.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends import InputError
from dnn.callbacks.training_checkpoint import state_files
from dnn.run_folder import MODEL, RESULT
from dnn.training.state import StateError, read_state

Main = Callable[[Sequence[str]], int]  # the training command, given its arguments


@dataclass
class Tally:
    """What happened.

    Attributes:
        kills: trainings that were alive when they were killed.
        write_errors: trainings that ran with a limit on the size of files.
        unreadable: times that the newest state could not be read.
        lost: kills after which there was no state although an older one had been seen.
        mismatches: finished trainings whose weights differ from the undisturbed one's.
        finished: trainings that came to their end.
        failures: what resumed trainings said that ended in an unexpected way.
    """

    kills: int = 0
    write_errors: int = 0
    unreadable: int = 0
    lost: int = 0
    mismatches: int = 0
    finished: int = 0
    failures: tuple[str, ...] = ()

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


def _ended(pid: int) -> int | None:
    """The child's exit code; None while it runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
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

    Raises:
        InputError: the undisturbed training does not work, or this system cannot fork.
    """

    def __init__(self, main: Main, arguments: Sequence[str], folder: Path, seed: int = 0) -> None:
        if not hasattr(os, "fork"):
            raise InputError("the harness forks its trainings, which this system cannot")
        self.main, self.arguments, self.folder = main, list(arguments), folder
        self.random, self.tally = random.Random(seed), Tally()
        folder.mkdir(parents=True)
        whole, log = folder / "whole", folder / "log"
        began = time.perf_counter()
        pid = start(main, [*arguments, "--run-dir", str(whole)], log=log)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            raise InputError(f"the undisturbed training failed: {log.read_text(encoding='utf-8')[-300:]}")
        self.seconds = time.perf_counter() - began
        self.weights = (whole / MODEL).read_bytes()

    def _disturbed(self, number: int, kill: bool, limit: Callable[[], int | None]) -> int:
        """One training, disturbed until it is done; returns how often it was killed."""
        run, log, kills, seen = self.folder / f"run-{number}", self.folder / "log", 0, False
        for attempt in range(200):
            begun = bool(state_files(run)) if run.is_dir() else False
            if run.is_dir() and not begun:
                shutil.rmtree(run)  # killed before anything was saved: begun anew
            if (run / RESULT).exists():  # killed after its end
                break
            command = ["--resume", str(run)] if begun else [*self.arguments, "--run-dir", str(run)]
            last = attempt >= 20  # enough: let it end
            file_limit = None if last else limit()
            pid = start(self.main, command, file_limit, log)
            code = None
            if kill and not last:
                time.sleep(self.random.uniform(0.0, self.seconds))
                code = _ended(pid)
                if code is None:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    kills += 1
                    seen = _newest(run, self.tally, seen)
                    continue
            if code is None:
                _, status = os.waitpid(pid, 0)
                code = os.waitstatus_to_exitcode(status)
            if file_limit is not None:
                self.tally.write_errors += 1
                seen = _newest(run, self.tally, seen)
            if code == 0:
                break
            if file_limit is None:
                said = log.read_text(encoding="utf-8", errors="replace").strip()[-300:]
                self.tally.failures += (f"exit {code}: {said}",)
                return kills
        self.tally.finished += 1
        if (run / MODEL).read_bytes() != self.weights:
            self.tally.mismatches += 1
        shutil.rmtree(run)
        return kills

    def kill(self, times: int, told: Callable[[str], object] = lambda line: None) -> None:
        """Kill trainings until so many were alive when it happened; each is resumed to its end."""
        number = 0
        while self.tally.kills < times and len(self.tally.failures) < 5:
            self.tally.kills += self._disturbed(number, True, lambda: None)
            number += 1
            told(self.tally.line())

    def fail_writes(
        self, times: int, largest: int, told: Callable[[str], object] = lambda line: None
    ) -> None:
        """Run trainings under random limits on the size of files, up to ``largest`` bytes."""
        number = 10_000
        while self.tally.write_errors < times and len(self.tally.failures) < 5:
            tries = iter([True] * 3)
            self._disturbed(
                number,
                False,
                lambda tries=tries: self.random.randrange(largest) if next(tries, False) else None,  # type: ignore[misc]
            )
            number += 1
            told(self.tally.line())


def main_of_script(path: Path) -> Main:
    """The ``main`` of a script of ours, called with arguments as a command line would."""

    def main(arguments: Sequence[str]) -> int:
        import runpy

        sys.argv = [str(path), *arguments]
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1
        return 0

    return main
