#!/usr/bin/env python3
"""Read handwritten digits: print each image's digit and the probability that the network gives it."""

import argparse
from pathlib import Path

import _command


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="example: predict.py runs/first digit.png, after train.py --run-dir runs/first",
    )
    _command.add_run_arguments(parser)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="PNG or JPEG with one digit")
    _command.add_deskew(parser)
    _command.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> int:
    """0; BAD_INPUT where a picture shows no digit or cannot be read: the others are answered all the same."""
    import numpy as np

    from backends import InputError
    from dnn.datasets.digit_images import image_shape_of, load_digit_image

    configuration, model = _command.open_run(arguments)
    shape = image_shape_of(model.input_shape)
    only_digits = configuration["dataset"] in ("mnist", "digits")  # and not clothes or Japanese letters
    images, answers = [], []
    for path in arguments.images:
        answers.append({"image": str(path), "digit": None, "probability": None})
        try:
            images.append(load_digit_image(path, shape, only_digits, arguments.deskew))
        except InputError as error:
            answers[-1]["reason"] = str(error)
    read = [answer for answer in answers if "reason" not in answer]
    if images:
        outputs = model.predict(np.stack(images).reshape(len(images), *model.input_shape))
        for answer, row in zip(read, outputs, strict=True):
            answer.update(digit=int(row.argmax()), probability=float(row.max()))
    if arguments.json:
        _command.print_json({"run": str(arguments.run), "backend": model.backend.name, "images": answers})
    for answer in answers:
        if "reason" in answer:
            _command.say(f"{_command.program()}: error: {answer['reason']}")
        elif not arguments.json:
            print(
                f"{answer['image']}: {answer['digit']}  probability {answer['probability']:.4f}", flush=True
            )
    return 0 if len(read) == len(answers) else _command.BAD_INPUT


if __name__ == "__main__":
    _command.run(main, parse())
