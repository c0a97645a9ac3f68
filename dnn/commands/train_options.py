"""The options of train.py: the parser, presets, and where a resumed run takes each option from."""

import argparse
from dataclasses import dataclass
from typing import Any

from backends import InputError
from dnn.commands import command_line
from dnn.commands.options import add_backend_arguments, add_data_arguments
from dnn.commands.presets import PRESETS
from dnn.settings.checks import look_up
from dnn.typing import Json


@dataclass(frozen=True)
class Option:
    """How an option behaves besides its type and default, which the parser knows.

    Args:
        resumable: whether it may be given with --resume. Otherwise it is read from the run's config.json.
        recorded: whether config.json contains it, from where a resumed run reads it. Options of one call are
            not recorded, nor those that decide which files are read.
        in_preset: whether a preset sets it.
    """

    resumable: bool = False
    recorded: bool = True
    in_preset: bool = False


def _options(names: str, **settings: bool) -> dict[str, Option]:
    return dict.fromkeys(names.split(), Option(**settings))


OPTIONS = {
    **_options("dataset skip_unreadable size grey preset batch_size epochs seed limit hold_out dtype blocks"),
    **_options("hidden activation loss optimizer schedule warmup", in_preset=True),
    **_options("learning_rate", in_preset=True, resumable=True),
    **_options(
        "backend device precision graphs threads require_backend checkpoint_every keep", resumable=True
    ),
    **_options("data_dir worker_timeout quiet resume", resumable=True, recorded=False),
    **_options("run_dir", recorded=False),
}


def make_parser() -> argparse.ArgumentParser:
    parser = command_line.Parser(
        description="Train the lecture's network, 784-500-500-10, on MNIST or a similar data set, on any "
        "backend.",
        epilog="Ctrl-C, SIGTERM and SIGHUP save the training and print how to resume it (exit code 128 plus "
        "the signal's number: 130, 143, 129). A second Ctrl-C stops at once. "
        "Example: %(prog)s --epochs 5 --seed 1",
    )
    names = "mnist, fashion_mnist, kmnist or digits (default: %(default)s)"
    add_data_arguments(parser, names=names, images=True)
    scaled = "scale own pictures (default: to the first one's, at most 256 pixels a side)"
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help=scaled)
    parser.add_argument("--grey", action="store_true", help="read own pictures without colour")
    add = parser.add_argument_group("network and training").add_argument
    presets = "lecture, best, augmented, elastic, deep, quick or cnn: network, optimizer and schedule"
    add("--preset", metavar="NAME", help=presets)
    add("--hidden", type=int, nargs="*", default=[500, 500], metavar="UNITS", help="default: 500 500")
    add("--activation", default="relu", help="activation of the hidden layers (default: %(default)s)")
    add("--loss", default="categorical_crossentropy", help="default: %(default)s")
    add("--optimizer", default="adam", help="sgd, adagrad, rmsprop, adam or adamw (default: %(default)s)")
    add("--learning-rate", type=float, help="default: the optimizer's default")
    rates = "constant, step, linear (to 0), cosine or one_cycle (default: %(default)s)"
    add("--schedule", default="linear", metavar="NAME", help=f"learning rate schedule: {rates}")
    add("--warmup", type=int, default=0, metavar="N", help="updates of linear warm-up (default: 0)")
    add("--batch-size", type=int, default=100, help="default: the preset's, else %(default)s")
    add("--epochs", type=int, default=10, help="default: the preset's, else %(default)s")
    add("--seed", type=int, default=0, help="seed of weights, shuffles and noise (default: %(default)s)")
    add("--limit", type=int, metavar="N", help="train on the first N images only")
    held = "hold out the last N training images, and use them to calibrate a confidence threshold"
    add("--hold-out", type=int, default=0, metavar="N", help=held)
    add_backend_arguments(parser)
    add = parser.add_argument_group("workers (docs/workers.md)").add_argument
    cut = "split each batch into B blocks, a power of two, for threads and for the workers of torchrun"
    add("--blocks", type=int, default=1, metavar="B", help=f"{cut} (default: %(default)s)")
    late = "end the run if a worker does not answer within this time (default: %(default)s)"
    add("--worker-timeout", type=float, default=120.0, metavar="SECONDS", help=late)
    add = parser.add_argument_group("saving and resuming").add_argument
    add("--run-dir", metavar="DIR", help="new run folder (default: runs/DATE-BACKEND)")
    change = "backend options, --data-dir, --learning-rate and options of this group may be changed"
    add("--resume", metavar="RUN", help=f"continue this run folder with its saved options; {change}")
    add("--checkpoint-every", type=int, metavar="N", help="also save every N updates (default: every epoch)")
    add("--keep", type=int, default=3, help="number of saved states besides the best (default: 3)")
    add("--quiet", action="store_true", help="print only the last line")
    return parser


@dataclass
class ParsedOptions:
    """The parsed command line."""

    options: argparse.Namespace
    chosen: set[str]  # options that the command line contains


def parse() -> ParsedOptions:
    parser = make_parser()
    options = parser.parse_args()
    unset = argparse.Namespace(**dict.fromkeys(vars(options), parser))  # a value that no option has
    chosen = {name for name, value in vars(parser.parse_args(namespace=unset)).items() if value is not parser}
    return ParsedOptions(options, chosen)


def apply_preset(parsed: ParsedOptions) -> argparse.Namespace:
    """Return the options, with the preset's epochs and batch size unless the command line sets them.

    Raises InputError: the preset is unknown, or an option was given that the preset sets.
    """
    options = parsed.options
    if options.preset is not None:
        preset = look_up("preset", options.preset, PRESETS)
        if doubled := sorted(name for name in parsed.chosen if OPTIONS[name].in_preset):
            option = doubled[0].replace("_", "-")
            raise InputError(f"--{option} was given with --preset, which sets it", cure="remove one of them")
        for name in sorted({"epochs", "batch_size"} - parsed.chosen):
            setattr(options, name, getattr(preset, name))
    return options


def is_option_value(value: Any, default: Any) -> bool:
    """Return whether a value from config.json has the type of the default; None: its user checks it."""
    if isinstance(default, list):
        return isinstance(value, list) and {*map(type, value)} <= {int}
    return default is None or type(value) is type(default)


def merge_options(parsed: ParsedOptions, config: Json) -> argparse.Namespace:
    """Return the options of a resumed run: those of config.json, overridden by the command line.

    Raises InputError: an option was given that --resume does not allow, or config.json lacks one.
    """
    if refused := sorted(name for name in parsed.chosen if not OPTIONS[name].resumable):
        option = refused[0].replace("_", "-")
        raise InputError(
            f"--{option} was given with --resume",
            "only backend and saving options",
            "leave it out, since the run keeps its own; for another value start a new run",
        )
    merged = {**vars(parsed.options)}  # what was not chosen has its default
    for name in sorted(name for name in OPTIONS.keys() - parsed.chosen if OPTIONS[name].recorded):
        if name not in config or not is_option_value(config[name], merged[name]):
            file = f"{parsed.options.resume}/config.json"
            raise InputError(f"{file} has no valid {name!r}", "a file written by train.py")
        merged[name] = config[name]
    if merged["preset"] is not None and "learning_rate" in parsed.chosen:
        got = "--learning-rate was given with --resume of a run with --preset, which sets it"
        raise InputError(got, cure="leave it out, or start a new run with options of your own")
    return argparse.Namespace(**merged)
