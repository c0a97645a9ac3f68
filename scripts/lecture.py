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
        epilog="Example: lecture.py --only linear,lecture --dataset digits. Finished experiments are saved "
        "in DIR/results: stop the command and run it again to continue. --epochs 3 --limit 10000 takes less "
        "than three minutes on two cores.",
    )
    add = parser.add_argument
    add("--only", metavar="NAME,...", help="experiments to run (default: all; --list shows the names)")
    add("--list", action="store_true", help="list the experiments and exit")
    passes = "epochs of the 10-epoch experiments; the others are scaled in proportion (default: 10)"
    add("--epochs", type=int, default=10, metavar="N", help=passes)
    add("--limit", type=int, metavar="N", help="use only the first N training images (default: all)")
    add("--out", type=Path, default=Path("runs/lecture"), metavar="DIR", help="default: %(default)s")
    pages = "also write all tables and pictures into the pages lecture.md and lecture.zh.md of this folder"
    add("--pages", type=Path, metavar="DIR", help=pages)
    options.add_data_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, shuffles and noise")
    options.add_backend_arguments(parser, dtype=False)
    return parser.parse_args()


def main(arguments: Namespace) -> None:
    from _pages import markdown
    from lecture_experiments import pictures, tables
    from lecture_experiments.experiments import EXPERIMENTS
    from lecture_experiments.run import ResultFolder, train

    from backends import InputError
    from dnn.datasets import load_dataset
    from dnn.io.atomic_files import write_atomically
    from dnn.settings.checks import natural_number, positive_integer, positive_or_none

    epochs = positive_integer("epochs", arguments.epochs)
    seed = natural_number("seed", arguments.seed)
    limit = positive_or_none("limit", arguments.limit)
    names = command_line.parse_names("experiment", arguments.only, EXPERIMENTS)
    if arguments.pages is not None and len(names) < len(EXPERIMENTS):
        raise InputError("--pages was given with --only", "all experiments, which the pages show")
    if arguments.list:
        for name in names:
            command_line.print_result(f"{name:<18}{EXPERIMENTS[name].about}")
        return
    backend = options.open_backend(arguments, dtype="float32")
    data = load_dataset(arguments.dataset, arguments.data_dir)
    data = replace(data, x_train=data.x_train[:limit], y_train=data.y_train[:limit])
    shared = {"dataset": data.name, "examples": len(data.x_train), "epochs": epochs, "seed": seed}
    results = ResultFolder(arguments.out / "results", shared)
    for name in names:
        if results.load_outcome(name) is None:
            command_line.print_status(f"{name}: {EXPERIMENTS[name].about} ...")
            results.save(name, *train(EXPERIMENTS[name], data, backend, shared))
    outcomes = {name: outcome for name in EXPERIMENTS if (outcome := results.load_outcome(name)) is not None}
    lecture = results.load_network("lecture", backend) if "lecture" in outcomes else None
    grids = {
        **tables.experiment_tables(outcomes),
        "noise": tables.noise_grid(outcomes, results, data, backend, seed),
        "gradients": tables.gradients_grid(outcomes, data, backend, seed),
        "sparsity": tables.sparsity_grid(data) if any(EXPERIMENTS[n].features for n in outcomes) else [],
    }
    endings = (".png",) if arguments.pages is None else (".png", ".zh.png")
    pictures.draw_all(outcomes, data, lecture, arguments.out, endings)
    shown = {name: grid for name, grid in grids.items() if grid[1:]}
    text = "\n".join(f"{name}\n\n{markdown(grid)}" for name, grid in shown.items())
    command_line.print_result(text)
    write_atomically(arguments.out / "tables.md", text.encode())
    if arguments.pages is not None:
        tables.publish(shown, arguments.out, arguments.pages)
    command_line.print_status(f"{arguments.out} has tables.md and the pictures")


if __name__ == "__main__":
    command_line.run(main, parse)
