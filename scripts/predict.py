#!/usr/bin/env python3
"""Read handwritten digits: print each image's digit and the probability that the network gives it."""

import argparse
from pathlib import Path

import _command


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="example: predict.py runs/first digit.png, after train.py --run-dir runs/first; more run "
        "folders before the first image answer with it, by the mean of their probabilities",
    )
    _command.add_run_arguments(parser)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="PNG or JPEG with one digit")
    sure = "say of less probable answers that they are unsure (default: what train.py --hold-out found)"
    parser.add_argument("--sure-from", type=float, metavar="P", help=sure)
    _command.add_deskew(parser)
    _command.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> int:
    """0; BAD_INPUT where a picture shows no digit or cannot be read: the others are answered all the same."""
    import numpy as np
    from _ensemble import found_sure_from, open_ensemble

    from backends import InputError
    from dnn.datasets.digit_images import image_shape_of, load_digit_image
    from dnn.validation.settings import require_number

    runs, paths = [arguments.run], list(arguments.images)
    while paths and paths[0].is_dir():
        runs.append(paths.pop(0))
    if not paths:
        raise InputError(f"{runs[-1]} is a folder", "an image after the run folders")
    ensemble = open_ensemble(runs, arguments)
    model, least = ensemble.models[0], arguments.sure_from
    if least is None and len(runs) == 1:
        least = found_sure_from(runs[0])
    elif least is not None:
        require_number("sure_from", least, 0.0)
    shape = image_shape_of(model.input_shape)
    names = {config["dataset"] for config in ensemble.configs}
    only_digits = names <= {"mnist", "digits"}  # and not clothes or Japanese letters
    images, answers = [], []
    for path in paths:
        answers.append({"image": str(path), "digit": None, "probability": None})
        try:
            images.append(load_digit_image(path, shape, only_digits, arguments.deskew))
        except InputError as error:
            answers[-1]["reason"] = str(error)
    read = [answer for answer in answers if "reason" not in answer]
    if images:
        outputs = ensemble.predict(np.stack(images).reshape(len(images), *model.input_shape))
        for answer, row in zip(read, outputs, strict=True):
            answer.update(digit=int(row.argmax()), probability=float(row.max()))
            if least is not None:
                answer["sure"] = bool(row.max() >= least)
    if arguments.json:
        found = {"run": str(runs[0]), "runs": [str(run) for run in runs], "backend": model.backend.name}
        _command.print_json({**found, "images": answers})
    for answer in answers:
        if "reason" in answer:
            _command.say(f"{_command.program()}: error: {answer['reason']}")
        elif not arguments.json:
            unsure = "" if answer.get("sure", True) else f"  unsure: below {least:.4f}"
            told = f"{answer['image']}: {answer['digit']}  probability {answer['probability']:.4f}{unsure}"
            print(told, flush=True)
    return 0 if len(read) == len(answers) else _command.BAD_INPUT


if __name__ == "__main__":
    _command.run(main, parse())
