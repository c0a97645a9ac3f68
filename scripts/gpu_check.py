#!/usr/bin/env python3
"""Run the checks that need an NVIDIA GPU, in under 8 minutes: agreement, forms of updates, speed."""

import sys
from argparse import Namespace
from pathlib import Path

sys.path.append(__file__.removesuffix("gpu_check.py"))  # left out by python -P and -I
import checkout  # noqa: F401

from dnn.commands import command_line

EXIT_FAILED = 1
EXIT_NO_DEVICE = 3


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Example: gpu_check.py --parts doctor,forms --json gpu.json. Exit code: 0 all parts passed, "
        "1 a part failed, 2 bad input, 3 no card.",
    )
    parser.add_argument("--parts", metavar="NAME,...", help="default: all (an unknown name lists them)")
    parser.add_argument("--data-dir", metavar="DIR", help="data folder (default: DNN_DATA_DIR, else ./data)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to this file")
    return parser.parse_args()


def main(arguments: Namespace) -> int:
    from gpu_checks.parts import PARTS, CheckOptions, part_holds, run_parts, table, what_to_send

    from backends.nvidia import query_cards
    from dnn.datasets import load_dataset

    names = command_line.parse_names("part", arguments.parts, PARTS)
    if not query_cards():
        command_line.print_status("gpu_check.py: there is no NVIDIA card: nvidia-smi lists none")
        return EXIT_NO_DEVICE
    command_line.require_output(arguments.json)
    load_dataset("mnist", arguments.data_dir)  # report missing or damaged data once, not in each part
    outcomes = {}
    for name, outcome in run_parts(names, CheckOptions(arguments.data_dir)):
        outcomes[name] = outcome
        command_line.write_json(arguments.json, outcomes)  # after each part, in case the machine is lost
    command_line.print_result(f"{table(outcomes)}\n\n{what_to_send(outcomes, arguments.json)}")
    return 0 if all(map(part_holds, outcomes.values())) else EXIT_FAILED


if __name__ == "__main__":
    command_line.run(main, parse)
