"""Evaluate a trained run, or an ensemble of several, on the test set, on any backend."""

from argparse import Namespace
from pathlib import Path
from typing import NoReturn

from backends import InputError
from backends.errors import reraise
from dnn.commands import command_line, options
from dnn.commands.calibration import calibration_error, draw_reliability, selective_accuracy
from dnn.commands.ensemble import open_ensemble, read_threshold
from dnn.commands.figures import require_picture_path
from dnn.commands.pictures import is_folder, load_own_test_part
from dnn.datasets import load_dataset
from dnn.io.json_text import as_json
from dnn.settings.checks import require
from dnn.typing import Json


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: %(prog)s runs/first --backend torch. "
        "Several runs form an ensemble: their probabilities are averaged.",
    )
    options.add_run_arguments(parser, several=True)
    options.add_data_arguments(parser, None, "default: the data set of the training", images=True)
    names = "metrics of one run, as of compile in Python (default: those of the training)"
    parser.add_argument("--metrics", metavar="NAME", nargs="+", help=names)
    about = "also print the calibration error, and draw the reliability diagram: .png, .svg, .pdf, or .zh.png"
    parser.add_argument("--calibration", metavar="FILE", type=Path, help=about)
    options.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def evaluate(arguments: Namespace) -> None:
    if arguments.calibration is not None:
        require_picture_path("calibration", arguments.calibration)
    ensemble = open_ensemble(arguments.run, arguments)
    if arguments.metrics is not None:
        require(len(arguments.run) == 1, "--metrics", arguments.metrics, "one run")
        (model,) = ensemble.models
        model.compile(model.objective, model.optimizer, arguments.metrics)
    name = arguments.dataset or ensemble.configs[0]["dataset"]
    if name is None:
        cure = "evaluate a model of your own data in Python: model.evaluate(x, y)"
        raise InputError(
            f"{arguments.run[0]} is a saved model and names no data set",
            "--dataset NAME or --images FOLDER",
            cure,
        )
    if is_folder(name):
        skip = arguments.skip_unreadable
        data = load_own_test_part(name, skip, ensemble.configs[0], ensemble.models[0])
    else:
        data = load_dataset(name, arguments.data_dir)
    backend = ensemble.models[0].backend.name
    cure = "evaluate it on the data of its training, in Python with model.evaluate(x, y)"
    with reraise(InputError, f"{arguments.run[0]} does not fit the data set {name}:", cure=cure):
        numbers = ensemble.evaluate(data.x_test, data.y_test).as_dict()
    loss, *metrics = numbers.items()
    runs = [str(run) for run in arguments.run]
    found: Json = {
        "run": runs[0], "runs": runs, "dataset": name, "examples": len(data.x_test), **numbers,
        "backend": backend,
    }  # fmt: skip
    line = "".join(f"test {metric} {value:.4f}  " for metric, value in (*metrics, loss))
    line += f"{len(data.x_test)} {name} images  {backend}"
    lines = [f"{line}  mean of {len(runs)} runs" if len(runs) > 1 else line]
    if arguments.calibration is not None:
        p = ensemble.predict(data.x_test)
        if p.min() < 0.0 or p.max() > 1.0:
            got = "the outputs are not probabilities"
            raise InputError(got, "a network that ends with softmax or sigmoid")
        draw_reliability(p, data.y_test, f"{len(p):,} test images of {name}", arguments.calibration)
        found["calibration_error"] = error = calibration_error(p, data.y_test)
        lines.append(f"expected calibration error {100 * error:.2f} points")
        if (threshold := read_threshold(arguments.run)) is not None:
            found["sure"] = sure = selective_accuracy(p, data.y_test, threshold)
            below = f"{sure['refused']:.2%} of the images are below it"
            lines.append(
                f"confidence threshold {threshold:.4f}: {below}, accuracy of the others {sure['right']:.2%}"
            )
    command_line.print_result(as_json(found) if arguments.json else "\n".join(lines))


def main() -> NoReturn:
    command_line.run(evaluate, parse)
