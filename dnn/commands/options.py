"""Options shared by several commands, and how their backend and run are opened."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from backends import Backend, BackendUnavailable, InputError, get_backend
from backends.errors import one_line, reraise
from dnn.commands.command_line import print_status
from dnn.commands.run_folder import load_run
from dnn.datasets.digits import image_shape_of
from dnn.sequential import Sequential
from dnn.settings.checks import require
from dnn.typing import Json

RUN_HELP = "a run folder written by train.py, or a file written by model.save"


def add_backend_arguments(parser: argparse.ArgumentParser, default: str = "auto", dtype: bool = True) -> None:
    """Add --backend, --device, --precision, --graphs, --threads, --require-backend, --dtype if ``dtype``."""
    add = parser.add_argument_group("backend").add_argument
    names = "auto, numpy, numba, cupy, torch, strict or a registered name"
    tf32 = "tf32 for matrix products on CUDA with 10-bit mantissas"
    exact = "reproducible for the same bits on every backend (slower)"
    add("--backend", default=default, metavar="NAME", help=f"{names} (default: %(default)s)")
    add("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps, ...")
    if dtype:
        add("--dtype", default="float32", help="float32 or float64 (default: %(default)s)")
    add("--precision", default="float32", help=f"float32, {tf32}, or {exact} (default: %(default)s)")
    graphs = "replay updates as CUDA graphs (cupy, or torch on CUDA; untested)"
    add("--graphs", action="store_true", help=graphs)
    threads = "CPU threads per matrix product (default: all; numpy uses one for small ones; docs/speed.md)"
    add("--threads", type=int, metavar="N", help=threads)
    required = "exit with code 2 if this backend cannot run, instead of falling back to the CPU"
    add("--require-backend", action="store_true", help=required)


def add_data_arguments(
    parser: argparse.ArgumentParser,
    default: str | None = "mnist",
    names: str = "mnist, digits, ... (default: %(default)s)",
    images: bool = False,
) -> None:
    """Add the options --dataset and --data-dir, and with ``images`` also --images and --skip-unreadable.

    --images sets ``dataset`` to the absolute path of its folder. ``names`` is the help text of --dataset.
    """
    add = parser.add_mutually_exclusive_group().add_argument
    add("--dataset", default=default, metavar="NAME", help=names)
    if images:
        own = "use the pictures of this folder, which holds a folder for each class (docs/guide/images.md)"
        add("--images", dest="dataset", type=os.path.abspath, metavar="FOLDER", help=own)
        skip = "leave out pictures that cannot be read, with a warning that names them"
        parser.add_argument("--skip-unreadable", action="store_true", help=skip)
    parser.add_argument("--data-dir", metavar="DIR", help="data folder (default: DNN_DATA_DIR, else ./data)")


def add_images_argument(parser: argparse.ArgumentParser) -> None:
    """Add --images of a command that reads one trained model."""
    own = "folder of own pictures, which names the classes of a saved model; predict reads them"
    parser.add_argument("--images", dest="folder", metavar="FOLDER", help=f"{own} (docs/guide/images.md)")


def add_run_arguments(parser: argparse.ArgumentParser, several: bool = False, json: bool = True) -> None:
    """Add RUN and --images, or ``several`` RUN; --json if ``json``; --allow-nonfinite, for ``open_run``."""
    parser.add_argument("run", metavar="RUN", type=Path, nargs="+" if several else None, help=RUN_HELP)
    if not several:
        add_images_argument(parser)
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--allow-nonfinite", action="store_true", help="load weights even if some are NaN or infinite"
    )


def open_run(path: Path, arguments: argparse.Namespace) -> tuple[Json, Sequential]:
    """Return (configuration, model) of a run folder or a saved model, on the requested backend."""
    return load_run(path, partial(open_backend, arguments), arguments.allow_nonfinite)


def digit_shape(path: Path, config: Json, model: Sequential) -> tuple[int, int]:
    """Return (height, width) of the pictures of digits that a model reads.

    Raises InputError: it reads other pictures, or tables; the message says how to predict them in Python.
    """
    cure = f"predict other data in Python: load_model({str(path)!r}).predict(x)"
    with reraise(InputError, f"{path} does not read digits:", cure=cure):
        size = image_shape_of(model.input_shape)
        require(model.outputs == 10, "outputs", model.outputs, "10, one per digit")
    if config["dataset"] is None:
        print_status(
            f"{path} is a saved model: pictures are prepared as for a network that was trained on digits"
        )
    return size


def open_backend(
    arguments: argparse.Namespace, dtype: str | None = None, cpu_first: str = "numba"
) -> Backend:
    """Return the requested backend. For "auto", print why it was chosen, unless --quiet.

    If the backend cannot run, print a warning and return the same library on the CPU, else NumPy.

    Args:
        dtype: overrides --dtype.
        cpu_first: see ``get_backend``.
    Raises BackendUnavailable: the backend cannot run, and --require-backend was given.
    """
    name = arguments.backend
    dtype = dtype or arguments.dtype
    try:
        backend = get_backend(
            name, arguments.device, dtype, precision=arguments.precision, graphs=arguments.graphs,
            threads=arguments.threads, cpu_first=cpu_first,
        )  # fmt: skip
    except BackendUnavailable as error:
        if arguments.require_backend:
            raise
        backend = on_cpu(arguments, dtype)
        print_status(f"WARNING: {error}. Using {backend.name} on the CPU instead.")
    if backend.reason is not None and not getattr(arguments, "quiet", False):
        print_status(f"--backend auto: {one_line(backend.reason)}")
    return backend


def on_cpu(arguments: argparse.Namespace, dtype: str) -> Backend:
    """Return torch on the CPU if it was asked for and can run, else NumPy. CPUs have no TF32."""
    precision = "float32" if arguments.precision == "tf32" else arguments.precision
    open_cpu = partial(get_backend, device="cpu", dtype=dtype, threads=arguments.threads, precision=precision)
    try:
        return open_cpu("torch" if arguments.backend == "torch" else "numpy")
    except BackendUnavailable:
        return open_cpu("numpy")
