"""Groups of workers, forked instead of started by torchrun; random ones are killed."""

import faulthandler
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dnn.commands.run_folder import CONFIG_FILE, RESULT_FILE

from .harness import Harness, Tally
from .troubles import exit_code, fork

HANG_SECONDS = 300.0
"""A group that does not end within this time after a kill hangs."""
EXPECTED_EXIT_CODES = {0, 2, 143, -signal.SIGKILL, -signal.SIGTERM}
"""Exit codes in a group with a killed worker: finished, error message, saved, killed, SIGTERM at start-up."""


def free_port():
    """Return a port that is probably free: below the range that systems assign automatically."""
    return random.SystemRandom().randrange(20_000, 32_000)


def set_torchrun_environment(rank, size, port, restarts=0):
    """Set the environment variables that torchrun would set for this process on a single machine."""
    values = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size,
              "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
              "TORCHELASTIC_RESTART_COUNT": restarts}  # fmt: skip
    os.environ.update({name: str(value) for name, value in values.items()})


@dataclass
class Group:
    """Workers that run ``work`` with the environment that torchrun would give them.

    Attributes:
        size: number of workers; 1: a single process without that environment.
        restarts: number of earlier starts of this group.
        log: output file of worker 0; the names of the others end with their rank.
    """

    work: Callable[[], object]
    size: int
    log: Path
    restarts: int = 0
    pids: dict[int, int] = field(default_factory=dict)  # rank -> process, while it runs
    codes: dict[int, int] = field(default_factory=dict)  # rank -> exit code

    def start(self):
        port = free_port()

        def work(rank):
            if self.size > 1:
                set_torchrun_environment(rank, self.size, port, self.restarts)
            faulthandler.dump_traceback_later(0.9 * HANG_SECONDS, file=2)  # shows where a worker hangs
            self.work()

        self.pids = {rank: fork(partial(work, rank), self.log_path(rank)) for rank in range(self.size)}

    def log_path(self, rank):
        """Return the file with a worker's output."""
        return self.log.with_name(self.log.name + (str(rank) if rank else ""))

    def poll(self):
        """Record which workers have ended; return whether some still run."""
        for rank, pid in list(self.pids.items()):
            if (code := exit_code(pid, wait=False)) is not None:
                self.codes[rank] = code
                del self.pids[rank]
        return bool(self.pids)

    def signal(self, rank, number):
        """Send a worker a signal, if it still runs."""
        if rank in self.pids:
            os.kill(self.pids[rank], number)

    def wait(self, seconds):
        """Wait until all workers end, kill those left after ``seconds``; return whether all ended in time."""
        end = time.monotonic() + seconds
        while self.poll() and time.monotonic() < end:
            time.sleep(2e-3)
        late = list(self.pids)
        for rank in late:
            self.signal(rank, signal.SIGKILL)
        while self.poll():
            time.sleep(2e-3)
        return not late


class Groups(Harness):
    """Trainings by groups of 1, 2 and 4 workers; random workers are killed at random moments.

    They continue as after a restart by torchrun, or are resumed with another number of workers.
    """

    def __init__(self, main, arguments, folder, seed=0):
        super().__init__(main, arguments, folder, seed, Tally(moments=("of 1", "of 2", "of 4")))

    def kill_workers(self, times, report=lambda line: None):
        """Kill workers until the tally has ``times`` kills. A group that hangs afterwards is a failure."""
        while self.tally.kills.total() < times and len(self.tally.failures) < 5:
            self._run_one(self.chance.randint(1, 6))
            report(self.tally.line())

    def _start_group(self, arguments, size, restarts):
        def work():
            sys.exit(self.main(arguments))

        group = Group(work, size, self.log, restarts)
        group.start()
        return group

    def _run_one(self, max_disturbances):
        """Run one training to its end, with up to ``max_disturbances`` kills."""
        chance, tally, seen, n_kills = self.chance, self.tally, False, 0
        size, restarts = chance.choice((2, 4)), 0
        command = [*self.arguments, "--run-dir"]
        while not (self.run / RESULT_FILE).exists():
            group = self._start_group([*command, str(self.run)], size, restarts)
            if n_kills < max_disturbances:
                time.sleep(chance.uniform(0.0, 1.5 * self.seconds))
                rank = chance.randrange(size)
                if group.poll() and rank in group.pids:
                    group.signal(rank, signal.SIGKILL)
                    tally.kills[f"of {size}"] += 1
                    n_kills += 1
                    time.sleep(chance.uniform(0.0, 0.5))
                    for other in group.pids:  # as torchrun does
                        group.signal(other, signal.SIGTERM)
            if not group.wait(HANG_SECONDS):
                outputs = [group.log_path(rank).read_text(errors="replace")[-600:] for rank in range(size)]
                tally.failures += (f"a group of {size} hangs: {outputs}",)
            elif set(group.codes.values()) - EXPECTED_EXIT_CODES or (
                n_kills > max_disturbances and any(group.codes)
            ):
                tally.failures += (f"exit {group.codes}: {self._last_output()}",)
            if len(tally.failures) >= 5:
                return
            seen = self._check_newest_state(seen)
            restarts += 1
            if (self.run / CONFIG_FILE).exists() and chance.random() < 0.5:
                size, restarts, command = chance.choice((1, 2, 4)), 0, ["--resume"]
        tally.finished += 1
        tally.chain = max(tally.chain, n_kills)
        self._compare(other_states=False)
