"""Train the lecture's network, 784-500-500-10, on MNIST or a similar data set, on any backend."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from backends import Backend, InputError
from dnn.callbacks import (
    DivergedError,
    StopOnSignal,
    Stopped,
    TrainingCheckpoint,
    progress_for_stdout,
)  # fmt: skip
from dnn.commands import command_line
from dnn.commands.command_line import program_name, say
from dnn.commands.model import build_model
from dnn.commands.options import add_backend_arguments, add_data_arguments, open_backend
from dnn.commands.presets import PRESETS
from dnn.commands.rewinding import MAX_HALVINGS, fit_with_rewinding
from dnn.commands.run import UNRECORDED_OPTIONS, FirstUpdateTimer, Run, report
from dnn.commands.run_folder import CONFIG_FILE, RESULT_FILE, RunFolder, make_unique_folder, read_unfinished
from dnn.distributed import WorkerError, Workers
from dnn.distributed.tree import require_blocks
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.training.state import TrainingState
from dnn.validation.settings import look_up, natural_number, positive_integer, require

RESUME_OPTIONS = {"backend", "device", "require_backend", "precision", "graphs", "threads", "data_dir",
                  "quiet", "resume", "checkpoint_every", "keep", "on_nan", "mixed",
                  "worker_timeout"}  # fmt: skip
"""Options that may be given with --resume. All others are read from the run's config.json."""
UNREAD_OPTIONS = {*UNRECORDED_OPTIONS, "data_dir"}
"""Options that are never read from config.json: a run folder must not decide where files are read."""
PRESET_OPTIONS = {"hidden", "activation", "loss", "optimizer", "learning_rate", "schedule", "warmup"}
OPTIONAL_TYPES = {"preset": str, "learning_rate": float, "limit": int, "checkpoint_every": int, "device": str,
                  "threads": int}  # fmt: skip
"""Types of the options that default to None."""
NAN_ACTIONS = ("stop", "rewind")


def make_parser() -> argparse.ArgumentParser:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Ctrl-C, SIGTERM and SIGHUP save the training and print how to resume it (exit code 128 plus "
        "the signal's number: 130, 143, 129). A second Ctrl-C stops at once. "
        "Example: train.py --epochs 5 --seed 1",
    )
    add_data_arguments(parser, names="mnist, fashion_mnist, kmnist or digits (default: %(default)s)")
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
    add("--mixed", action="store_true", help="allow different backends; results are not bit-identical then")
    late = "end the run if a worker does not answer within this time (default: %(default)s)"
    add("--worker-timeout", type=float, default=120.0, metavar="SECONDS", help=late)
    add = parser.add_argument_group("saving and resuming").add_argument
    add("--run-dir", metavar="DIR", help="new run folder (default: runs/DATE-BACKEND)")
    change = "backend options, --data-dir and options of this group may be changed"
    add("--resume", metavar="RUN", help=f"continue this run folder with its saved options; {change}")
    add("--checkpoint-every", type=int, metavar="N", help="also save every N updates (default: every epoch)")
    add("--keep", type=int, default=3, help="number of saved states besides the best (default: 3)")
    back = "go back to the last good state with half the rate, at most five times (default: %(default)s)"
    nan = f"if the loss is NaN or infinite: stop, or {back}"
    add("--on-nan", choices=NAN_ACTIONS, default="stop", help=nan)
    add("--quiet", action="store_true", help="print only the last line")
    return parser


@dataclass
class ParsedOptions:
    """The parsed command line."""

    options: argparse.Namespace
    defaults: dict[str, Any]  # option -> its default
    given: set[str]  # options that the command line contains


def parse() -> ParsedOptions:
    parser = make_parser()
    defaults = vars(parser.parse_args([]))
    absent = object()
    options = parser.parse_args(namespace=argparse.Namespace(**dict.fromkeys(defaults, absent)))
    given = {name for name, value in vars(options).items() if value is not absent}
    merged = {name: getattr(options, name) if name in given else defaults[name] for name in defaults}
    return ParsedOptions(argparse.Namespace(**merged), defaults, given)


def apply_preset(parsed: ParsedOptions) -> argparse.Namespace:
    """Return the options, with the preset's epochs and batch size unless the command line sets them.

    Raises InputError: the preset is unknown, or an option was given that the preset sets.
    """
    options = parsed.options
    if options.preset is not None:
        preset = look_up("preset", options.preset, PRESETS)
        if doubled := sorted(parsed.given & PRESET_OPTIONS):
            raise InputError(
                f"--{doubled[0].replace('_', '-')} was given with --preset, which sets it; remove one of them"
            )
        for name in sorted({"epochs", "batch_size"} - parsed.given):
            setattr(options, name, getattr(preset, name))
    return options


def is_option_value(name: str, value: Any, default: Any) -> bool:
    """Return whether a value from config.json is one that the command line could produce."""
    if name == "on_nan":
        return value in NAN_ACTIONS
    if isinstance(default, list):
        return isinstance(value, list) and all(type(part) is int for part in value)
    if value is None:
        return default is None
    expected = OPTIONAL_TYPES[name] if default is None else type(default)
    return type(value) is expected or (expected is float and type(value) is int)


def merge_options(parsed: ParsedOptions, config: dict[str, Any]) -> argparse.Namespace:
    """Return the options of a resumed run: those of config.json, overridden by the command line.

    Raises InputError: an option was given that --resume does not allow, or config.json lacks one.
    """
    if refused := sorted(parsed.given - RESUME_OPTIONS):
        option = refused[0].replace("_", "-")
        raise InputError(f"--{option} was given with --resume, expected only backend and saving options")
    merged = {**vars(parsed.options)}
    for name in sorted(parsed.defaults.keys() - parsed.given - UNREAD_OPTIONS):
        if name not in config or not is_option_value(name, config[name], parsed.defaults[name]):
            file = f"{parsed.options.resume}/config.json"
            raise InputError(f"{file} has no valid {name!r}, expected a file written by train.py")
        merged[name] = config[name]
    return argparse.Namespace(**merged)


def join_workers(options: argparse.Namespace) -> Workers:
    """Return the workers that torchrun started.

    Raises InputError: there are several and no --run-dir, so that a restart could not find the folder.
    """
    workers = Workers.from_environment(mixed=options.mixed, timeout=options.worker_timeout)
    if workers.size > 1 and not (options.run_dir or options.resume):
        raise InputError("workers have no --run-dir, expected one: restarted workers continue in this folder")
    return workers


def is_finished(options: argparse.Namespace, workers: Workers) -> bool:
    """Return whether a group that torchrun restarted has nothing left to do."""
    place = Path(options.resume or options.run_dir or ".")
    return bool(workers.restarts and workers.share((place / RESULT_FILE).exists))


def open_folder(
    options: argparse.Namespace, workers: Workers
) -> tuple[RunFolder | None, dict[str, Any], TrainingState | None]:
    """Return (run folder, configuration, state); the last two are those of a resumed run.

    The folder is None in all workers but the first, and while its name still depends on the backend.
    """
    config: dict[str, Any] = {}
    continued = options.resume is not None
    if continued:
        config = workers.share(lambda: read_unfinished(Path(options.resume)))
    elif workers.restarts:  # a group that torchrun restarted continues in the first group's folder
        continued = workers.share(Path(options.run_dir).is_dir)
    place = options.resume or options.run_dir
    folder = RunFolder(Path(place), resume=continued) if place and workers.is_first else None
    state = workers.share(lambda: folder and folder.latest_state()) if continued else None
    return folder, config, state


def open_own_backend(options: argparse.Namespace, workers: Workers) -> Backend:
    """Return the requested backend. With --device cuda, local worker N uses cuda:N."""
    if workers.local_size > 1 and options.device == "cuda":
        options = argparse.Namespace(**{**vars(options), "device": f"cuda:{workers.local_rank}"})
    return open_backend(options)


def require_state_fits(state: TrainingState, epochs: int) -> None:
    """Raise InputError if a state is past the training's end or lacks the history of earlier epochs."""
    names = ("loss", "accuracy", "seconds", "val_loss", "val_accuracy")
    lengths = {len(state.history.get(name, ())) for name in names}
    if state.epoch > epochs + 1 or lengths != {state.epoch - 1}:
        raise InputError(
            f"the saved state is in epoch {state.epoch} after {sorted(lengths)} epochs of history, expected "
            f"a state of a training of {epochs} epochs; start a new one with --run-dir"
        )


def prepare(parsed: ParsedOptions, workers: Workers) -> Run:
    """Load the data, build the model and return the run. Bad options fail here, before files are written."""
    from dnn.datasets import load_dataset

    folder, config, state = open_folder(parsed.options, workers)
    options = apply_preset(parsed) if parsed.options.resume is None else merge_options(parsed, config)
    require_blocks(options.blocks, workers.size)
    backend = open_own_backend(options, workers)
    options.epochs = positive_integer("epochs", options.epochs)
    options.batch_size = positive_integer("batch_size", options.batch_size)
    positive_integer("keep", options.keep)
    if options.checkpoint_every is not None:
        positive_integer("checkpoint_every", options.checkpoint_every)
    if state is not None:
        require_state_fits(state, options.epochs)
    # The first worker downloads what is missing.
    data = workers.make_after_first(lambda: load_dataset(options.dataset, options.data_dir))
    limit = positive_integer("limit", options.limit) if options.limit is not None else None
    held = natural_number("hold_out", options.hold_out)
    require(held < len(data.x_train), "hold_out", held, f"fewer than the {len(data.x_train)} training images")
    x = data.x_train[: len(data.x_train) - held][:limit]
    y = data.y_train[: len(x)]
    model = build_model(options, backend, data, len(x))
    if folder is None and workers.is_first:
        folder = RunFolder(make_unique_folder(Path("runs"), backend.name))
    return Run(options, data, x, y, model, folder, state, workers)


def fit(run: Run, stopper: StopOnSignal, states: TrainingCheckpoint, first: FirstUpdateTimer) -> History:
    """Train the run's model; with --on-nan rewind, rewind if it diverges."""
    options = run.options
    folder = run.folder

    def on_rewind(error: DivergedError, state: TrainingState | None, halvings: int) -> None:
        if folder is None:
            return
        folder.config = run.config(halvings)
        folder.write_json(CONFIG_FILE, folder.config)
        where = "the start" if state is None else f"epoch {state.epoch}, update {state.updates}"
        say(f"{program_name()}: {error}; going back to {where} with {0.5**halvings:g} of the rate")

    callbacks: list[Callback] = [stopper]
    if folder is not None:
        if run.state is None:
            folder.config = run.config()
        callbacks = [folder, stopper, first]
        if not options.quiet:
            callbacks.append(progress_for_stdout(run.headline))
    with stopper.handle_signals():
        return fit_with_rewinding(
            run.model, run.x, run.y, states=states, callbacks=callbacks, resume=run.state,
            max_halvings=MAX_HALVINGS if options.on_nan == "rewind" else 0, on_rewind=on_rewind,
            batch_size=options.batch_size, epochs=options.epochs, verbose=0,
            validation_data=(run.data.x_test, run.data.y_test),
            blocks=options.blocks, workers=run.workers,
        )  # fmt: skip


def train(parsed: ParsedOptions) -> int:
    """Train, and return the exit code."""
    first = FirstUpdateTimer(time.perf_counter())
    workers = join_workers(parsed.options)
    if is_finished(parsed.options, workers):
        return 0
    run = prepare(parsed, workers)
    states = TrainingCheckpoint(run.place, run.options.checkpoint_every, run.options.keep)
    stopper = StopOnSignal(states, workers.largest, workers.share)
    begun = time.perf_counter()
    try:
        history = fit(run, stopper, states, first)
    except Stopped as stop:
        if run.folder is not None:
            run.folder.save(run.model)  # for evaluate.py and predict.py
            lost = "" if stop.saved else "its last updates are not saved (disk, NaN or infinity); "
            say(f"{program_name()}: {stop}; {lost}resume with: {run.resume_command}")
        return 128 + stop.signal
    except WorkerError:
        if workers.is_first or stopper.signal_number is None:
            raise
        return 128 + stopper.signal_number  # the first worker received the signal too, and has saved
    if run.folder is not None:
        report(run, run.folder, history, time.perf_counter() - begun, first.seconds)
    return 0


def main() -> NoReturn:
    command_line.run(train, parse)
