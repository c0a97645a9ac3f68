#!/usr/bin/env python3
"""Train with several workers, undisturbed and killed, and print one hash of what each training ends with;
time updates in turns, beside PyTorch's DistributedDataParallel; predict larger clusters from what was
measured.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import _command

CLUSTERS = {"10 Gbit/s, 50 us": (50e-6, 1.25e9), "100 Gbit/s, 5 us": (5e-6, 12.5e9)}
"""Networks that are predicted: seconds of latency, bytes a second."""


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="example: scale.py --workers 1,2 --kills 3 --epochs 1 --rotations 6. exit code: 0 all hashes "
        "are equal, 1 one differs, 2 bad input.",
    )
    _command.add_data_arguments(parser)
    add = parser.add_argument
    add("--backend", default="numpy", metavar="NAME", help="default: %(default)s")
    add("--workers", default="1,2,4,8", metavar="N,...", help="worker counts (default: %(default)s)")
    add(
        "--kills",
        type=int,
        default=0,
        help="of random workers, at most so many, in one more training (default: 0)",
    )
    add("--preset", metavar="NAME", help="best, cnn, ...; default: 784-500-500-10")
    add("--batch-size", type=int, default=800, help="default: %(default)s")
    add("--blocks", type=int, default=8, help="default: %(default)s")
    add("--epochs", type=int, default=2, help="default: %(default)s; 0: no trainings")
    add("--limit", type=int, metavar="N", help="only the first N training images")
    add("--seed", type=int, default=0, help="of the kills")
    add("--rotations", type=int, default=12, help="timed slices of each contender (default: 12; 0: none)")
    add("--updates", type=int, default=12, help="of a slice (default: %(default)s)")
    add("--picture", type=Path, metavar="FILE", help="write the cost model's picture there")
    add("--json", type=Path, metavar="FILE", help="write every number there")
    return parser.parse_args()


def trainings(arguments: argparse.Namespace, counts: list[int]) -> list[Any]:
    """One training for each number of workers, and one with kills."""
    from scaling.runs import killed, undisturbed

    given = {"dataset": arguments.dataset, "backend": arguments.backend, "blocks": arguments.blocks,
             "batch-size": arguments.batch_size, "epochs": arguments.epochs, "preset": arguments.preset,
             "limit": arguments.limit, "data-dir": arguments.data_dir, "checkpoint-every": 10}  # fmt: skip
    line = ["--quiet", "--require-backend"]
    line += [part for name, value in given.items() if value is not None for part in (f"--{name}", str(value))]
    found = []
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        for workers in counts:
            found.append(undisturbed(workers, line, Path(folder) / str(workers)))
            _command.say(f"{found[-1].name}: {found[-1].hash[:16]}")
        if arguments.kills:
            place = Path(folder) / "killed"
            found.append(killed(counts, line, place, arguments.kills, arguments.seed))
    return found


def timed(arguments: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Contender -> what its slices took, in turns."""
    from _workers import ask_often

    from backends import InputError

    base = {
        "backend": arguments.backend,
        "dataset": arguments.dataset,
        "data_dir": arguments.data_dir,
        "batch": arguments.batch_size,
        "updates": arguments.updates,
        "size": 1,
        "blocks": 1,
        "threads": 1,
    }
    b = arguments.blocks
    contenders = {
        "B = 1, all cores": ("ours", {"threads": None}), "B = 1, one thread": ("ours", {}),
        "B = 1, one thread, batch 100": ("ours", {"batch": 100}),
        f"B = {b}, threads": ("ours", {"blocks": b, "threads": None}),
        f"B = {b}, one thread": ("ours", {"blocks": b}),
        f"B = {b}, 2 workers": ("ours", {"blocks": b, "size": 2}),
        "DDP, 2 workers": ("ddp", {"size": 2}), "torch, one thread": ("ddp", {}),
        "exchange of 1 number": ("exchange", {"size": 2, "numbers": 2, "updates": 50}),
        "exchange of 648,048": ("exchange", {"size": 2, "numbers": 648_048}),
    }  # fmt: skip
    asked = {}
    for name, (kind, more) in contenders.items():
        settings: dict[str, Any] = {**base, **more}
        limits = {"OMP_NUM_THREADS": "1"} if settings["size"] > 1 or settings["threads"] == 1 else {}
        variables = {**os.environ, **limits}
        asked[name] = ask_often("scaling.contenders", kind, settings, 600, arguments.rotations, variables)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for rotation in range(arguments.rotations):
        for name, answers in asked.items():
            found[name].append(next(answers))
            if "ms" not in found[name][-1]:
                raise InputError(f"{name} cannot be timed: {found[name][-1].get('reason')}")
        _command.say(f"rotation {rotation + 1} of {arguments.rotations}, load {os.getloadavg()[0]:.1f}")
    return found


def checked(arguments: argparse.Namespace) -> list[int]:
    """The numbers of workers. Raises InputError: an option that does not fit."""
    from backends import InputError, get_backend
    from dnn.datasets import load_dataset
    from dnn.distributed.tree import require_blocks
    from dnn.validation.settings import natural_number, positive_integer

    for name in ("kills", "epochs", "rotations"):
        natural_number(name, getattr(arguments, name))
    for name in ("batch_size", "updates"):
        positive_integer(name, getattr(arguments, name))
    texts = arguments.workers.split(",")
    if not all(text.isdecimal() and int(text) > 0 for text in texts):
        raise InputError(f"workers is {arguments.workers!r}, expected numbers such as 1,2,4")
    for text in texts:
        require_blocks(arguments.blocks, int(text))
    get_backend(arguments.backend)
    load_dataset(arguments.dataset, arguments.data_dir)
    return [int(text) for text in texts]


def main(arguments: argparse.Namespace) -> int:
    from _tables import columns
    from benchmarks.quartiles import lower_quartile
    from scaling.model import Costs, draw, predictions

    counts = checked(arguments)
    report: dict[str, Any] = {}
    outcomes = trainings(arguments, counts) if arguments.epochs else []
    if outcomes:
        rows = [(o.name, o.hash[:16], f"{o.ms:.1f}", f"{100 * o.share:.0f} %") for o in outcomes]
        print(columns(("training", "hash", "ms an update", "in sums"), rows, left=2, ruled=True), flush=True)
        report["trainings"] = [vars(outcome) for outcome in outcomes]
    if arguments.rotations:
        slices = timed(arguments)
        took, cpu, sums = (
            {name: lower_quartile([slice[what] for slice in found]) for name, found in slices.items()}
            for what in ("ms", "cpu", "sums")
        )
        one, work = took["B = 1, one thread"], cpu["B = 1, one thread"]
        rows = [
            (n, f"{ms:.2f}", f"{ms / one:.2f}", f"{cpu[n]:.2f}", f"{cpu[n] / work:.2f}", f"{sums[n]:.2f}")
            for n, ms in took.items()
        ]
        heads = ("lower quartiles", "ms", "of one", "CPU ms", "of one", "ms in sums")
        print(columns(heads, rows, ruled=True), flush=True)
        report["slices"] = slices
        two_workers = f"B = {arguments.blocks}, 2 workers"
        blocked = took[f"B = {arguments.blocks}, threads"]
        costs = calibrated(took, cpu, arguments)
        networks = {"this machine's memory": costs}
        for name, (latency, bandwidth) in CLUSTERS.items():
            networks[name] = Costs(costs.fixed, costs.example, costs.block, latency, bandwidth, costs.size)
        for name, each in networks.items():
            heads = ("workers", "strong ms", "efficiency %", "weak ms", "efficiency %")
            print(f"PREDICTED, {name}:\n{columns(heads, predictions(each), left=0, ruled=True)}", flush=True)
        if arguments.picture is not None:
            measured = cpu[f"B = {arguments.blocks}, one thread"], cpu[two_workers]
            draw(arguments.picture, networks, measured, arguments.batch_size)
        report |= {"costs": vars(costs), "blocked_of_whole": blocked / took["B = 1, all cores"]}
    _command.write_json(arguments.json, report)
    return int(len({outcome.hash for outcome in outcomes}) > 1)


def calibrated(took: dict[str, float], cpu: dict[str, float], arguments: argparse.Namespace) -> Any:
    """The cost model's numbers: arithmetic by its CPU time, which other work disturbs least; exchanges by
    the clock."""
    from scaling.model import Costs

    whole, small = cpu["B = 1, one thread"], cpu["B = 1, one thread, batch 100"]
    example = (whole - small) / max(1, arguments.batch_size - 100)
    block = max(0.0, cpu[f"B = {arguments.blocks}, one thread"] - whole) / arguments.blocks
    size, latency = 4.0 * 648_048, took["exchange of 1 number"] / 2
    sent = max(1e-3, took["exchange of 648,048"] - 2 * latency)
    fixed = max(0.0, small - 100 * example)
    return Costs(fixed / 1e3, example / 1e3, block / 1e3, latency / 1e3, 1e3 * size / sent, size)


if __name__ == "__main__":
    _command.run(main, parse())
