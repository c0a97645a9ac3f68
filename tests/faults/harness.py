"""A harness that kills or disturbs trainings, resumes them until they end, and compares the results.

Each training is the command that a user types, run in a forked child. At the end every file of its run folder
must equal that of an undisturbed training, except times. After every kill the newest state must be readable.
"""

import itertools
import os
import random
import runpy
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from backends import InputError
from dnn.callbacks.training_checkpoint import read_state, state_files
from dnn.commands.run_folder import CONFIG_FILE, MODEL_FILE, RESULT_FILE
from dnn.training.state import StateError

from .comparison import contents, differences
from .troubles import (
    KILL_MOMENTS,
    FileLimit,
    FullDisk,
    Kill,
    KillAtChange,
    Trouble,
    damage,
    exit_code,
    fork,
    moment,
)

MAX_FILE_BYTES = 60_000
"""Upper end of the random limits on file sizes."""


@dataclass
class Tally:
    """Counts of what happened."""

    kills: Counter[str] = field(default_factory=Counter)  # moment -> number of kills
    moments: tuple[str, ...] = KILL_MOMENTS
    chain: int = 0  # largest number of kills of one training
    write_errors: int = 0  # trainings that ran on a full disk or with a limit on the size of files
    damaged: int = 0  # newest states that were damaged before a resume
    closed: int = 0  # trainings with a closed pipe as stdout
    unreadable: int = 0  # newest states that could not be read
    lost: int = 0  # times that all states were gone
    mismatches: int = 0  # finished trainings with files that differ from the undisturbed training's
    finished: int = 0  # trainings that finished
    failures: tuple[
        str, ...
    ] = ()  # differences between files, and the last output of trainings that ended unexpectedly

    @property
    def clean(self):
        return not (self.unreadable or self.lost or self.mismatches or self.failures)

    def line(self):
        moments = ", ".join(f"{name} {self.kills[name]}" for name in self.moments)
        return (
            f"{self.kills.total()} kills ({moments}; up to {self.chain} of one training), "
            f"{self.write_errors} trainings with write errors, {self.damaged} damaged states and "
            f"{self.closed} closed pipes survived, "
            f"{self.finished} finished: {self.unreadable} newest states unreadable, {self.lost} lost, "
            f"{self.mismatches} mismatches, {len(self.failures) - self.mismatches} unexpected ends"
        )


class Harness:
    """Trainings of one command in one folder.

    Args:
        main: the training command.
        arguments: its arguments without --run-dir and --resume; they must make it save within an epoch.
        folder: created for the runs.
        seed: seed of the random moments.
        tally: counts to add to; default: a new tally.
    Raises InputError: the undisturbed training fails, or this system cannot fork.
    """

    def __init__(
        self,
        main,
        arguments,
        folder,
        seed=0,
        tally=None,
    ):
        if not hasattr(os, "fork"):
            raise InputError("the harness forks its trainings, which this system does not support")
        self.main, self.arguments, self.run, self.log = main, list(arguments), folder / "run", folder / "log"
        self.chance = random.Random(seed)
        self.tally = Tally() if tally is None else tally
        self.damaged = {}  # damaged state -> its damaged content
        folder.mkdir(parents=True)
        began = time.perf_counter()
        pid = self._start([*arguments, "--run-dir", str(self.run)], Trouble())
        while (code := exit_code(pid, wait=False)) is None and not state_files(self.run):
            time.sleep(1e-3)
        self.first = time.perf_counter() - began  # seconds until the first state
        if (exit_code(pid) if code is None else code) != 0:
            raise InputError(f"the undisturbed training failed: {self._last_output()}")
        self.seconds = time.perf_counter() - began
        self.expected = contents(self.run)
        shutil.rmtree(self.run)

    def _start(self, arguments, trouble, closed=False):
        """Run the training in a forked child and return its process id; ``closed`` as in ``fork``."""

        def work():
            trouble.enter()
            return self.main(arguments)

        return fork(work, self.log, closed)

    def _last_output(self):
        return self.log.read_text(encoding="utf-8", errors="replace").strip()[-300:]

    def _check_newest_state(self, seen):
        """Read the newest state that the harness did not damage; return whether there is one."""
        undamaged = [path for path in state_files(self.run) if path.read_bytes() != self.damaged.get(path)]
        if not undamaged:
            self.tally.lost += seen
            return False
        try:
            read_state(undamaged[-1])
        except StateError:
            self.tally.unreadable += 1
        return True

    def _damage(self):
        """Damage the newest state with probability 0.2, if there is another one."""
        undamaged = [path for path in state_files(self.run) if path.read_bytes() != self.damaged.get(path)]
        if len(undamaged) > 1 and self.chance.random() < 0.2:
            self.damaged[undamaged[-1]] = damage(undamaged[-1], self.chance)
            self.tally.damaged += 1

    def _run_disturbed(self, troubles, max_disturbances, damaging):
        """Run one training to its end, disturbed up to ``max_disturbances`` times.

        Args:
            troubles: returns the trouble of an attempt, given whether the attempt resumes a run.
            damaging: whether the newest state is sometimes damaged before a resume.
        """
        tally, seen, n_kills = self.tally, False, 0
        self.damaged.clear()
        for attempt in itertools.count():
            before = state_files(self.run)
            if not before and (self.run / MODEL_FILE).exists():  # weights without states cannot be resumed
                shutil.rmtree(self.run)
            resumed = (self.run / CONFIG_FILE).exists()
            trouble = troubles(resumed) if attempt < max_disturbances else Trouble()
            closed = self.chance.random() < 0.2
            command = ["--resume"] if resumed else [*self.arguments, "--run-dir"]
            pid = self._start([*command, str(self.run)], trouble, closed)
            code = trouble.wait(pid, self.run)
            tally.closed += closed
            if code is None:
                tally.kills[moment(self.run, resumed, before)] += 1
                n_kills += 1
            elif not isinstance(trouble, Kill):
                tally.write_errors += attempt < max_disturbances
            if code == 0 or (self.run / RESULT_FILE).exists():  # finished, maybe killed afterwards
                break
            if code is not None and (attempt >= max_disturbances or isinstance(trouble, Kill)):
                tally.failures += (f"exit {code}: {self._last_output()}",)
                shutil.rmtree(self.run)
                return
            if code and (self.run / CONFIG_FILE).exists() and "--resume" not in self._last_output():
                tally.failures += (f"exit {code} without advice to resume: {self._last_output()}",)
            seen = self._check_newest_state(seen)
            if damaging:
                self._damage()
        tally.finished += 1
        tally.chain = max(tally.chain, n_kills)
        self._compare(other_states=not damaging)

    def _compare(self, other_states):
        if odd := differences(contents(self.run), self.expected, other_states):
            self.tally.mismatches += 1
            self.tally.failures += (", ".join(odd),)
        shutil.rmtree(self.run)

    def _next_kill(self, resumed):
        """Return a kill in the least frequent moment so far, of those possible in this attempt."""
        able = [name for name in KILL_MOMENTS if name != ("start-up" if resumed else "resume")]
        aim = min(able, key=lambda name: (self.tally.kills[name], self.chance.random()))
        if aim == "saving":
            return Kill(0.0, self.chance.randint(1, len(self.expected) + 5))
        return Kill(self.chance.uniform(0.0, self.seconds if aim == "running" else self.first))

    def kill(self, times, report=lambda line: None):
        """Kill trainings until the tally has ``times`` kills, a fifth of them in each moment.

        Each training is resumed until it ends.
        """
        kills = self.tally.kills
        while min(kills.total(), *(5 * kills[name] for name in KILL_MOMENTS)) < times:
            if len(self.tally.failures) >= 5:
                return
            self._run_disturbed(self._next_kill, self.chance.randint(1, 12), damaging=True)
            report(self.tally.line())

    def disturb_changes(self, most, report=lambda line: None):
        """For each n, disturb two trainings at the n-th change of the disk.

        The first ``most`` attempts of one training are killed there. In the other one the n-th flush fails.
        The last n is the number of changes of an undisturbed training.
        """
        kills = self.tally.kills
        for change in itertools.count(1):
            before = kills.total()
            self._run_disturbed(lambda resumed: KillAtChange(change=change), most, damaging=True)  # noqa: B023
            self._run_disturbed(lambda resumed: FullDisk(change - 1, change), 1, damaging=False)  # noqa: B023
            report(self.tally.line())
            if kills.total() == before or len(self.tally.failures) >= 5:
                return

    def fail_writes(self, times, report=lambda line: None):
        """Run ``times`` trainings with limited file sizes or a disk that is temporarily full."""

        def trouble(resumed):
            if self.chance.random() < 0.5:
                return FileLimit(self.chance.randrange(MAX_FILE_BYTES))
            first = self.chance.randrange(100)
            return FullDisk(first, first + self.chance.randrange(1, 40))

        while self.tally.write_errors < times and len(self.tally.failures) < 5:
            self._run_disturbed(trouble, 3, damaging=False)
            report(self.tally.line())


def main_of_script(path):
    """Return the ``main`` of one of our scripts, called with a list of arguments."""

    def main(arguments):
        sys.argv = [str(path), *arguments]
        sys.path.insert(0, str(path.parent))
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1
        return 0

    return main
