"""Read handwritten digits or own pictures: print the class of each and its probability."""

from argparse import Namespace
from pathlib import Path
from typing import Any, NoReturn

from backends import InputError
from dnn.commands import command_line, options
from dnn.commands.ensemble import open_ensemble, read_threshold
from dnn.commands.pictures import own_images, read_picture
from dnn.io.json_text import as_json
from dnn.settings.checks import require


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: %(prog)s runs/first digit.png. More run folders before the first image form an "
        "ensemble: their probabilities are averaged. A network "
        "knows only its classes: most letters get the digit that they resemble, sometimes with a probability "
        "near 1.",
    )
    options.add_run_arguments(parser)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="*", help="PNG or JPEG of one object")
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
    if not paths and arguments.folder is None:
        got = f"{' '.join(map(str, runs))} names no image"
        raise InputError(got, "a run or a model first, and an image after it: RUN IMAGE")
    ensemble = open_ensemble(runs, arguments)
    model = ensemble.models[0]
    threshold = read_threshold(runs)
    names, more = own_images(ensemble.configs[0], model, arguments.folder)
    if not names:
        options.digit_shape(runs[0], ensemble.configs[0], model)
    require(not names or not arguments.deskew, "deskew", True, "only digits")
    key = "class" if names else "digit"
    datasets = {config["dataset"] for config in ensemble.configs}
    only_digits = datasets <= {"mnist", "digits"}  # not clothes or Japanese characters
    answers: list[dict[str, Any]] = []
    for path in paths + more:
        answer: dict[str, Any] = {"image": str(path), key: None, "probability": None}
        answers.append(answer)
        try:
            image = read_picture(path, model, names, only_digits, arguments.deskew)
        except InputError as error:
            answer["reason"] = str(error)
            command_line.print_status(f"{command_line.program_name()}: error: {error}")
            continue
        (outputs,) = ensemble.predict(image.reshape(1, *model.input_shape))
        best = int(outputs.argmax())
        answer.update({key: names[best] if names else best, "probability": float(outputs.max())})
        if threshold is not None:
            answer["sure"] = bool(outputs.max() >= threshold)
        if not arguments.json:
            unsure = "" if answer.get("sure", True) else f"  unsure: below {threshold:.4f}"
            line = f"{path}: {answer[key]}  probability {outputs.max():.4f}{unsure}"
            command_line.print_result(line)
    if arguments.json:
        found = {"run": str(runs[0]), "runs": [str(run) for run in runs], "backend": model.backend.name}
        command_line.print_result(as_json({**found, "images": answers}))
    return command_line.EXIT_BAD_INPUT if any("reason" in answer for answer in answers) else 0


def main() -> NoReturn:
    command_line.run(predict, parse)
