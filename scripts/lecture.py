#!/usr/bin/env python3
"""Run the lecture's experiments, and write their results as tables and plots."""

import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

sys.path.append(__file__.removesuffix("lecture.py"))  # left out by python -P and -I
import checkout  # noqa: F401

from dnn.commands import command_line, options


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Example: lecture.py --only width,batch --seeds 2 --dataset digits. Each finished training is "
        "kept in DIR/results, and a stopped one continues from its last epoch: run the command again.",
    )
    add = parser.add_argument
    add("--only", metavar="NAME,...", help="experiments to run (default: all; --list shows the names)")
    add("--list", action="store_true", help="list the experiments and their settings, and exit")
    add("--seeds", type=int, default=5, metavar="N", help="trainings of a setting (default: %(default)s)")
    passes = "epochs of the 10-epoch settings; the others are scaled in proportion (default: 10)"
    add("--epochs", type=int, default=10, metavar="N", help=passes)
    add("--limit", type=int, metavar="N", help="use only the first N training images (default: all)")
    add("--out", type=Path, default=Path("runs/lecture"), metavar="DIR", help="default: %(default)s")
    pages = "also write lecture.json, lecture.md and lecture.zh.md in this folder: tables, pictures, numbers"
    add("--pages", type=Path, metavar="DIR", help=pages)
    options.add_data_arguments(parser)
    options.add_backend_arguments(parser, dtype=False)
    return parser.parse_args()


def main(arguments: Namespace) -> None:
    from _pages import markdown
    from lecture_experiments import pages, pictures, tables
    from lecture_experiments.experiments import SETTINGS, TABLES
    from lecture_experiments.run import Plan

    from backends import InputError
    from dnn.datasets import load_dataset
    from dnn.io.atomic_files import write_atomically
    from dnn.settings.checks import positive_integer, positive_or_none

    epochs = positive_integer("epochs", arguments.epochs)
    seeds = positive_integer("seeds", arguments.seeds)
    limit = positive_or_none("limit", arguments.limit)
    names = command_line.parse_names("experiment", arguments.only, TABLES)
    if arguments.pages is not None and len(names) < len(TABLES):
        raise InputError("--pages was given with --only", "all experiments, which the pages show")
    command_line.require_output(arguments.pages and arguments.pages / "lecture.md")
    if arguments.list:
        for name in names:
            for setting in TABLES[name]:
                command_line.print_result(f"{name:<16}{setting.name:<20}{setting.about}")
        return
    backend = options.open_backend(arguments, dtype="float32")
    data = load_dataset(arguments.dataset, arguments.data_dir)
    data = replace(data, x_train=data.x_train[:limit], y_train=data.y_train[:limit])
    wanted = dict.fromkeys(setting.name for name in names for setting in TABLES[name])
    settings = [SETTINGS[name] for name in wanted]
    plan = Plan(arguments.out / "results", settings, seeds, epochs, data, backend)
    plan.run()
    found = plan.collect()
    grids = tables.make_grids(found)
    text = "\n".join(f"{name}\n\n{markdown(grid)}" for name, grid in grids.items() if grid[1:])
    command_line.print_result(text)
    write_atomically(arguments.out / "tables.md", text.encode())
    endings = (".png",) if arguments.pages is None else (".png", ".zh.png")
    pictures.draw_all(found, arguments.out, endings)
    if arguments.pages is not None:
        pages.publish(found, arguments.out, arguments.pages)
    command_line.print_status(f"{arguments.out} has tables.md and the pictures")


if __name__ == "__main__":
    command_line.run(main, parse)
