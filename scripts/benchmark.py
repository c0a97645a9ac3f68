#!/usr/bin/env python3
"""Compare the time of one training update with other libraries, in processes that take turns."""

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.append(__file__.removesuffix("benchmark.py"))  # left out by python -P and -I
import checkout  # noqa: F401

from dnn.commands import command_line, options

PAGE = "speed.md"


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Example: benchmark.py --contenders numpy torch pytorch --rotations 20 --updates 1000. "
        "Times are lower quartiles over the slices, and ratios compare these quartiles, because other load "
        'on the machine only adds time. JAX: pip install -e ".[peers]". '
        "Exit code: 0 done, 2 bad input or a named contender that cannot run.",
    )
    add = parser.add_argument
    contenders = (
        "numpy, numba, torch, cupy, torch-graphs, cupy-graphs (ours); pytorch, pytorch-fused, torch-compile, "
        "jax. Those on torch and CuPy accept a device: torch:cuda. "
        "Default: all that run without a GPU and whose library is installed"
    )
    add("--contenders", nargs="+", metavar="NAME", help=contenders)
    add("--rotations", type=int, default=24, metavar="R", help="slices per contender (default: %(default)s)")
    add("--updates", type=int, metavar="N", help="timed updates per contender (default: 1200)")
    add("--activation", help="sigmoid, relu, tanh or gelu (default: sigmoid)")
    options.add_data_arguments(parser, None, "mnist, digits or random (default: mnist)")
    workloads = (
        "time nine networks on noise images; with --rotations 12 in ten minutes at most; default: 240 updates"
    )
    add("--workloads", action="store_true", help=workloads)
    add("--json", type=Path, metavar="FILE", help="write all measurements to this file")
    add("--pages", type=Path, metavar="DIR", help="write the table into DIR/speed.md")
    return parser.parse_args()


def main(arguments: Namespace) -> None:
    from benchmarks import rotation
    from benchmarks.contenders import CPU_CONTENDERS, WORKLOAD_CONTENDERS, get_contender
    from benchmarks.task import WORKLOADS, Workload

    from backends import InputError
    from dnn.settings.checks import positive_integer

    chosen = {
        name: value
        for name, value in vars(arguments).items()
        if hasattr(Workload, name) and value is not None
    }
    if arguments.workloads and chosen.keys() - {"data_dir", "updates"}:
        raise InputError(
            "--workloads times its own networks and data",
            cure="leave out --dataset and --activation, or --workloads",
        )
    networks = WORKLOADS if arguments.workloads else {"lecture": Workload()}
    networks = {name: replace(settings, **chosen) for name, settings in networks.items()}
    rotations = positive_integer("rotations", arguments.rotations)
    names = arguments.contenders or (WORKLOAD_CONTENDERS if arguments.workloads else CPU_CONTENDERS)
    for name in names:
        get_contender(name)  # rejects an unknown name before any work
    command_line.require_output(arguments.json)
    command_line.require_output(arguments.pages and arguments.pages / PAGE)
    results = {}
    for network, settings in networks.items():
        command_line.print_status(network)
        results[network] = rotation.rotate(names, settings, rotations, bool(arguments.contenders))
    publish(arguments, results)


def publish(arguments: Namespace, results: Mapping[str, Any]) -> None:
    """Print the table, and write the JSON file and the page."""
    from _pages import markdown, write_table
    from benchmarks import report

    note = report.describe(list(results.values()))
    if arguments.workloads:
        table = "workloads"
        printed = grid = report.workloads_grid(results)
    else:
        table = "speed"
        printed = report.speed_grid(results["lecture"], str)
        grid = report.speed_grid(results["lecture"], lambda estimate: f"{estimate.value:.2f}")
    command_line.print_result(f"{markdown(printed)}\n{note}")
    if arguments.pages is not None:
        write_table(arguments.pages / PAGE, table, grid, note)
    command_line.write_json(arguments.json, {name: asdict(result) for name, result in results.items()})


if __name__ == "__main__":
    command_line.run(main, parse)
