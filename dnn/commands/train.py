"""Train the lecture's network, 784-500-500-10, on MNIST or a similar data set, on any backend."""

import time
from argparse import Namespace
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from backends import Backend, InputError
from dnn.callbacks import (
    DivergedError,
    StopOnSignal,
    Stopped,
    TerminateOnNaN,
    TrainingCheckpoint,
    progress_for_stdout,
)  # fmt: skip
from dnn.commands import command_line
from dnn.commands.command_line import print_status, program_name
from dnn.commands.model import build_model
from dnn.commands.options import open_backend
from dnn.commands.pictures import is_folder, load_own_dataset
from dnn.commands.presets import PRESETS
from dnn.commands.run import FirstUpdateTimer, Run, report
from dnn.commands.run_folder import RESULT_FILE, RunFolder, read_config
from dnn.commands.train_options import ParsedOptions, apply_preset, merge_options, parse
from dnn.datasets import load_dataset
from dnn.distributed import Workers
from dnn.layers.dense import fastest_on_cpu
from dnn.settings.checks import look_up, natural_number, positive_or_none, require
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.training.state import TrainingState
from dnn.typing import Json


def open_folder(options: Namespace, workers: Workers) -> tuple[RunFolder | None, Json, TrainingState | None]:
    """Return (run folder, configuration, state); the last two are those of a resumed run.

    The folder is None in all workers but the first, and while its name still depends on the backend.
    """
    config: Json = {}
    continued = options.resume is not None
    if continued:
        config = workers.share(lambda: read_config(Path(options.resume)))
    elif workers.restarts:  # a group that torchrun restarted continues in the first group's folder
        continued = workers.share(Path(options.run_dir).is_dir)
    place = options.resume or options.run_dir
    folder = RunFolder(Path(place), resume=continued) if place and workers.is_first else None
    state = workers.share(lambda: folder and folder.latest_state()) if continued else None
    return folder, config, state


def open_own_backend(options: Namespace, workers: Workers) -> Backend:
    """Return the requested backend. With --device cuda, local worker N uses cuda:N."""
    if workers.size > 1 and options.device == "cuda":
        options = Namespace(**{**vars(options), "device": f"cuda:{workers.local_rank}"})
    cpu_first = "numba"
    if options.preset is not None:  # its name may come from a config.json
        cpu_first = fastest_on_cpu(look_up("preset", options.preset, PRESETS).layers((28, 28), 10))
    return open_backend(options, cpu_first=cpu_first)


def prepare(parsed: ParsedOptions, workers: Workers) -> Run:
    """Load the data, build the model and return the run. Bad options fail here, before files are written."""
    folder, config, state = open_folder(parsed.options, workers)
    options = apply_preset(parsed) if parsed.options.resume is None else merge_options(parsed, config)
    backend = open_own_backend(options, workers)
    for name in ("epochs", "batch_size", "keep", "checkpoint_every", "limit"):
        positive_or_none(name, getattr(options, name))
    if is_folder(options.dataset):
        data = load_own_dataset(options)
    else:
        unused = options.size or options.grey or options.skip_unreadable
        require(not unused, "dataset", options.dataset, "--images with --size, --grey or --skip-unreadable")
        data = load_dataset(options.dataset, options.data_dir)
    n = len(data.x_train)
    hold_out = natural_number("hold_out", options.hold_out)
    require(hold_out < n, "hold_out", hold_out, f"fewer than the {n} training images")
    x = data.x_train[: n - hold_out][: options.limit]
    y = data.y_train[: len(x)]
    model = build_model(options, backend, data, len(x))
    if folder is None and workers.is_first:
        folder = RunFolder(Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{backend.name}")
    return Run(options, data, x, y, model, folder, state, workers)


def fit(run: Run, first: FirstUpdateTimer) -> History:
    """Train the run's model.

    Raises Stopped: by a signal. DivergedError: a number is NaN or infinite; the message names the command
    that continues.
    """
    options = run.options
    folder = run.folder
    states = TrainingCheckpoint(run.place, options.checkpoint_every, options.keep)
    stopper = StopOnSignal(states, run.workers)
    callbacks: list[Callback] = [TerminateOnNaN(), stopper, first]
    if folder is not None:
        states.check = folder.prepare
        if run.state is None or options.learning_rate is not None:
            folder.config = run.config()
        callbacks.append(folder)
    if not options.quiet:
        callbacks.append(progress_for_stdout(run.headline, "test"))
    try:
        with stopper.handle_signals():
            return run.model.fit(
                run.x, run.y, callbacks=[*callbacks, states], resume=run.state,
                batch_size=options.batch_size, epochs=options.epochs, verbose=0,
                validation_data=(run.data.x_test, run.data.y_test),
                blocks=options.blocks, workers=run.workers,
            )  # fmt: skip
    except DivergedError as error:
        if options.preset is not None:
            raise
        highest = float(run.model.backend.xp.max(run.model.optimizer_state.rates))
        command = f"{run.resume_command} --learning-rate {highest / 2:.2g}"
        raise DivergedError(f"{error}, as in: {command}") from None


def train(parsed: ParsedOptions) -> int:
    """Train, and return the exit code."""
    first = FirstUpdateTimer(time.perf_counter())
    options = parsed.options
    workers = Workers.from_environment(timeout=options.worker_timeout)
    place = options.resume or options.run_dir
    if (workers.size > 1 or workers.restarts) and not place:
        raise InputError("workers have no --run-dir", "one: restarted workers continue in this folder")
    if workers.restarts and workers.share(Path(place, RESULT_FILE).exists):
        return 0  # torchrun restarted a finished group
    run = prepare(parsed, workers)
    begun = time.perf_counter()
    try:
        history = fit(run, first)
    except Stopped as stop:
        if run.folder is not None:
            lost = "its last updates are not saved (disk, NaN, infinity or a lost worker); "
            if stop.saved:
                lost = ""
                run.folder.save(run.model)  # for evaluate.py and predict.py
            print_status(f"{program_name()}: {stop}; {lost}resume with: {run.resume_command}")
        return 128 + stop.signal
    if run.folder is not None:
        report(run, run.folder, history, time.perf_counter() - begun, first.seconds)
    return 0


def main() -> NoReturn:
    command_line.run(train, parse)
