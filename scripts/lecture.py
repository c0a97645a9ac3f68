#!/usr/bin/env python3
"""Run the lecture's experiments, one change at a time, into tables, a CSV file and pictures."""

import argparse
from pathlib import Path

import checkout  # noqa: F401

from dnn.commands import command_line, options


def parse() -> argparse.Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: lecture.py --only linear,lecture --dataset digits. What is done is not done again: "
        "stop it and the same command continues. If the folder has a lecture.md, such as docs/, the tables "
        "between its markers are replaced and the rest of it is kept; else they are written to tables.md. "
        "Figures in the folder's lecture.csv stay if they have not been made anew.",
    )
    add = parser.add_argument
    add("--only", metavar="NAME,...", help="default: all; --list names them")
    add("--list", action="store_true", help="name the experiments and how long they take, and stop")
    add("--quick", action="store_true", help="--epochs 3 --limit 10000: less than three minutes on two cores")
    passes = "passes of one that usually makes 10 (the default); others make more or fewer in proportion"
    add("--epochs", type=int, metavar="N", help=passes)
    add("--limit", type=int, metavar="N", help="only the first N training images (default: all)")
    add("--out", type=Path, metavar="DIR", help="default: runs/lecture, with --quick runs/lecture-quick")
    presets = (
        "no experiments: what these folders of train.py reached, with a preset and seeds 0 to 4, or as it is"
    )
    add("--presets", type=Path, nargs="+", metavar="RUN", help=presets)
    levels = "no experiments: what agree.py --json printed of L0 to L4, and of L5"
    add("--agreement", type=Path, nargs="+", metavar="FILE", help=levels)
    add("--speed", type=Path, metavar="FILE", help="no experiments: what benchmark.py --json wrote")
    tried = "no experiments: how presets were chosen, on training images held out (hours; all: every one)"
    add("--tried", metavar="NAME,...", help=tried)
    options.add_data_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of weights, shuffles and noise")
    options.add_backend_arguments(parser, dtype=False)
    return parser.parse_args()


def settle(arguments: argparse.Namespace) -> None:
    """Check the numbers, and set what was not given. Raises InputError: a number is out of range."""
    from lecture_experiments.experiments import USUAL

    from dnn.validation.settings import natural_number, positive_integer

    usual = (3, 10_000, "runs/lecture-quick") if arguments.quick else (USUAL, None, "runs/lecture")
    for name, value in zip(("epochs", "limit", "out"), usual, strict=True):
        if getattr(arguments, name) is None:
            setattr(arguments, name, Path(value) if name == "out" else value)
    positive_integer("epochs", arguments.epochs)
    if arguments.limit is not None:
        positive_integer("limit", arguments.limit)
    natural_number("seed", arguments.seed)


def show_list(names: list[str], arguments: argparse.Namespace) -> None:
    """Each experiment, and about how long it takes with these settings on two cores; last, all of them."""
    from lecture_experiments.experiments import EXPERIMENTS, duration

    total = 0.0
    for name in names:
        experiment = EXPERIMENTS[name].shortened(arguments.epochs)
        small = arguments.dataset == "digits"
        seconds = duration(experiment, arguments.limit or (1437 if small else 60_000), 64 if small else 784)
        print(f"{name:<18}{seconds:>6.0f} s  {experiment.about}")
        total += seconds
    command_line.say(f"about {total:.0f} s for all {len(names)}, on two quiet cores with numba")


def show_made(arguments: argparse.Namespace) -> None:
    """Tables of what other commands have made, with the rows that the folder's files have of others."""
    from lecture_experiments import measured, tables

    from dnn.commands.presets import PRESETS
    from dnn.datasets import load_dataset

    new: dict[str, tables.Grid] = {}
    if arguments.presets is not None:
        backend = options.open_backend(arguments, dtype="float32")
        data = load_dataset(arguments.dataset, arguments.data_dir)
        new = measured.run_grids(arguments.presets, data, backend)
    if arguments.speed is not None:
        new["speed"] = measured.speed_grid(arguments.speed)
    for file in arguments.agreement or ():
        new.update(measured.agreement_grids(file))
    written = tables.write(tables.join_files(new, arguments.out, list(PRESETS)), arguments.out)
    print(f"tables in {written}, their CSV files beside it")


def try_settings(arguments: argparse.Namespace) -> None:
    """Train with settings that presets were chosen from; rows of others stay in the folder's file."""
    from lecture_experiments import tables
    from lecture_experiments.run import Results, first
    from lecture_experiments.tried import TRIED, tried_grid

    from dnn.datasets import load_dataset

    names = command_line.listed("settings", None if arguments.tried == "all" else arguments.tried, TRIED)
    backend = options.open_backend(arguments, dtype="float32")
    data = first(load_dataset(arguments.dataset, arguments.data_dir), arguments.limit)
    folder = Results(arguments.out / "results").folder
    grid = tried_grid(names, data, backend, arguments.epochs, arguments.seed, folder)
    order = [settings.about for settings in TRIED.values()]
    written = tables.write(tables.join_files({"tried": grid}, arguments.out, order), arguments.out)
    print(f"table in {written}, lecture-tried.csv beside it")


def main(arguments: argparse.Namespace) -> None:
    from _tables import columns
    from lecture_experiments import pictures, tables
    from lecture_experiments.experiments import EXPERIMENTS
    from lecture_experiments.features import sparsity_grid
    from lecture_experiments.gradients import gradient_sizes, gradients_grid
    from lecture_experiments.noise import noise_grid
    from lecture_experiments.paths import film, surface
    from lecture_experiments.run import Results, first, train

    from dnn.datasets import load_dataset

    settle(arguments)
    if (arguments.presets, arguments.agreement, arguments.speed) != (None, None, None):
        return show_made(arguments)
    if arguments.tried is not None:
        return try_settings(arguments)
    names = command_line.listed("experiment", arguments.only, EXPERIMENTS)
    if arguments.list:
        return show_list(names, arguments)
    backend = options.open_backend(arguments, dtype="float32")
    data = first(load_dataset(arguments.dataset, arguments.data_dir), arguments.limit)
    settings = {"dataset": data.name, "examples": len(data.x_train)}
    same = {**settings, "epochs": arguments.epochs, "seed": arguments.seed}
    tables.require_same(arguments.out, same)
    results = Results(arguments.out / "results")
    for name in names:
        if results.done(name, same) is None:
            experiment = EXPERIMENTS[name]
            command_line.say(f"{name}: {experiment.about} ...")
            found = results.twin(experiment, same, backend)
            results.keep(*(found or train(experiment, data, backend, arguments.epochs, arguments.seed)))
    outcomes = {name: o for name in EXPERIMENTS if (o := results.done(name, same)) is not None}
    sizes = (
        gradient_sizes(data, backend, arguments.seed) if any(n.startswith("depth-") for n in names) else {}
    )
    frames = film(data, backend, arguments.epochs, arguments.seed) if "lecture" in names else {}
    around = surface(data, backend, arguments.seed) if "lbfgs" in names else None
    new = {
        "experiments": tables.experiments_grid(list(outcomes.values())),
        "noise": noise_grid(outcomes, results, data, backend, arguments.seed),
        "gradients": gradients_grid(sizes),
        "sparsity": sparsity_grid(data) if any(EXPERIMENTS[n].features for n in names) else [],
    }
    grids = tables.join_files(new, arguments.out, list(EXPERIMENTS))
    rows = grids["experiments"][1:]
    accuracies = {row[0]: float(row[tables.COLUMNS.index("accuracy")]) for row in rows}
    lecture = results.model("lecture", backend) if "lecture" in outcomes else None
    made = pictures.draw_all(accuracies, outcomes, grids, sizes, frames, around, lecture, data, arguments.out)
    written = tables.write(grids, arguments.out)
    seconds = {name: f"{outcome.seconds:.0f}" for name, outcome in outcomes.items()}
    shown = [[*row[: tables.FIGURES.stop], seconds.get(row[0], "")] for row in rows]
    print(columns([*tables.COLUMNS[: tables.FIGURES.stop], "s"], shown, left=5))
    print(f"tables in {written}, lecture*.csv and {made} pictures beside it")


if __name__ == "__main__":
    command_line.run(main, parse)
