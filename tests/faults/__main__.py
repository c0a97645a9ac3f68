"""Inject faults into small trainings, resume them, and compare their files with those of an undisturbed run.

Trainings are killed at start-up, while saving, after a resume and while running; their disk fills up, their
newest states are damaged, their pipes are closed, and random workers of a group are killed.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

TRAIN_SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train.py"
SMALL_OPTIONS = ["--dataset", "digits", "--limit", "320", "--hidden", "16", "--epochs", "3",
                 "--batch-size", "16", "--checkpoint-every", "5", "--require-backend"]  # fmt: skip
BLOCK_OPTIONS = ["--blocks", "4", "--worker-timeout", "20"]


def parse(words=None):
    parser = argparse.ArgumentParser(
        "python -m tests.faults",
        description=__doc__,
        epilog="Exit code: 0 nothing was lost, 1 something was lost, 2 bad input.",
    )
    each = "for each backend (default: %(default)s)"
    parser.add_argument("--backends", default="numpy,torch", metavar="NAME,...", help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=100, help=f"trainings to kill, {each}")
    parser.add_argument("--write-errors", type=int, default=20, help=f"trainings with write errors, {each}")
    changes = f"kill ATTEMPTS attempts of a training at each change of the disk, {each}"
    parser.add_argument("--attempts", type=int, default=0, help=changes)
    workers = f"workers to kill in groups of two and four, {each}"
    parser.add_argument("--worker-kills", type=int, default=0, metavar="KILLS", help=workers)
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    return parser.parse_args(words)


def main(arguments):
    # One thread: the trainings are tiny, and a forked child does not inherit a pool of threads.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    from backends import BackendUnavailable, InputError, get_backend
    from dnn.datasets import load_dataset

    names = arguments.backends.split(",")
    try:
        for name in names:
            get_backend(name)  # loads the libraries once; forked children share them
        load_dataset("digits")
        import matplotlib.figure  # noqa: F401

        if arguments.worker_kills:
            import torch.distributed  # noqa: F401

        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            clean = [disturb(name, arguments, Path(folder) / name) for name in names]
    except (InputError, BackendUnavailable) as error:
        print(f"python -m tests.faults: error: {error}", file=sys.stderr)
        return 2
    return 0 if all(clean) else 1


def disturb(name, arguments, folder):
    """Disturb trainings on one backend and print what happened; return whether nothing was lost."""
    from .groups import Groups
    from .harness import Harness, Tally, main_of_script

    def report(line):
        print(f"{name}: {line}", file=sys.stderr, flush=True)

    train, command, seed = main_of_script(TRAIN_SCRIPT), [*SMALL_OPTIONS, "--backend", name], arguments.seed
    tally = Tally()
    plain = Harness(train, command, folder / "plain", seed, tally)
    plain.kill(arguments.kills, report)
    if arguments.attempts:
        plain.disturb_changes(arguments.attempts, report)
    plain.fail_writes(arguments.write_errors, report)
    tallies = [tally]
    if arguments.worker_kills:
        groups = Groups(train, [*command, *BLOCK_OPTIONS], folder / "groups", seed)
        groups.kill_workers(arguments.worker_kills, report)
        tallies.append(groups.tally)
    for tally in tallies:
        print(f"{name}: {tally.line()}", flush=True)
        for failure in tally.failures:
            print(f"    {failure}")
    return all(tally.clean for tally in tallies)


if __name__ == "__main__":
    sys.exit(main(parse()))
