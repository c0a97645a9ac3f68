#!/usr/bin/env python3
"""Run the lecture's experiments again: one change at a time, a table, a CSV file, a page and pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _command


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="An experiment that is done is not run again: stopped, the same command goes on where it was.",
    )
    parser.add_argument("--only", metavar="NAME,...", help="default: all; --list names them")
    parser.add_argument("--list", action="store_true", help="name the experiments and stop")
    parser.add_argument("--out", type=Path, default=Path("runs/lecture"), help="default: %(default)s")
    parser.add_argument("--dataset", default="mnist", help="mnist, digits, ... (default: %(default)s)")
    parser.add_argument("--data-dir", metavar="DIR", help="default: DNN_DATA_DIR, else ./data")
    parser.add_argument("--seed", type=int, default=0)
    _command.add_backend_arguments(parser, dtype=False)
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    from lecture_experiments import page, pictures
    from lecture_experiments.experiments import EXPERIMENTS
    from lecture_experiments.noise import noise_accuracies
    from lecture_experiments.run import Results, train

    from dnn.datasets import load_dataset
    from dnn.validation.settings import look_up

    if arguments.list:
        for name, experiment in EXPERIMENTS.items():
            print(f"{name:<18}{experiment.about}")
        return
    names = list(EXPERIMENTS) if arguments.only is None else arguments.only.split(",")
    for name in names:
        look_up("experiment", name, EXPERIMENTS)
    backend = _command.open_backend(arguments, dtype="float32")
    data = load_dataset(arguments.dataset, arguments.data_dir)
    results = Results(arguments.out / "results")
    same = {"dataset": data.name, "examples": len(data.x_train), "seed": arguments.seed}
    for name in names:
        outcome = results.done(name, same)
        if outcome is None:
            print(f"{name}: {EXPERIMENTS[name].about} ...", file=sys.stderr, flush=True)
            model, outcome = train(EXPERIMENTS[name], data, backend, arguments.seed)
            results.keep(model, outcome)
    outcomes = {name: o for name in EXPERIMENTS if (o := results.done(name, same)) is not None}
    noisy = noise_accuracies(outcomes, results, data, backend, arguments.seed)
    made = pictures.draw_all(outcomes, noisy, results, data, backend, arguments.out)
    page.write(outcomes, noisy, made, arguments.out)
    print(page.table(outcomes))
    print(f"page, CSV and {len(made)} pictures in {arguments.out}")


if __name__ == "__main__":
    parsed = parse()
    _command.run(lambda: main(parsed))
