#!/usr/bin/env python3
"""Run the checks that need an NVIDIA GPU, in under 8 minutes: agreement, forms of updates, speed."""

import argparse
from pathlib import Path

import checkout  # noqa: F401

from dnn.commands import command_line

EXIT_NO_DEVICE = 3


def parse() -> argparse.Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Example: gpu_check.py --parts doctor,forms --json gpu.json. Exit code: 0 all parts passed, "
        "1 a part failed, 2 bad input, 3 no CUDA device.",
    )
    parser.add_argument("--parts", metavar="NAME,...", help="default: all (an unknown name lists them)")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--data-dir", metavar="DIR", help="data folder (default: DNN_DATA_DIR, else ./data)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to this file")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> int:
    from gpu_checks.common import LIBRARIES, Settings
    from gpu_checks.parts import PARTS
    from gpu_checks.run import holds, run_parts, summary, table

    from backends import BackendUnavailable, InputError
    from dnn.datasets import load_dataset

    names = command_line.parse_names("part", arguments.parts, PARTS)
    if not arguments.device.startswith("cuda"):
        raise InputError(f"device is {arguments.device!r}, expected cuda or cuda:N")
    settings = Settings(arguments.data_dir, arguments.device)
    missing = []
    for library in LIBRARIES:
        try:
            settings.backend(library)
        except BackendUnavailable as error:
            missing.append(str(error))
    if len(missing) == len(LIBRARIES):
        command_line.say(f"gpu_check.py: no CUDA device can be used: {'; '.join(missing)}")
        return EXIT_NO_DEVICE
    load_dataset("mnist", arguments.data_dir)  # report missing or damaged data once, not in each part
    outcomes = {}
    for name, outcome in run_parts(names, settings):
        outcomes[name] = outcome
        command_line.write_json(arguments.json, outcomes)  # after each part, in case the machine is lost
    print(f"{table(outcomes)}\n\n{summary(outcomes)}", end="", flush=True)
    return 0 if holds(outcomes) else 1


if __name__ == "__main__":
    command_line.run(main, parse)
