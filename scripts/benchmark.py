#!/usr/bin/env python3
"""Compare the time of one training update with other libraries, in processes that take turns."""

import argparse
import os
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401

from dnn.commands import command_line, options


def parse() -> argparse.Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Example: benchmark.py --contenders numpy torch pytorch --slices 20. "
        "Times are lower quartiles over the slices, because other load on the machine only adds time. "
        'Other libraries: pip install -e ".[peers]". '
        "Exit code: 0 done, 2 bad input or a named contender that cannot run.",
    )
    add = parser.add_argument
    contenders = (
        "numpy, numba, torch, cupy, torch-graphs, cupy-graphs (ours); pytorch, pytorch-fused, jax, sklearn. "
        "Those on torch and CuPy accept a device: torch:cuda. "
        "Default: all that run without a GPU and whose library is installed"
    )
    add("--contenders", nargs="+", metavar="NAME", help=contenders)
    add("--workloads", action="store_true", help="time nine networks on noise images: ten minutes at most")
    add("--slices", type=int, default=12, metavar="N", help="time slices per contender (default: 12)")
    add("--threads", type=int, metavar="N", help="default: each library's own choice")
    options.add_data_arguments(parser, names="mnist, digits, random, ... (default: %(default)s)")
    add("--pages", type=Path, metavar="DIR", help="write the table into DIR/speed.md")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    from _pages import write_table
    from _tables import markdown
    from benchmarks import report, rotation
    from benchmarks.contenders import CPU_CONTENDERS, get_contender
    from benchmarks.task import WORKLOADS, Settings

    from dnn.validation.settings import positive_integer

    slices = positive_integer("slices", arguments.slices)
    if arguments.threads is not None:
        positive_integer("threads", arguments.threads)
    names = arguments.contenders or CPU_CONTENDERS
    if arguments.workloads and not arguments.contenders:
        names = names[:-1]  # scikit-learn trains full epochs, which take too long
    for name in names:
        get_contender(name)  # rejects an unknown name before any work
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # settings of a machine that can make it slower
        os.environ.pop(name, None)
    networks = WORKLOADS
    if not arguments.workloads:
        networks = {"lecture": Settings(arguments.dataset, arguments.data_dir)}
    results = {}
    for network, settings in networks.items():
        command_line.print_status(network)
        limited = replace(settings, threads=arguments.threads)
        required = bool(arguments.contenders)
        results[network] = rotation.rotate(names, limited, slices, command_line.print_status, required)
    grid = report.workloads_grid(results) if arguments.workloads else report.ratio_grid(results["lecture"])
    note = report.describe(list(results.values()))
    print(f"{markdown(grid)}\n{note}", flush=True)
    if arguments.pages is not None:
        table = "workloads" if arguments.workloads else "speed"
        write_table(arguments.pages / "speed.md", table, grid, note)


if __name__ == "__main__":
    command_line.run(main, parse)
