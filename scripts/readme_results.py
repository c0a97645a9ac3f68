#!/usr/bin/env python3
"""Train the default network on each backend with three seeds, and write the README's table and picture."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import checkout

from dnn.commands import command_line, options

BACKENDS = ("numpy", "numba", "torch")
SEEDS = (0, 1, 2)
ROOT = checkout.SCRIPTS_FOLDER.parent


def parse() -> argparse.Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Finished trainings are saved in --out: stop the command and run it again to continue. "
        "It takes three minutes on two cores.",
    )
    add = parser.add_argument
    add("--epochs", type=int, default=10, metavar="N", help="default: %(default)s")
    add("--limit", type=int, metavar="N", help="use only the first N training images")
    add("--out", type=Path, default=Path("runs/readme"), metavar="DIR", help="default: %(default)s")
    add(
        "--root",
        type=Path,
        default=ROOT,
        metavar="DIR",
        help="with README.md and docs; default: this checkout",
    )
    options.add_data_arguments(parser)
    return parser.parse_args()


def train(arguments: argparse.Namespace, backend: str, seed: int) -> dict[str, Any]:
    """Return the content of result.json; trains only if it does not exist."""
    folder = arguments.out / f"{backend}-{seed}"
    result = folder / "result.json"
    if not result.exists():
        command_line.print_status(f"{backend}, seed {seed} ...")
        words: dict[str, Any] = {
            "--backend": backend, "--seed": seed, "--epochs": arguments.epochs, "--run-dir": folder,
            "--dataset": arguments.dataset, "--data-dir": arguments.data_dir, "--limit": arguments.limit,
        }  # fmt: skip
        command = [sys.executable, str(checkout.SCRIPTS_FOLDER / "train.py"), "--quiet", "--require-backend"]
        for name, value in words.items():
            command += [] if value is None else [name, str(value)]
        subprocess.run(command, check=True)
    content: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return content


def results_grid(results: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Return the table: the accuracy for each seed, its mean, and the seconds of the first training."""
    grid = [["backend", *(f"seed {seed}" for seed in SEEDS), "mean", "seconds"]]
    for backend, found in results.items():
        shares = [result["test_accuracy"] for result in found]
        accuracies = [f"{100 * share:.2f} %" for share in (*shares, sum(shares) / len(shares))]
        grid.append([backend, *accuracies, f"{found[0]['seconds']:.1f}"])
    return grid


def draw(folder: Path, result: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Draw the curves of a run, with English and with Chinese labels."""
    from dnn.commands.figures import translate_labels
    from dnn.training.history import History

    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    history = History([row["epoch"] for row in rows], {name: [row[name] for row in rows] for name in rows[0]})
    title = f"{arguments.dataset}, {result['backend_used']}, test accuracy {result['test_accuracy']:.4f}"
    figure = history.plot(title, ("training", "test"), ("loss", "accuracy"))
    figure.savefig(arguments.root / "docs" / "curves.png", dpi=120)
    translate_labels(figure)
    figure.savefig(arguments.root / "docs" / "curves.zh.png", dpi=120)


def main(arguments: argparse.Namespace) -> None:
    from _pages import write_csv, write_table

    results = {name: [train(arguments, name, seed) for seed in SEEDS] for name in BACKENDS}
    grid = results_grid(results)
    docs = arguments.root / "docs"
    write_csv(docs / "measured-defaults.csv", grid)
    write_table(arguments.root / "README.md", "defaults", grid)
    write_table(docs / "README.zh.md", "defaults", grid)
    draw(arguments.out / "numba-0", results["numba"][0], arguments)
    described = results["numba"][0]["describe"]
    facts = [f"{name} {described[name]}" for name in ("processor", "instruction_set", "numpy", "numba")]
    print(f"{', '.join(facts)}, torch {results['torch'][0]['describe']['torch']}")


if __name__ == "__main__":
    command_line.run(main, parse)
