"""Evaluate a trained run, or several as one, on the test set, on any backend."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from backends import InputError
from dnn.commands import command_line, options
from dnn.commands.calibration import RIGHT, calibration_error, draw_reliability, sure_from, sureness
from dnn.commands.ensemble import Ensemble, open_ensemble
from dnn.commands.figures import require_picture_path

if TYPE_CHECKING:  # it imports Pillow
    from dnn.datasets import Dataset


def parse() -> argparse.Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: evaluate.py runs/first --backend torch, after train.py --run-dir runs/first. "
        "Several runs answer by the mean of their probabilities.",
    )
    options.add_run_arguments(parser, several=True)
    options.add_data_arguments(parser, None, "default: the one it was trained on")
    about = "also say how far sureness can be trusted, and draw it (.png, .svg or .pdf)"
    parser.add_argument("--calibration", metavar="FILE", type=Path, help=about)
    options.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def evaluate(arguments: argparse.Namespace) -> None:
    from dnn.datasets import load_dataset

    if arguments.calibration is not None:
        require_picture_path("calibration", arguments.calibration)
    ensemble = open_ensemble(arguments.run, arguments)
    name = arguments.dataset or str(ensemble.configs[0].get("dataset"))
    data = load_dataset(name, arguments.data_dir)
    backend = ensemble.models[0].backend.name
    loss, accuracy = ensemble.evaluate(data.x_test, data.y_test)
    runs = [str(run) for run in arguments.run]
    found: dict[str, Any] = {
        "run": runs[0], "runs": runs, "dataset": name, "examples": len(data.x_test), "loss": loss,
        "accuracy": accuracy, "backend": backend,
    }  # fmt: skip
    line = f"test accuracy {accuracy:.4f}  test loss {loss:.4f}  {len(data.x_test)} {name} images  {backend}"
    lines = [f"{line}  mean of {len(runs)} runs" if len(runs) > 1 else line]
    if arguments.calibration is not None:
        p = ensemble.predict(data.x_test)
        found["calibration_error"] = calibration_error(p, data.y_test)
        lines += [f"expected calibration error {100 * found['calibration_error']:.2f} points"]
        lines += calibrate(ensemble, data, p, arguments.calibration, found)
    if arguments.json:
        print(command_line.as_json(found))
    else:
        print("\n".join(lines))


def calibrate(
    ensemble: Ensemble, data: Dataset, p: np.ndarray, path: Path, found: dict[str, Any]
) -> Iterator[str]:
    """Draw the reliability diagram; and what is sure by images that no run has trained on."""
    if p.min() < 0.0 or p.max() > 1.0:
        raise InputError("the outputs are no probabilities", "a network that ends with softmax or sigmoid")
    draw_reliability(p, data.y_test, f"{len(p):,} test images of {data.name}", path)
    held = ensemble.held_out(data)
    if held is None:
        yield "all images were trained on (train.py --hold-out N leaves some out): when is it sure?"
        return
    there = ensemble.predict(held[0])
    found["sure_from"] = least = sure_from(there, held[1])
    if least is None:
        yield f"on no part of the held-out images {RIGHT:.1%} of the answers are right"
        return
    for name, (rows, y) in {"held-out": (there, held[1]), "test": (p, data.y_test)}.items():
        found[name] = sureness(rows, y, least)
        right, refused = found[name].values()
        of = f"of {len(y)} {name} images {refused:.2%} are refused, and {right:.2%} of the others right"
        yield f"sure from {least:.4f}: {of}"


def main() -> NoReturn:
    command_line.run(evaluate, parse)
