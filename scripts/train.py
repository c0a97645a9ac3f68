#!/usr/bin/env python3
"""Train the lecture's network, 784-500-500-10, on MNIST or a set like it, on any backend."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import _command

# What may be said anew when a run is gone on with; all else is the run's.
ANEW = {"backend", "device", "require_backend", "precision", "graphs", "data_dir", "quiet", "resume",
        "checkpoint_every", "keep", "on_nan"}  # fmt: skip
NOT_KEPT = {"quiet", "resume", "given", "fits"}  # in config.json


def kinds_of(parser: argparse.ArgumentParser) -> Callable[[str, Any], bool]:
    """Whether a value of config.json is one that the parser would give for a name."""
    actions = {action.dest: action for action in parser._actions}
    optional = {name for name, action in actions.items() if action.default is None}

    def fits(name: str, value: Any) -> bool:
        if name == "rate_factor":
            return type(value) is float and 0.0 < value <= 1.0
        if value is None:
            return name in optional
        action = actions[name]
        kind = bool if action.nargs == 0 else action.type or str
        if action.nargs == "*":
            return isinstance(value, list) and all(type(v) is kind for v in value)
        if kind is float and type(value) is int:
            return True
        return type(value) is kind and (action.choices is None or value in action.choices)

    return fits


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="Ctrl-C or SIGTERM saves and says how to go on (exit code 130 or 143); a second Ctrl-C stops "
        "at once.",
    )
    parser.add_argument("--dataset", default="mnist", help="mnist, fashion_mnist, kmnist or digits")
    parser.add_argument("--data-dir", metavar="DIR", help="default: DNN_DATA_DIR, else ./data")
    network = parser.add_argument_group("network and training")
    network.add_argument(
        "--preset",
        metavar="NAME",
        help="lecture, best, augmented or cnn: network, optimizer and schedule of a recipe",
    )
    network.add_argument("--hidden", type=int, nargs="*", default=[500, 500], metavar="UNITS")
    network.add_argument("--activation", default="relu", help="of the hidden layers")
    network.add_argument("--loss", default="categorical_crossentropy")
    network.add_argument("--optimizer", default="adam", help="sgd, adagrad, rmsprop, adam or adamw")
    network.add_argument("--learning-rate", type=float, help="default: the optimizer's own")
    network.add_argument(
        "--schedule",
        default="linear",
        metavar="NAME",
        help="of the rate over all updates: constant, step, linear (to 0), cosine or one_cycle "
        "(default: %(default)s)",
    )
    network.add_argument(
        "--warmup", type=int, default=0, metavar="N", help="updates in which the rate rises (default: 0)"
    )
    network.add_argument("--batch-size", type=int, default=100)
    network.add_argument("--epochs", type=int, default=10)
    network.add_argument("--seed", type=int, default=0)
    network.add_argument("--limit", type=int, metavar="N", help="only the first N training images")
    _command.add_backend_arguments(parser)
    saving = parser.add_argument_group("saving and going on")
    saving.add_argument("--run-dir", metavar="DIR", help="a new folder; default: runs/DATE-BACKEND")
    saving.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with this run folder, by its own options; those of the backend, --data-dir and those of "
        "this group may be given anew",
    )
    saving.add_argument(
        "--checkpoint-every", type=int, metavar="N", help="save each N updates too (default: each epoch)"
    )
    saving.add_argument("--keep", type=int, default=3, help="saved states kept besides the best (default: 3)")
    saving.add_argument(
        "--on-nan",
        choices=("stop", "rewind"),
        default="stop",
        help="if the loss is NaN or infinite: end, or go back to the last good state with half the rate, "
        "five times at most (default: %(default)s)",
    )
    saving.add_argument("--quiet", action="store_true", help="print the last line only")
    arguments = parser.parse_args()
    arguments.fits = kinds_of(parser)
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    arguments.given = set(vars(parser.parse_args()))  # what was really said
    arguments.rate_factor = 1.0  # what --on-nan rewind has made of the rate
    return arguments


def resumed(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments of the run that is gone on with, under this command's own."""
    from backends import InputError
    from dnn.run_folder import RESULT, read_config

    place = Path(arguments.resume)
    config = read_config(place)
    if (place / RESULT).exists():
        raise InputError(f"run {place} is finished, there is nothing to resume; train anew with --run-dir")
    if wrong := sorted(arguments.given - ANEW):
        option = f"--{wrong[0].replace('_', '-')}"
        raise InputError(
            f"{option} was given with --resume, expected only options of the backend and of saving"
        )
    merged = dict(vars(arguments))
    for name in sorted(merged.keys() - arguments.given - NOT_KEPT):
        if name not in config or not arguments.fits(name, config[name]):
            raise InputError(
                f"{place}/config.json has no fitting {name!r}, expected what train.py writes there"
            )
        merged[name] = config[name]
    merged["run_dir"] = str(place)
    return argparse.Namespace(**merged)


def require_whole(state: Any, epochs: int) -> None:
    """Refuse a saved state that is past this training's end, or whose history is not from its start."""
    from backends import InputError

    names = ("loss", "accuracy", "seconds", "val_loss", "val_accuracy")
    lengths = {len(state.history.get(name, ())) for name in names}
    if state.epoch > epochs + 1 or lengths != {state.epoch - 1}:
        raise InputError(
            f"the saved state is in epoch {state.epoch} after {sorted(lengths)} epochs of history, expected "
            f"one of a training of {epochs} epochs; train anew with --run-dir"
        )


def build(arguments: argparse.Namespace, backend: Any, data: Any, examples: int) -> Any:
    """The compiled model that the arguments describe."""
    from backends import InputError
    from dnn.layers import Dense
    from dnn.losses import get_loss
    from dnn.optimizers import OPTIMIZERS
    from dnn.optimizers.schedules import over_training, scaled
    from dnn.presets import PRESETS
    from dnn.sequential import Sequential
    from dnn.validation.settings import look_up, require_number

    updates = arguments.epochs * -(-examples // arguments.batch_size)
    if arguments.preset is not None:
        preset = look_up("preset", arguments.preset, PRESETS)
        own = {"hidden", "activation", "loss", "optimizer", "learning_rate", "schedule", "warmup"}
        if wrong := sorted(arguments.given & own):
            raise InputError(
                f"--{wrong[0].replace('_', '-')} was given with --preset, which sets it; leave out one"
            )
        layers, optimizer = preset.layers(data.image_shape, data.classes), preset.optimizer(updates)
        loss = preset.loss
    else:
        optimizer = look_up("optimizer", arguments.optimizer, OPTIMIZERS)()
        rate = optimizer.learning_rate if arguments.learning_rate is None else arguments.learning_rate
        require_number("learning_rate", rate, 0.0)
        schedule = over_training(arguments.schedule, rate, updates, arguments.warmup)
        optimizer = replace(optimizer, learning_rate=schedule)
        hidden = [Dense(units, arguments.activation) for units in arguments.hidden]
        loss = get_loss(arguments.loss)
        layers = [*hidden, Dense(data.classes, loss.ending)]
    optimizer = replace(optimizer, learning_rate=scaled(optimizer.learning_rate, arguments.rate_factor))
    model = Sequential(
        layers,
        input_shape=data.x_train.shape[1:],
        backend=backend,
        seed=arguments.seed,
    )
    model.compile(loss, optimizer)
    return model


def main(arguments: argparse.Namespace) -> int:
    from dnn.callbacks.progress_bar import progress_for_stdout
    from dnn.callbacks.stop_on_signal import StopOnSignal, Stopped
    from dnn.callbacks.terminate_on_nan import DivergedError, TerminateOnNaN
    from dnn.callbacks.training_checkpoint import TrainingCheckpoint, last_finite_state, latest_state
    from dnn.datasets import load_dataset
    from dnn.run_folder import CONFIG, RESULT, RunFolder, require_new
    from dnn.validation.settings import positive_integer

    if arguments.resume is not None:
        arguments = resumed(arguments)
    backend = _command.open_backend(arguments)
    epochs = positive_integer("epochs", arguments.epochs)
    batch_size = positive_integer("batch_size", arguments.batch_size)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    place = Path(arguments.run_dir or f"runs/{stamp}-{backend.name}")
    if arguments.resume is None:
        require_new(place)  # before data is fetched; the folder is made when nothing can be refused any more
    data = load_dataset(arguments.dataset, arguments.data_dir)
    x, y = data.x_train, data.y_train
    if arguments.limit is not None:
        limit = positive_integer("limit", arguments.limit)
        x, y = x[:limit], y[:limit]
    n = len(x)
    updates = epochs * -(-n // batch_size)
    model = build(arguments, backend, data, n)
    model.door.admit_training(x, y, batch_size=batch_size)
    state = None
    if arguments.resume is not None:
        state = latest_state(place)
        require_whole(state, epochs)
    folder = RunFolder(place, resume=arguments.resume is not None)
    checkpoints = TrainingCheckpoint(folder.path, arguments.checkpoint_every, arguments.keep)
    stopper = StopOnSignal(checkpoints)

    def write_config(model: Any) -> None:
        asked = {k: v for k, v in vars(arguments).items() if k not in NOT_KEPT}
        made = {"model": model.config(), "optimizer_settings": model.optimizer.config()}
        folder.write_json(CONFIG, {**asked, **made})

    if state is None:
        write_config(model)
    if not arguments.quiet:
        trained = [layer.output_shape for layer in model.layers if layer.parameter_shapes()]
        sizes = "-".join("x".join(map(str, shape)) for shape in (model.input_shape, *trained))
        where = "" if state is None else f", from epoch {state.epoch}, update {state.updates}"
        print(f"{arguments.dataset}, {n} training examples, {sizes}, {backend.name} on "
              f"{backend.device}, run folder {folder.path}{where}", flush=True)  # fmt: skip
    watchers = [folder, TerminateOnNaN(), checkpoints, stopper]
    if not arguments.quiet:
        watchers.append(progress_for_stdout())
    start = time.perf_counter()
    try:
        with stopper.listening():
            while True:
                try:
                    history = model.fit(
                        x,
                        y,
                        batch_size=batch_size,
                        epochs=epochs,
                        validation_data=(data.x_test, data.y_test),
                        callbacks=watchers,
                        resume=state,
                    )
                    break
                except DivergedError as error:
                    if arguments.on_nan != "rewind" or arguments.rate_factor < 0.5**4:
                        raise
                    arguments.rate_factor /= 2
                    model = build(arguments, backend, data, n)
                    state = last_finite_state(folder.path)
                    where = "the start"
                    if state is not None:
                        where = f"epoch {state.epoch}, update {state.updates}"
                        state.facts["optimizer"] = model.optimizer.config()  # on purpose another one
                    write_config(model)
                    how = f"going back to {where} with {arguments.rate_factor:g} of the rate"
                    print(f"train.py: {error}; {how}", file=sys.stderr, flush=True)
    except Stopped as stop:
        folder.save(model)  # for evaluate.py and predict.py
        how = f"go on with: {Path(sys.argv[0])} --resume {folder.path}"
        print(f"train.py: {stop}; {how if stop.saved else 'its state could not be saved'}", file=sys.stderr)
        return 128 + stop.signal
    total = time.perf_counter() - start
    training = sum(history.history["seconds"])
    loss, accuracy = history.history["val_loss"][-1], history.history["val_accuracy"][-1]
    folder.save(model)
    folder.write_json(
        RESULT,
        {
            "backend_asked": arguments.backend,
            "backend_used": backend.name,
            "device": str(backend.device),
            "describe": backend.describe(),
            "updates": updates,
            "seconds": total,
            "ms_per_update": 1e3 * training / updates,
            "test_loss": loss,
            "test_accuracy": accuracy,
        },
    )
    folder.draw(history, f"{arguments.dataset}, {backend.name}, test accuracy {accuracy:.4f}")
    print(
        f"test accuracy {accuracy:.4f}  test loss {loss:.4f}  {updates} updates  "
        f"{total:.1f} s  {backend.name}"
    )
    return 0


if __name__ == "__main__":
    parsed = parse()
    _command.run(lambda: main(parsed))
