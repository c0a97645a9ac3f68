#!/usr/bin/env python3
"""Time an update of ours against what you would pick instead, each in a fresh process, in rotation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _command

OURS = ("numpy", "numba", "torch")
SWEPT = (*OURS, "pytorch", "floor-numpy", "floor-torch", "floor-onednn")


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="Only ratios within a rotation count: other work on the machine changes the times. Peers: "
        'pip install "array-api-dnn[peers]". exit code: 0 done, 2 bad input or a named contender that '
        "cannot run.",
    )
    parser.add_argument(
        "--contenders",
        nargs="+",
        metavar="NAME",
        help="numpy, numba, torch (ours); pytorch, pytorch-fused, torch-compile, tutorial, keras-jax, "
        "keras-torch, keras-tensorflow, jax, sklearn; floor-numpy, floor-torch, floor-onednn (the matrix "
        "products alone); "
        "default: all that can run",
    )
    parser.add_argument("--rotations", type=int, metavar="R", help="default: 5; in a sweep 2")
    parser.add_argument(
        "--updates", type=int, metavar="N", help="timed in each run (default: 1200; in a sweep by size)"
    )
    parser.add_argument("--batch-size", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--hidden", type=int, nargs="*", default=[500, 500], help="default: 500 500")
    parser.add_argument(
        "--activation", default="sigmoid", help="sigmoid, tanh or relu (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, help="default: as each library chooses")
    parser.add_argument(
        "--dataset", default="mnist", help="mnist, digits, random, ... (default: %(default)s)"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="default: DNN_DATA_DIR, else ./data")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--profile",
        nargs="?",
        const="numpy",
        metavar="BACKEND",
        help="what one of our updates is made of, on numpy (the default), numba or torch",
    )
    what.add_argument(
        "--saving",
        nargs="?",
        const="numpy",
        metavar="BACKEND",
        help="what it costs a training to save its state each epoch, and every 100 updates; written to this "
        "folder and removed",
    )
    what.add_argument("--sweep", metavar="WHAT", help="batch, width, depth, threads or samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="write a picture there (.png, .svg, .pdf)"
    )
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.contenders import CONTENDERS, available, why_not
    from benchmarks.settings import Settings
    from benchmarks.sweep import VALUES

    from backends import BackendUnavailable, InputError
    from dnn.validation.settings import look_up, positive_integer

    settings = Settings(
        dataset=arguments.dataset,
        data_dir=arguments.data_dir,
        hidden=tuple(arguments.hidden),
        activation=arguments.activation,
        batch=arguments.batch_size,
        updates=1200 if arguments.updates is None else arguments.updates,
        threads=arguments.threads,
    )
    rotations = arguments.rotations
    if rotations is None:
        rotations = 2 if arguments.sweep else 5
    positive_integer("rotations", rotations)
    for name in ("json", "picture"):
        path = getattr(arguments, name)
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"{name} is {str(path)!r}, expected a file in a folder that exists")
    if arguments.sweep is not None:
        look_up("sweep", arguments.sweep, VALUES)
    named = arguments.contenders
    for name in named or ():
        look_up("contender", name, CONTENDERS)
        if why := why_not(name):
            raise BackendUnavailable(f"contender {name!r} cannot run: {why}")

    if arguments.profile is not None:
        return show_profile(arguments, settings)
    if arguments.saving is not None:
        return show_saving(arguments, settings, rotations)
    names, missing = available(named or (SWEPT if arguments.sweep else None))

    from benchmarks import report
    from benchmarks.rotation import rotate
    from benchmarks.sweep import sweep

    from dnn.io.atomic_files import write_atomically

    def told(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if arguments.sweep is not None:
        swept = sweep(arguments.sweep, names, settings, rotations, arguments.updates, told)
        first = next(iter(swept.at.values()))
        first.missing.update(missing)
        failed = {name: why for r in swept.at.values() for name, why in r.missing.items()}
        text, ran = report.sweep_json(swept), bool(swept.names())
    else:
        results = rotate(names, settings, rotations, told)
        results.missing.update(missing)
        failed, text, ran = results.missing, report.as_json(results), bool(results.runs)
    if arguments.json is not None:
        write_atomically(arguments.json, text.encode())
    for name in named or ():
        if name in failed:
            raise BackendUnavailable(f"contender {name!r} cannot run: {failed[name]}")
    if not ran:
        raise BackendUnavailable(f"no contender can run: {failed}")
    if arguments.sweep is not None:
        print(report.sweep_table(swept), flush=True)
        if arguments.picture is not None:
            report.draw_sweep(swept, arguments.picture)
    else:
        print(report.table(results), flush=True)
        if arguments.picture is not None:
            report.draw(results, arguments.picture)
    return 0


def show_saving(arguments: argparse.Namespace, settings: object, rotations: int) -> int:
    """--saving, in this process: whole trainings in turn."""
    import json

    from benchmarks import report, saving

    from dnn.io.atomic_files import write_atomically
    from dnn.validation.settings import look_up

    look_up("saving", arguments.saving, dict.fromkeys(OURS))

    def told(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    seconds = saving.measure(arguments.saving, settings, rotations, Path.cwd(), told)
    print(report.saving_table(seconds), flush=True)
    if arguments.json is not None:
        found = saving.as_json(arguments.saving, seconds)
        write_atomically(arguments.json, (json.dumps(found, indent=1) + "\n").encode())
    return 0


def show_profile(arguments: argparse.Namespace, settings: object) -> int:
    """--profile, in this process: the products and the updates share one pool of threads."""
    import json
    import os

    from benchmarks import report
    from benchmarks.contenders import THREAD_VARIABLES
    from benchmarks.profile import profile

    from dnn.io.atomic_files import write_atomically
    from dnn.validation.settings import look_up

    look_up("profile", arguments.profile, dict.fromkeys(OURS))
    wanted = str(arguments.threads)
    if arguments.threads is not None and any(os.environ.get(v) != wanted for v in THREAD_VARIABLES):
        # Libraries read these when they are loaded, and NumPy is by now.
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, wanted))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    found = profile(arguments.profile, settings)
    print(report.profile_table(found), flush=True)
    if arguments.json is not None:
        write_atomically(arguments.json, (json.dumps(found, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    parsed = parse()
    _command.run(lambda: main(parsed))
