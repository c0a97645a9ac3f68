"""Export a trained run to an ONNX file for onnxruntime and other programs."""

import os
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import NoReturn

from backends import InputError, get_backend
from dnn.commands import command_line, options
from dnn.commands.pictures import own_images
from dnn.commands.run_folder import load_run
from dnn.settings.checks import require


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: %(prog)s runs/first model.onnx --input uint8. "
        'The file maps "x" (any number of examples) to "probabilities".',
    )
    options.add_run_arguments(parser, json=False)
    parser.add_argument("file", metavar="FILE", type=Path, help="file to write, such as model.onnx")
    add = parser.add_argument
    add("--overwrite", action="store_true", help="replace an existing file")
    add("--input", metavar="DTYPE", help="dtype of x: float32, uint8 or int64 (default: float32)")
    return parser.parse_args()


def export(arguments: Namespace) -> None:
    from dnn.interop.onnx import save_onnx

    file = arguments.file
    cure = "dnn.interop.torch.to_torch makes a module of PyTorch in Python"
    require(file.suffix == ".onnx", "FILE", str(file), "a name that ends in .onnx", cure)
    # Unlike Path.exists, lexists is False for a name that is too long.
    if not arguments.overwrite and os.path.lexists(file):
        raise InputError(f"{file} exists", "a new name, or --overwrite")
    config, model = load_run(arguments.run, partial(get_backend, "numpy"), arguments.allow_nonfinite)
    known = {key: Path(config[key]).name for key in ("dataset", "preset") if config.get(key)}
    names, _ = own_images(config, model, arguments.folder)
    if config["dataset"] in ("mnist", "digits"):
        names = tuple(map(str, range(model.outputs)))
    save_onnx(model, file, input_dtype=arguments.input, class_names=names or None, metadata=known)
    command_line.print_result(f"{file}  {file.stat().st_size} bytes  {model.parameters.count} parameters")


def main() -> NoReturn:
    command_line.run(export, parse)
