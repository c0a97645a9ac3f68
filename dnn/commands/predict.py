"""Read handwritten digits: print each image's digit and its probability."""

from argparse import Namespace
from pathlib import Path
from typing import Any, NoReturn

from backends import InputError
from dnn.commands import command_line, options
from dnn.commands.ensemble import open_ensemble, read_threshold
from dnn.datasets import load_digit_image
from dnn.io.json_text import as_json


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: %(prog)s runs/first digit.png. More run folders before the first image form an "
        "ensemble: their probabilities are averaged. A network "
        "knows only its classes: most letters get the digit that they resemble, sometimes with a probability "
        "near 1.",
    )
    options.add_run_arguments(parser)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="*", help="PNG or JPEG of one digit")
    parser.add_argument("--deskew", action="store_true", help="remove the slant of slanted digits")
    options.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def predict(arguments: Namespace) -> int:
    """Print the prediction for each image, and return the exit code.

    The code is EXIT_BAD_INPUT if an image shows no digit or cannot be read. The other images are still
    answered.
    """
    runs = [arguments.run]
    paths = list(arguments.images)
    while paths and (paths[0].is_dir() or paths[0].suffix == ".safetensors"):
        runs.append(paths.pop(0))
    if not paths:
        got = f"{' '.join(map(str, runs))} names no image"
        raise InputError(got, "a run or a model first, and an image after it: RUN IMAGE")
    ensemble = open_ensemble(runs, arguments)
    model = ensemble.models[0]
    threshold = read_threshold(runs)
    shape = options.digit_shape(runs[0], ensemble.configs[0], model)
    names = {config["dataset"] for config in ensemble.configs}
    only_digits = names <= {"mnist", "digits"}  # not clothes or Japanese characters
    answers: list[dict[str, Any]] = []
    for path in paths:
        answer: dict[str, Any] = {"image": str(path), "digit": None, "probability": None}
        answers.append(answer)
        try:
            image = load_digit_image(path, shape, only_digits, arguments.deskew)
        except InputError as error:
            answer["reason"] = str(error)
            command_line.print_status(f"{command_line.program_name()}: error: {error}")
            continue
        (outputs,) = ensemble.predict(image.reshape(1, *model.input_shape))
        answer.update(digit=int(outputs.argmax()), probability=float(outputs.max()))
        if threshold is not None:
            answer["sure"] = bool(outputs.max() >= threshold)
        if not arguments.json:
            unsure = "" if answer.get("sure", True) else f"  unsure: below {threshold:.4f}"
            line = f"{path}: {answer['digit']}  probability {outputs.max():.4f}{unsure}"
            command_line.print_result(line)
    if arguments.json:
        found = {"run": str(runs[0]), "runs": [str(run) for run in runs], "backend": model.backend.name}
        command_line.print_result(as_json({**found, "images": answers}))
    return command_line.EXIT_BAD_INPUT if any("reason" in answer for answer in answers) else 0


def main() -> NoReturn:
    command_line.run(predict, parse)
