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
    _command.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    import numpy as np

    from dnn.datasets.digit_images import image_shape_of, load_digit_image

    _, model = _command.open_run(arguments)
    shape = image_shape_of(model.input_shape)
    images = np.stack([load_digit_image(path, shape) for path in arguments.images])
    outputs = model.predict(images.reshape(len(images), *model.input_shape))
    read = [
        (str(path), int(row.argmax()), float(row.max()))
        for path, row in zip(arguments.images, outputs, strict=True)
    ]
    if arguments.json:
        images = [{"image": path, "digit": digit, "probability": p} for path, digit, p in read]
        _command.print_json({"run": str(arguments.run), "backend": model.backend.name, "images": images})
        return
    for path, digit, p in read:
        print(f"{path}: {digit}  probability {p:.4f}")


if __name__ == "__main__":
    _command.run(main, parse())
