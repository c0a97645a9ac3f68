#!/usr/bin/env python3
"""Kill small trainings as they start, save, resume and run, let their disk fill, damage their newest states,
close their pipes, kill random ones of several workers, and resume them: every file must be that of a training
that nothing happened to.
"""

import argparse
import os
import tempfile
from pathlib import Path

import checkout  # noqa: F401

from dnn.commands import command_line

SMALL = ["--dataset", "digits", "--limit", "320", "--hidden", "16", "--epochs", "3", "--batch-size", "16",
         "--checkpoint-every", "5", "--require-backend"]  # fmt: skip
IN_BLOCKS = ["--blocks", "4", "--worker-timeout", "20"]
REWOUND = ["--on-nan", "rewind", "--learning-rate", "0.01"]  # of its trainings two diverge first


def parse() -> argparse.Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: faults.py --backends numpy --kills 10. exit code: 0 nothing was lost, 1 something "
        "was, 2 bad input.",
    )
    each = "for each backend (default: %(default)s)"
    parser.add_argument("--backends", default="numpy,torch", metavar="NAME,...", help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=100, help=f"trainings to kill, {each}")
    parser.add_argument("--write-errors", type=int, default=20, help=f"trainings whose writes fail, {each}")
    workers = f"workers to kill in groups of two and four, {each}"
    parser.add_argument("--worker-kills", type=int, default=0, metavar="KILLS", help=workers)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> int:
    # One thread: the trainings are tiny, and a forked child does not inherit a pool of threads.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    from fault_injection.groups import Groups
    from fault_injection.harness import Harness, Tally, main_of_script
    from fault_injection.troubles import diverge

    from backends import get_backend
    from dnn.datasets import load_dataset

    names = arguments.backends.split(",")
    for name in names:
        get_backend(name)  # refuses what cannot run, and loads the libraries that the children then share
    load_dataset("digits")
    import matplotlib.figure  # noqa: F401

    if arguments.worker_kills:
        import torch.distributed  # noqa: F401

    train = main_of_script(Path(__file__).parent / "train.py")
    clean = True
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for name in names:
            tally = Tally()
            command, place = [*SMALL, "--backend", name], Path(folder) / name
            plain = Harness(train, command, place / "plain", arguments.seed, tally)
            rewound = Harness(train, [*command, *REWOUND], place / "rewound", arguments.seed, tally, diverge)

            def told(line: str, name: str = name) -> None:
                command_line.say(f"{name}: {line}")

            plain.kill(arguments.kills - arguments.kills // 4, told)
            rewound.kill(arguments.kills, told)
            plain.fail_writes(arguments.write_errors, told)
            tallies = [tally]
            if arguments.worker_kills:
                groups = Groups(train, [*command, *IN_BLOCKS], place / "groups", arguments.seed)
                groups.kill_workers(arguments.worker_kills, told)
                tallies.append(groups.tally)
            for tally in tallies:
                print(f"{name}: {tally.line()}", flush=True)
                for failure in tally.failures:
                    print(f"    {failure}")
                clean = clean and tally.clean
    return 0 if clean else 1


if __name__ == "__main__":
    command_line.run(main, parse)
