#!/usr/bin/env python3
"""Settle on a CUDA device, in under 8 minutes, what no other machine can: agreement there, speed, graphs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import _command

NO_DEVICE = 3


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="exit code: 0 all parts ran and hold, 1 some failed, 2 bad input, 3 no CUDA device.",
    )
    parser.add_argument("--parts", metavar="NAME,...", help="default: all")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--data-dir", metavar="DIR", help="of MNIST; default: DNN_DATA_DIR, else ./data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> int:
    from gpu_checks.common import Settings
    from gpu_checks.parts import PARTS
    from gpu_checks.run import holds, run_parts, table

    from backends import BackendUnavailable, InputError, get_backend
    from dnn.datasets import load_dataset
    from dnn.io.atomic_files import write_atomically
    from dnn.validation.settings import look_up

    names = list(PARTS) if arguments.parts is None else arguments.parts.split(",")
    for name in names:
        look_up("part", name, PARTS)
    if not arguments.device.startswith("cuda"):
        raise InputError(f"device is {arguments.device!r}, expected cuda or cuda:N")
    reasons = []
    for library in ("cupy", "torch"):
        try:
            get_backend(library, arguments.device)
        except BackendUnavailable as error:
            reasons.append(str(error))
    if len(reasons) == 2:
        print(f"gpu_check.py: no CUDA device can be used: {'; '.join(reasons)}", file=sys.stderr)
        return NO_DEVICE
    load_dataset("mnist", arguments.data_dir)  # missing or damaged data is said now
    settings = Settings(arguments.data_dir, arguments.device)
    outcomes = {}
    for name, outcome in run_parts(names, settings, lambda line: print(line, file=sys.stderr, flush=True)):
        outcomes[name] = outcome
        if arguments.json is not None:  # after each part: a machine that is taken away leaves what there was
            write_atomically(arguments.json, (json.dumps(outcomes, indent=1) + "\n").encode())
    print(table(outcomes), flush=True)
    return 0 if holds(outcomes) else 1


if __name__ == "__main__":
    parsed = parse()
    _command.run(lambda: main(parsed))
