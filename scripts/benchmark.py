#!/usr/bin/env python3
"""Compare the time of one training update with other libraries, in processes that take turns."""

import argparse
import os
from pathlib import Path
from typing import Any

import checkout  # noqa: F401

from dnn.commands import command_line, options


def parse() -> argparse.Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Example: benchmark.py --contenders numpy torch pytorch --slices 20 --updates 1000. "
        "Times are lower quartiles over the slices, and ratios compare these quartiles, because other load "
        'on the machine only adds time. Other libraries: pip install -e ".[peers]". '
        "Exit code: 0 done, 2 bad input or a named contender that cannot run.",
    )
    add = parser.add_argument
    contenders = (
        "numpy, numba, torch, cupy, torch-graphs, cupy-graphs (ours); pytorch, pytorch-fused, torch-compile, "
        "keras-jax, jax, sklearn. Those on torch and CuPy accept a device: torch:cuda. "
        "Default: all that run without a GPU and whose library is installed"
    )
    add("--contenders", nargs="+", metavar="NAME", help=contenders)
    add("--workloads", action="store_true", help="time nine networks; takes less than ten minutes")
    add("--pages", type=Path, metavar="DIR", help="write the table into DIR/speed.md")
    add("--slices", type=int, default=12, metavar="N", help="time slices per contender (default: 12)")
    add("--updates", type=int, default=1200, metavar="N", help="timed updates per contender (default: 1200)")
    add("--batch-size", type=int, default=100, metavar="N", help="default: %(default)s")
    add("--hidden", type=int, nargs="*", default=[500, 500], metavar="UNITS", help="default: 500 500")
    add("--activation", default="sigmoid", help="sigmoid, tanh or relu (default: %(default)s)")
    add("--threads", type=int, metavar="N", help="default: each library's own choice")
    options.add_data_arguments(parser, names="mnist, digits, random, ... (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write all measurements to this file")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    from benchmarks.contenders import get_contender
    from benchmarks.task import Settings

    from backends import InputError
    from dnn.validation.settings import positive_integer

    settings = Settings(
        dataset=arguments.dataset,
        data_dir=arguments.data_dir,
        hidden=tuple(arguments.hidden),
        activation=arguments.activation,
        batch=arguments.batch_size,
        updates=arguments.updates,
        threads=arguments.threads,
    )
    positive_integer("slices", arguments.slices)
    path = arguments.json
    if path is not None and not path.absolute().parent.is_dir():
        raise InputError(f"json is {str(path)!r}", "a file in a folder that exists")
    for name in arguments.contenders or ():
        get_contender(name)  # rejects an unknown name before any work
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # they make some machines slower
        os.environ.pop(name, None)
    if arguments.workloads:
        compare_workloads(arguments)
    else:
        compare(arguments, settings)


def compare(arguments: argparse.Namespace, settings: Any) -> None:
    """Time the contenders in turn and print the table."""
    from _pages import write_csv, write_table
    from benchmarks import report, rotation
    from benchmarks.contenders import CPU_CONTENDERS

    names = arguments.contenders or CPU_CONTENDERS
    required = bool(arguments.contenders)
    results = rotation.rotate(names, settings, arguments.slices, command_line.print_status, required)
    command_line.write_json(arguments.json, report.as_json(results))
    print(report.table(results), flush=True)
    if arguments.pages is not None:
        grid = report.ratio_grid(results)
        write_csv(arguments.pages / "measured-speed.csv", grid)
        write_table(arguments.pages / "speed.md", "speed", grid, report.describe([results]))


def compare_workloads(arguments: argparse.Namespace) -> None:
    """Time the contenders on each workload and print a Markdown table."""
    from dataclasses import replace

    from _pages import write_table
    from _tables import markdown
    from benchmarks import report, rotation
    from benchmarks.task import WORKLOADS

    results = {}
    for workload, network in WORKLOADS.items():
        command_line.print_status(workload)
        settings = replace(network, threads=arguments.threads)
        results[workload] = rotation.rotate(
            report.WORKLOAD_CONTENDERS, settings, arguments.slices, command_line.print_status, False
        )
    command_line.write_json(arguments.json, {name: report.as_json(found) for name, found in results.items()})
    grid = report.workloads_grid(results)
    note = report.describe(list(results.values()))
    print(f"{markdown(grid)}\n{note}", flush=True)
    if arguments.pages is not None:
        write_table(arguments.pages / "speed.md", "workloads", grid, note)


if __name__ == "__main__":
    command_line.run(main, parse)
