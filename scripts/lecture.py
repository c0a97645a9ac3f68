#!/usr/bin/env python3
"""Run the lecture's experiments, one change at a time, into tables, a CSV file and pictures."""

import argparse
from pathlib import Path

import _command


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="example: lecture.py --only linear,lecture --dataset digits. What is done is not done again: "
        "stop it and the same command continues. If the folder has a lecture.md, such as docs/, the tables "
        "between its markers are replaced and the rest of it is kept; else they are written to tables.md.",
    )
    parser.add_argument("--only", metavar="NAME,...", help="default: all; --list names them")
    parser.add_argument("--list", action="store_true", help="name the experiments and stop")
    parser.add_argument("--out", type=Path, default=Path("runs/lecture"), help="default: %(default)s")
    _command.add_data_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of weights, shuffles and noise")
    _command.add_backend_arguments(parser, dtype=False)
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    from lecture_experiments import pictures, tables
    from lecture_experiments.experiments import EXPERIMENTS
    from lecture_experiments.noise import noise_accuracies
    from lecture_experiments.run import Results, train

    from dnn.datasets import load_dataset

    if arguments.list:
        for name, experiment in EXPERIMENTS.items():
            print(f"{name:<18}{experiment.about}")
        return
    names = _command.listed("experiment", arguments.only, EXPERIMENTS)
    backend = _command.open_backend(arguments, dtype="float32")
    data = load_dataset(arguments.dataset, arguments.data_dir)
    results = Results(arguments.out / "results")
    same = {"dataset": data.name, "examples": len(data.x_train), "seed": arguments.seed}
    for name in names:
        outcome = results.done(name, same)
        if outcome is None:
            _command.say(f"{name}: {EXPERIMENTS[name].about} ...")
            model, outcome = train(EXPERIMENTS[name], data, backend, arguments.seed)
            results.keep(model, outcome)
    outcomes = {name: o for name in EXPERIMENTS if (o := results.done(name, same)) is not None}
    noisy = noise_accuracies(outcomes, results, data, backend, arguments.seed)
    made = pictures.draw_all(outcomes, noisy, results, data, backend, arguments.out)
    rows = [tables.row(outcome) for outcome in outcomes.values()]
    written = tables.write(rows, arguments.out)
    print(tables.as_text(rows))
    print(f"tables in {written}, lecture.csv and {made} pictures beside it")


if __name__ == "__main__":
    _command.run(main, parse())
