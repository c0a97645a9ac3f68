"""Train the lecture's network, 784-500-500-10, on MNIST or a set like it, on any backend."""

import argparse
import shlex
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

from dnn.commands import command_line
from dnn.commands import options as shared
from dnn.commands.building import build, judged, reached, settle
from dnn.commands.resuming import ON_NAN, UNWRITTEN, require_whole, resumed


def make_parser() -> argparse.ArgumentParser:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Ctrl-C, SIGTERM or SIGHUP saves and says how to resume (exit code 128 plus the signal's "
        "number: 130, 143, 129); a second Ctrl-C stops at once. Example: train.py --epochs 5 --seed 1",
    )
    shared.add_data_arguments(parser, names="mnist, fashion_mnist, kmnist or digits (default: %(default)s)")
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
    shared.add_backend_arguments(parser)
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
    """What the command line says."""

    options: argparse.Namespace  # all of them
    defaults: dict[str, Any]  # what they are where nothing is said
    given: set[str]  # names of those that were said


def parse() -> Asked:
    parser = make_parser()
    defaults = vars(parser.parse_args([]))
    unsaid = object()
    options = parser.parse_args(namespace=argparse.Namespace(**dict.fromkeys(defaults, unsaid)))
    given = {name for name, value in vars(options).items() if value is not unsaid}
    merged = {name: getattr(options, name) if name in given else defaults[name] for name in defaults}
    return Asked(argparse.Namespace(**merged), defaults, given)


@dataclass
class Run:
    """One training, ready to begin."""

    options: argparse.Namespace
    data: Any
    x: Any
    y: Any
    model: Any
    folder: Any  # None: another worker has it
    state: Any
    workers: Any

    @property
    def updates(self) -> int:
        return int(self.options.epochs * -(-len(self.x) // self.options.batch_size))

    @property
    def again(self) -> str:
        """The command that continues it."""
        more = ["--data-dir", self.options.data_dir] if self.options.data_dir else []
        return shlex.join([*command_line.called(), "--resume", str(self.folder.path), *more])


def prepare(asked: Asked, workers: Any) -> Run:
    """Everything that can be refused is refused here or by fit's door, before a folder is made."""
    from dnn.callbacks import latest_state
    from dnn.commands.run_folder import RunFolder, free_folder, require_new
    from dnn.datasets import load_dataset
    from dnn.validation.settings import natural_number, positive_integer, require
    from dnn.distributed.tree import require_blocks

    resume = asked.options.resume is not None
    options = asked.options = resumed(asked, workers) if resume else settle(asked)
    require_blocks(options.blocks, workers.size)
    backend = open_backend(options, workers)
    options.epochs = positive_integer("epochs", options.epochs)
    options.batch_size = positive_integer("batch_size", options.batch_size)
    # A group that torchrun started anew goes on in the folder that the first one made.
    resume = resume or bool(workers.restarts and workers.share(Path(options.run_dir).is_dir))
    if options.run_dir and not resume and workers.first:
        require_new(Path(options.run_dir))
    load = partial(load_dataset, options.dataset, options.data_dir)
    data = workers.first_alone(load)  # which downloads what is missing
    limit = positive_integer("limit", options.limit) if options.limit is not None else None
    held = natural_number("hold_out", options.hold_out)
    require(held < len(data.x_train), "hold_out", held, f"fewer than the {len(data.x_train)} training images")
    x, y = (rows[: len(rows) - held][:limit] for rows in (data.x_train, data.y_train))
    model = build(asked, backend, data, len(x))
    place = Path(options.resume or options.run_dir or free_folder(Path("runs"), backend.name))
    folder = RunFolder(place, resume=resume) if workers.first else None
    state = workers.share(lambda: latest_state(place) if resume and folder and not folder.empty else None)
    if state is not None:
        require_whole(state, options.epochs)
    return Run(options, data, x, y, model, folder, state, workers)


def open_backend(options: argparse.Namespace, workers: Any) -> Any:
    """The backend asked for; with --device cuda each worker of a machine has the GPU of its own number."""
    if workers.local_size > 1 and options.device == "cuda":
        options = argparse.Namespace(**{**vars(options), "device": f"cuda:{workers.local_rank}"})
    return shared.open_backend(options)


def join(options: argparse.Namespace) -> Any:
    """The workers that torchrun started. Raises InputError: they have no folder that all can find again."""
    from backends import InputError
    from dnn.distributed import Workers

    workers = Workers.from_environment(mixed=options.mixed, timeout=options.worker_timeout)
    if workers.size > 1 and not (options.run_dir or options.resume):
        raise InputError(
            "workers have no --run-dir, expected one, so that they go on there when torchrun restarts them"
        )
    return workers


def finished(options: argparse.Namespace, workers: Any) -> bool:
    """Whether a group that torchrun started anew has nothing left to do."""
    from dnn.commands.run_folder import RESULT

    place = Path(options.resume or options.run_dir or ".")
    return bool(workers.restarts and workers.share((place / RESULT).exists))


def fit(run: Run, stopper: Any, states: Any, first: Any) -> Any:
    """The history of the training, rewound where it diverges and --on-nan says so."""
    from dnn.callbacks import progress_for_stdout
    from dnn.commands.rewinding import MOST, fit_rewinding
    from dnn.commands.run_folder import CONFIG

    options, folder, model = run.options, run.folder, run.model

    def configure(halvings: int) -> None:
        kept = {name: value for name, value in vars(options).items() if name not in UNWRITTEN}
        made = {"model": model.config(), "optimizer_settings": model.optimizer.config()}
        folder.config = {**kept, "rate_factor": 0.5**halvings, **made}

    def rewound(error: Exception, state: Any, halvings: int) -> None:
        if folder is None:
            return
        configure(halvings)
        folder.write_json(CONFIG, folder.config)
        where = "the start" if state is None else f"epoch {state.epoch}, update {state.updates}"
        how = f"going back to {where} with {0.5**halvings:g} of the rate"
        command_line.say(f"{command_line.program()}: {error}; {how}")

    watchers = []
    if folder is not None:
        if run.state is None:
            configure(0)
        shown = [] if options.quiet else [progress_for_stdout(headline(run))]
        watchers += [folder, stopper, first, *shown]
    with stopper.listening():
        return fit_rewinding(
            model, run.x, run.y, states=states, callbacks=watchers, resume=run.state,
            most=MOST if options.on_nan == "rewind" else 0, on_rewind=rewound,
            batch_size=options.batch_size, epochs=options.epochs, verbose=0,
            validation_data=(run.data.x_test, run.data.y_test),
            blocks=options.blocks, workers=run.workers,
        )  # fmt: skip


def first_update(begun: float) -> Any:
    """A callback whose ``seconds`` are those from then to the end of the first update."""
    from dnn.training.callback import Callback, Progress

    class FirstUpdate(Callback):
        every: int | None = 1
        seconds: float | None = None

        def on_progress(self, progress: Progress) -> None:
            progress.read()  # waits for the device
            self.every, self.seconds = None, time.perf_counter() - begun

    return FirstUpdate()


def train(asked: Asked) -> int:
    from dnn.callbacks import StopOnSignal, Stopped, TrainingCheckpoint
    from dnn.distributed import WorkerError

    first = first_update(time.perf_counter())
    workers = join(asked.options)
    if finished(asked.options, workers):
        return 0
    run = prepare(asked, workers)
    place = Path(run.options.resume or run.options.run_dir or run.folder.path)
    states = TrainingCheckpoint(place, run.options.checkpoint_every, run.options.keep)
    stopper, start = StopOnSignal(states), time.perf_counter()
    try:
        history = fit(run, stopper, states, first)
    except Stopped as stop:
        run.folder.save(run.model)  # for evaluate.py and predict.py
        how = f"resume with: {run.again}" if stop.saved else "its state could not be saved"
        command_line.say(f"{command_line.program()}: {stop}; {how}")
        return 128 + stop.signal
    except WorkerError:
        if workers.first or stopper.asked is None:
            raise
        return 128 + stopper.asked  # the first worker heard it too, and has saved
    if workers.first:
        report(run, history, time.perf_counter() - start, first.seconds)
    return 0


def headline(run: Run) -> str:
    """What is trained, on what, and where it is written."""
    model, state = run.model, run.state
    trained = [layer.output_shape for layer in model.layers if "W" in layer.parameter_shapes()]
    sizes = "-".join("x".join(map(str, shape)) for shape in (model.input_shape, *trained))
    where = f"epoch {state.epoch}, update {state.updates}" if state else "the start"
    begun = f", from {where}" if run.options.resume else ""
    return (f"{run.options.dataset}, {len(run.x)} training examples, {sizes}, {model.backend.name} on "
            f"{model.backend.device}, run folder {run.folder.path}{begun}")  # fmt: skip


def report(run: Run, history: Any, seconds: float, first: float) -> None:
    """Write the weights, the curves and, last, the result, which says that the run is whole; print it."""
    from dnn.commands.run_folder import RESULT
    from dnn.io.notices import say

    backend, numbers = run.model.backend, history.history
    with backend.in_threads(1) if run.options.blocks > 1 else nullcontext():
        described = backend.describe()
    loss, accuracy = numbers["val_loss"][-1], numbers["val_accuracy"][-1]
    sure = judged(run.model, run.data, run.options.hold_out)
    run.folder.save(run.model)
    run.folder.draw(history, f"{run.options.dataset}, {backend.name}, test accuracy {accuracy:.4f}")
    run.folder.write_json(RESULT, {
        "backend_asked": run.options.backend, "backend_used": backend.name, "device": str(backend.device),
        "describe": described, "updates": run.updates, "seconds": seconds, "test_loss": loss,
        "seconds_in_sums": run.workers.seconds,  # over workers
        "seconds_to_first_update": first,  # from the start, with all that is loaded and compiled
        # The median epoch's: the first one may also compile.
        "ms_per_update": 1e3 * median(numbers["seconds"]) * run.options.epochs / run.updates,
        "test_accuracy": accuracy, **sure,
    })  # fmt: skip
    if not run.options.quiet:
        for line in reached(run.options.preset, numbers["seconds"], numbers["val_accuracy"]):
            say(line)
    say(f"test accuracy {accuracy:.4f}  test loss {loss:.4f}  {run.updates} updates  "
        f"{seconds:.1f} s  {backend.name}")  # fmt: skip


def main() -> NoReturn:
    command_line.run(train, parse)
