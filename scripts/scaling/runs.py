"""Whole trainings by torchrun, some with workers killed at random, and one hash of what each ends with."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backends import InputError
from dnn.callbacks.training_checkpoint import latest_state
from dnn.run_folder import CONFIG, RESULT

TRAIN = Path(__file__).resolve().parents[1] / "train.py"


@dataclass
class Outcome:
    """What a training ended with.

    Attributes:
        hash: SHA-256 of the weights, the optimizer's vectors and counters and the epoch's sums.
        ms: of an update; share: of the updates' time that was spent in sums over workers.
    """

    name: str
    hash: str
    kills: int
    ms: float
    share: float


def command(workers: int, arguments: Sequence[str], restarts: int = 0) -> list[str]:
    """train.py alone, or under torchrun."""
    if workers == 1:
        return [sys.executable, str(TRAIN), *arguments]
    run = ["-m", "torch.distributed.run", "--nproc-per-node", str(workers), "--max-restarts", str(restarts)]
    port = "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"
    return [sys.executable, *run, *port, str(TRAIN), *arguments]


def outcome(name: str, folder: Path, kills: int) -> Outcome:
    result = json.loads((folder / RESULT).read_text())
    summed = result["seconds_in_sums"] / result["seconds"]
    return Outcome(name, latest_state(folder).digest, kills, result["ms_per_update"], summed)


def undisturbed(workers: int, arguments: Sequence[str], folder: Path) -> Outcome:
    """One training from start to end. Raises InputError: it failed; with its last words."""
    line = command(workers, [*arguments, "--run-dir", str(folder)])
    done = subprocess.run(line, capture_output=True, text=True)
    if not (folder / RESULT).exists():
        raise InputError(f"a training of {workers} workers failed: {done.stderr[-600:]}")
    return outcome(f"{workers} workers" if workers > 1 else "1 worker", folder, 0)


def ranks(launcher: int) -> list[int]:
    """The processes that a torchrun started: of this training, and nobody else's."""
    try:
        path = Path(f"/proc/{launcher}/task/{launcher}/children")
        return [int(pid) for pid in path.read_text().split()]
    except FileNotFoundError:
        return []


def killed(counts: Sequence[int], arguments: Sequence[str], folder: Path, kills: int, seed: int) -> Outcome:
    """One training of which random workers are killed at random moments, up to so often: in one case of four
    as they start, else after they have saved a new state. torchrun starts the group anew, and half of the
    times torchrun is killed too and the run is resumed with another number of workers.
    """
    chance, done, told = random.Random(seed), 0, [*arguments, "--run-dir", str(folder)]
    several = [count for count in counts if count > 1] or [2]
    while not (folder / RESULT).exists():
        with open(folder.with_suffix(".log"), "w+") as log:
            line = command(chance.choice(several), told, kills)
            process = subprocess.Popen(line, stdout=log, stderr=log, text=True)
            while process.poll() is None and done < kills:
                _wait(process, chance, folder)
                if not (alive := ranks(process.pid)) or (folder / RESULT).exists():
                    continue
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.kill(chance.choice(alive), signal.SIGKILL)
                    done += 1
                if (folder / CONFIG).exists() and chance.random() < 0.5:
                    _end(process, alive)
                    told = ["--resume", str(folder)]
                    break
            if process.wait() > 0 and done >= kills and not (folder / RESULT).exists():
                raise InputError(f"a training with kills failed: {Path(log.name).read_text()[-600:]}")
    return outcome(f"{done} kills", folder, done)


def _wait(process: subprocess.Popen[str], chance: random.Random, folder: Path) -> None:
    """Until the moment of the next kill, or the end."""

    def saved() -> set[str]:
        return {path.name for path in folder.glob("state-*")}

    seen, starting = saved(), chance.random() < 0.25
    while not (ranks(process.pid) if starting else saved() - seen):
        if process.poll() is not None:
            return
        time.sleep(0.01)
    time.sleep(chance.uniform(0.0, 3.0 if starting else 1.0))


def _end(launcher: subprocess.Popen[str], workers: Sequence[int]) -> None:
    """Kill a torchrun and its workers, each by its number, and wait until they are gone."""
    for pid in (launcher.pid, *workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    launcher.wait()
    while any(_runs(pid) for pid in workers):
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
