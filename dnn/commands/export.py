"""Export a trained run to an ONNX file for onnxruntime and other programs."""

import os
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import NoReturn

from backends import InputError, get_backend
from backends.errors import printable
from dnn.commands import command_line, options
from dnn.commands.run_folder import load_run
from dnn.io.json_text import as_json


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: export.py runs/first model.onnx --input uint8, after train.py --run-dir runs/first. "
        'The file maps "x" (any number of examples) to "probabilities".',
    )
    options.add_run_arguments(parser)
    parser.add_argument("file", metavar="FILE", type=Path, help="file to write, such as model.onnx")
    add = parser.add_argument
    add("--overwrite", action="store_true", help="replace an existing file")
    add("--input", metavar="DTYPE", help="dtype of x: float32, uint8 or int64 (default: float32)")
    add("--logits", action="store_true", help="output logits, before the last activation (softmax)")
    add("--rounded", action="store_true", help="round the weights of a float64 run to float32")
    add("--class-names", metavar="A,B,...", help="class names to store (default for digits: 0,1,...)")
    return parser.parse_args()


def export(arguments: Namespace) -> None:
    from dnn.interop.onnx import save_onnx

    file = arguments.file
    names = arguments.class_names
    # Unlike Path.exists, lexists is False for a name that is too long.
    if not arguments.overwrite and os.path.lexists(file):
        raise InputError(f"{file} exists", "a new name, or --overwrite")
    config, model = load_run(arguments.run, partial(get_backend, "numpy"), arguments.allow_nonfinite)
    known = {key: str(config[key]) for key in ("dataset", "preset") if config.get(key)}
    classes = None if names is None else names.split(",")
    if names is None and known.get("dataset") in ("mnist", "digits"):
        classes = [str(digit) for digit in range(model.outputs)]
    save_onnx(
        model, file, input_dtype=arguments.input, logits=arguments.logits, rounded=arguments.rounded,
        class_names=classes, metadata=known,
    )  # fmt: skip
    if arguments.json:
        written = {
            "run": str(arguments.run), "file": str(file), "bytes": file.stat().st_size,
            "class_names": classes, "metadata": known,
        }  # fmt: skip
        print(as_json(written))
        return
    print(f"{printable(file)}  {file.stat().st_size} bytes  {model.parameters.count} parameters")


def main() -> NoReturn:
    command_line.run(export, parse)
