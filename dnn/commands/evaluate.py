"""Evaluate a trained run, or an ensemble of several, on the test set, on any backend."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from backends import InputError
from backends.errors import reraise
from dnn.commands import command_line, options
from dnn.commands.calibration import (
    MIN_ACCURACY,
    calibration_error,
    confidence_threshold,
    draw_reliability,
    selective_accuracy,
)
from dnn.commands.ensemble import Ensemble, open_ensemble
from dnn.commands.figures import require_picture_path
from dnn.datasets import Dataset, load_dataset
from dnn.io.json_text import as_json
from dnn.typing import Json


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: evaluate.py runs/first --backend torch, after train.py --run-dir runs/first. "
        "Several runs form an ensemble: their probabilities are averaged.",
    )
    options.add_run_arguments(parser, several=True)
    options.add_data_arguments(parser, None, "default: the data set of the training")
    about = "also print the calibration error, and draw the reliability diagram: .png, .svg, .pdf, or .zh.png"
    parser.add_argument("--calibration", metavar="FILE", type=Path, help=about)
    options.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def evaluate(arguments: Namespace) -> None:
    if arguments.calibration is not None:
        require_picture_path("calibration", arguments.calibration)
    ensemble = open_ensemble(arguments.run, arguments)
    name = arguments.dataset or ensemble.configs[0]["dataset"]
    if name is None:
        cure = "evaluate a model of your own data in Python: model.evaluate(x, y)"
        raise InputError(f"{arguments.run[0]} is a saved model and names no data set", "--dataset NAME", cure)
    data = load_dataset(name, arguments.data_dir)
    backend = ensemble.models[0].backend.name
    cure = "evaluate it on the data of its training, in Python with model.evaluate(x, y)"
    with reraise(InputError, f"{arguments.run[0]} does not fit the data set {name}:", cure=cure):
        loss, accuracy = ensemble.evaluate(data.x_test, data.y_test)
    runs = [str(run) for run in arguments.run]
    found: Json = {
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
        print(as_json(found))
    else:
        print("\n".join(lines))


def calibrate(ensemble: Ensemble, data: Dataset, p: np.ndarray, path: Path, found: Json) -> Iterator[str]:
    """Draw the reliability diagram, and yield lines about the confidence threshold.

    The threshold comes from training images that no run was trained on, if there are any.

    Args:
        p: (N, C) probabilities of the test images.
        path: the picture's file.
        found: receives the threshold and its accuracies.
    """
    if p.min() < 0.0 or p.max() > 1.0:
        raise InputError("the outputs are not probabilities", "a network that ends with softmax or sigmoid")
    draw_reliability(p, data.y_test, f"{len(p):,} test images of {data.name}", path)
    held_out = ensemble.held_out(data)
    if held_out is None:
        yield "no confidence threshold: no images were held out of the training (train.py --hold-out N)"
        return
    x, y = held_out
    outputs = ensemble.predict(x)
    found["sure_from"] = threshold = confidence_threshold(outputs, y)
    if threshold is None:
        yield f"no confidence threshold reaches an accuracy of {MIN_ACCURACY:.1%} on the held-out images"
        return
    for name, part_p, part_y in (("held-out", outputs, y), ("test", p, data.y_test)):
        found[name] = selective_accuracy(part_p, part_y, threshold)
        right, refused = found[name].values()
        of = f"{refused:.2%} of {len(part_y)} {name} images are below, accuracy of the others {right:.2%}"
        yield f"confidence threshold {threshold:.4f}: {of}"


def main() -> NoReturn:
    command_line.run(evaluate, parse)
