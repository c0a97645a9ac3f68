"""Train the lecture's network, 784-500-500-10, on MNIST or a set like it, on any backend."""

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
from dnn.commands.command_line import program, say
from dnn.commands.model import build_model
from dnn.commands.options import add_backend_arguments, add_data_arguments, open_backend
from dnn.commands.presets import PRESETS
from dnn.commands.rewinding import MAX_HALVINGS, fit_rewinding
from dnn.commands.run import NOT_RECORDED, FirstUpdate, Run, report
from dnn.commands.run_folder import CONFIG, RESULT, RunFolder, free_folder, read_unfinished
from dnn.distributed import WorkerError, Workers
from dnn.distributed.tree import require_blocks
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.training.state import TrainingState
from dnn.validation.settings import look_up, natural_number, positive_integer, require

RENEWABLE = {"backend", "device", "require_backend", "precision", "graphs", "threads", "data_dir", "quiet",
             "resume", "checkpoint_every", "keep", "on_nan", "mixed", "worker_timeout"}  # fmt: skip
"""Options that may be given anew with --resume; all others are the run's own."""
NOT_READ = {*NOT_RECORDED, "data_dir"}
"""Options that are not read from config.json: no run folder decides where files are read and written."""
SET_BY_PRESETS = {"hidden", "activation", "loss", "optimizer", "learning_rate", "schedule", "warmup"}
OPTIONAL_TYPES = {"preset": str, "learning_rate": float, "limit": int, "checkpoint_every": int, "device": str,
                  "threads": int}  # fmt: skip
"""Types of the options whose default is None."""
ON_NAN = ("stop", "rewind")


def make_parser() -> argparse.ArgumentParser:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Ctrl-C, SIGTERM or SIGHUP saves and says how to resume (exit code 128 plus the signal's "
        "number: 130, 143, 129); a second Ctrl-C stops at once. Example: train.py --epochs 5 --seed 1",
    )
    add_data_arguments(parser, names="mnist, fashion_mnist, kmnist or digits (default: %(default)s)")
    add = parser.add_argument_group("network and training").add_argument
    presets = "lecture, best, augmented, elastic, deep, quick or cnn: network, optimizer and schedule"
    add("--preset", metavar="NAME", help=presets)
    add("--hidden", type=int, nargs="*", default=[500, 500], metavar="UNITS")
    add("--activation", default="relu", help="of the hidden layers")
    add("--loss", default="categorical_crossentropy")
    add("--optimizer", default="adam", help="sgd, adagrad, rmsprop, adam or adamw")
    add("--learning-rate", type=float, help="default: the optimizer's own")
    rates = "constant, step, linear (to 0), cosine or one_cycle (default: %(default)s)"
    add("--schedule", default="linear", metavar="NAME", help=f"of the rate over all updates: {rates}")
    add("--warmup", type=int, default=0, metavar="N", help="updates in which the rate rises (default: 0)")
    add("--batch-size", type=int, default=100, help="default: the preset's, else %(default)s")
    add("--epochs", type=int, default=10, help="default: the preset's, else %(default)s")
    add("--seed", type=int, default=0)
    add("--limit", type=int, metavar="N", help="only the first N training images")
    held = "leave the last N training images out, and find by them from where on it is sure"
    add("--hold-out", type=int, default=0, metavar="N", help=held)
    add_backend_arguments(parser)
    add = parser.add_argument_group("workers (docs/workers.md)").add_argument
    cut = "cut each batch into B, a power of two, for threads and for the workers that torchrun starts"
    add("--blocks", type=int, default=1, metavar="B", help=f"{cut} (default: %(default)s)")
    add("--mixed", action="store_true", help="workers may have different backends; bits are not promised")
    late = "a worker that does not answer for so long ends the run (default: %(default)s)"
    add("--worker-timeout", type=float, default=120.0, metavar="SECONDS", help=late)
    add = parser.add_argument_group("saving and resuming").add_argument
    add("--run-dir", metavar="DIR", help="a new folder; default: runs/DATE-BACKEND")
    anew = "options of the backend, --data-dir and those of this group may be given anew"
    add("--resume", metavar="RUN", help=f"continue this run folder with its own options; {anew}")
    add("--checkpoint-every", type=int, metavar="N", help="save each N updates too (default: each epoch)")
    add("--keep", type=int, default=3, help="saved states kept besides the best (default: 3)")
    back = "go back to the last good state with half the rate, five times at most (default: %(default)s)"
    add("--on-nan", choices=ON_NAN, default="stop", help=f"if the loss is NaN or infinite: end, or {back}")
    add("--quiet", action="store_true", help="print the last line only")
    return parser


@dataclass
class Asked:
    """The command line as it was given."""

    options: argparse.Namespace
    defaults: dict[str, Any]  # of all options
    given: set[str]  # names of the options that were given


def parse() -> Asked:
    parser = make_parser()
    defaults = vars(parser.parse_args([]))
    absent = object()
    options = parser.parse_args(namespace=argparse.Namespace(**dict.fromkeys(defaults, absent)))
    given = {name for name, value in vars(options).items() if value is not absent}
    merged = {name: getattr(options, name) if name in given else defaults[name] for name in defaults}
    return Asked(argparse.Namespace(**merged), defaults, given)


def apply_preset(asked: Asked) -> argparse.Namespace:
    """The options, with the preset's number of epochs and batch size where none were given.
    Raises InputError: an unknown preset, or an option that the preset sets.
    """
    options = asked.options
    if options.preset is not None:
        preset = look_up("preset", options.preset, PRESETS)
        if doubled := sorted(asked.given & SET_BY_PRESETS):
            raise InputError(
                f"--{doubled[0].replace('_', '-')} was given with --preset, which sets it; leave out one"
            )
        for name in sorted({"epochs", "batch_size"} - asked.given):
            setattr(options, name, getattr(preset, name))
    return options


def is_option_value(name: str, value: Any, default: Any) -> bool:
    """Whether a value from config.json is one that the command line could give."""
    if name == "on_nan":
        return value in ON_NAN
    if isinstance(default, list):
        return isinstance(value, list) and all(type(part) is int for part in value)
    if value is None:
        return default is None
    expected = OPTIONAL_TYPES[name] if default is None else type(default)
    return type(value) is expected or (expected is float and type(value) is int)


def merge_options(asked: Asked, config: dict[str, Any]) -> argparse.Namespace:
    """The options of the run that is continued, from its configuration, under those that were given.
    Raises InputError: an option was given that is the run's own, or the configuration does not have one.
    """
    if refused := sorted(asked.given - RENEWABLE):
        option = refused[0].replace("_", "-")
        raise InputError(
            f"--{option} was given with --resume, expected only options of the backend and of saving"
        )
    merged = {**vars(asked.options)}
    for name in sorted(asked.defaults.keys() - asked.given - NOT_READ):
        if name not in config or not is_option_value(name, config[name], asked.defaults[name]):
            file = f"{asked.options.resume}/config.json"
            raise InputError(f"{file} has no fitting {name!r}, expected what train.py writes")
        merged[name] = config[name]
    return argparse.Namespace(**merged)


def join_workers(options: argparse.Namespace) -> Workers:
    """The workers that torchrun started. Raises InputError: they have no folder that all can find again."""
    workers = Workers.from_environment(mixed=options.mixed, timeout=options.worker_timeout)
    if workers.size > 1 and not (options.run_dir or options.resume):
        raise InputError(
            "workers have no --run-dir, expected one, so that they go on there when torchrun restarts them"
        )
    return workers


def is_finished(options: argparse.Namespace, workers: Workers) -> bool:
    """Whether a group that torchrun started anew has nothing left to do."""
    place = Path(options.resume or options.run_dir or ".")
    return bool(workers.restarts and workers.share((place / RESULT).exists))


def open_folder(
    options: argparse.Namespace, workers: Workers
) -> tuple[RunFolder | None, dict[str, Any], TrainingState | None]:
    """The run folder, and the configuration and the state of the run that is continued there.

    The folder is None in all workers but the first, and where it is named after the backend.
    """
    config: dict[str, Any] = {}
    continued = options.resume is not None
    if continued:
        config = workers.share(lambda: read_unfinished(Path(options.resume)))
    elif workers.restarts:  # a group that torchrun started anew goes on where the first one began
        continued = workers.share(Path(options.run_dir).is_dir)
    place = options.resume or options.run_dir
    folder = RunFolder(Path(place), resume=continued) if place and workers.is_first else None
    state = workers.share(lambda: folder and folder.latest_state()) if continued else None
    return folder, config, state


def open_own_backend(options: argparse.Namespace, workers: Workers) -> Backend:
    """The backend asked for; with --device cuda each worker of a machine has the GPU of its own number."""
    if workers.local_size > 1 and options.device == "cuda":
        options = argparse.Namespace(**{**vars(options), "device": f"cuda:{workers.local_rank}"})
    return open_backend(options)


def require_state_fits(state: TrainingState, epochs: int) -> None:
    """Refuse a saved state that is past this training's end, or whose history is not from its start."""
    names = ("loss", "accuracy", "seconds", "val_loss", "val_accuracy")
    lengths = {len(state.history.get(name, ())) for name in names}
    if state.epoch > epochs + 1 or lengths != {state.epoch - 1}:
        raise InputError(
            f"the saved state is in epoch {state.epoch} after {sorted(lengths)} epochs of history, expected "
            f"one of a training of {epochs} epochs; train anew with --run-dir"
        )


def prepare(asked: Asked, workers: Workers) -> Run:
    """All that a training needs; what can be refused is refused here or by ``fit``, before files are made."""
    from dnn.datasets import load_dataset

    folder, config, state = open_folder(asked.options, workers)
    options = apply_preset(asked) if asked.options.resume is None else merge_options(asked, config)
    require_blocks(options.blocks, workers.size)
    backend = open_own_backend(options, workers)
    options.epochs = positive_integer("epochs", options.epochs)
    options.batch_size = positive_integer("batch_size", options.batch_size)
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
        folder = RunFolder(free_folder(Path("runs"), backend.name))
    return Run(options, data, x, y, model, folder, state, workers)


def fit(run: Run, stopper: StopOnSignal, states: TrainingCheckpoint, first: FirstUpdate) -> History:
    """Train the run's model, with rewinding where it diverges and --on-nan says so."""
    options = run.options
    folder = run.folder

    def rewound(error: DivergedError, state: TrainingState | None, halvings: int) -> None:
        if folder is None:
            return
        folder.config = run.config(halvings)
        folder.write_json(CONFIG, folder.config)
        where = "the start" if state is None else f"epoch {state.epoch}, update {state.updates}"
        say(f"{program()}: {error}; going back to {where} with {0.5**halvings:g} of the rate")

    callbacks: list[Callback] = []
    if folder is not None:
        if run.state is None:
            folder.config = run.config()
        callbacks = [folder, stopper, first]
        if not options.quiet:
            callbacks.append(progress_for_stdout(run.headline))
    with stopper.handle_signals():
        return fit_rewinding(
            run.model, run.x, run.y, states=states, callbacks=callbacks, resume=run.state,
            most=MAX_HALVINGS if options.on_nan == "rewind" else 0, on_rewind=rewound,
            batch_size=options.batch_size, epochs=options.epochs, verbose=0,
            validation_data=(run.data.x_test, run.data.y_test),
            blocks=options.blocks, workers=run.workers,
        )  # fmt: skip


def train(asked: Asked) -> int:
    """Train, and return the exit code."""
    first = FirstUpdate(time.perf_counter())
    workers = join_workers(asked.options)
    if is_finished(asked.options, workers):
        return 0
    run = prepare(asked, workers)
    states = TrainingCheckpoint(run.place, run.options.checkpoint_every, run.options.keep)
    stopper = StopOnSignal(states)
    begun = time.perf_counter()
    try:
        history = fit(run, stopper, states, first)
    except Stopped as stop:
        if run.folder is not None:
            run.folder.save(run.model)  # for evaluate.py and predict.py
        how = f"resume with: {run.resume_command}" if stop.saved else "its state could not be saved"
        say(f"{program()}: {stop}; {how}")
        return 128 + stop.signal
    except WorkerError:
        if workers.is_first or stopper.signal_number is None:
            raise
        return 128 + stopper.signal_number  # the first worker heard it too, and has saved
    if run.folder is not None:
        report(run, run.folder, history, time.perf_counter() - begun, first.seconds)
    return 0


def main() -> NoReturn:
    command_line.run(train, parse)
