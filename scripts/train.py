#!/usr/bin/env python3
"""Train the lecture's network, 784-500-500-10, on MNIST or a set like it, on any backend."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import _command


def parse() -> argparse.Namespace:
    parser = _command.Parser(description=__doc__)
    parser.add_argument("--dataset", default="mnist", help="mnist, fashion_mnist, kmnist or digits")
    parser.add_argument("--data-dir", metavar="DIR", help="default: DNN_DATA_DIR, else ./data")
    network = parser.add_argument_group("network and training")
    network.add_argument("--hidden", type=int, nargs="*", default=[500, 500], metavar="UNITS")
    network.add_argument("--activation", default="relu", help="of the hidden layers")
    network.add_argument("--loss", default="categorical_crossentropy")
    network.add_argument("--optimizer", default="adam", help="sgd, adagrad, rmsprop, adam or adamw")
    network.add_argument("--learning-rate", type=float, help="default: the optimizer's own")
    network.add_argument(
        "--schedule",
        choices=("linear", "constant"),
        default="linear",
        help="the rate falls in a line to 0 over the epochs, or stays (default: %(default)s)",
    )
    network.add_argument("--batch-size", type=int, default=100)
    network.add_argument("--epochs", type=int, default=10)
    network.add_argument("--seed", type=int, default=0)
    network.add_argument("--limit", type=int, metavar="N", help="only the first N training images")
    _command.add_backend_arguments(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--run-dir", metavar="DIR", help="a new folder; default: runs/DATE-BACKEND")
    output.add_argument("--quiet", action="store_true", help="print the last line only")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    from dnn.datasets import load_dataset
    from dnn.inputs import positive_integer, training_data
    from dnn.layers import Dense
    from dnn.model import Sequential
    from dnn.names import look_up
    from dnn.optimizers import OPTIMIZERS
    from dnn.progress import progress_for_stdout
    from dnn.runs import CONFIG, RESULT, RunFolder, require_new
    from dnn.schedules import LinearDecay

    backend = _command.open_backend(arguments)
    optimizer = look_up("optimizer", arguments.optimizer, OPTIMIZERS)()
    rate = optimizer.learning_rate if arguments.learning_rate is None else arguments.learning_rate
    optimizer = replace(optimizer, learning_rate=rate)
    epochs = positive_integer("epochs", arguments.epochs)
    batch_size = positive_integer("batch_size", arguments.batch_size)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    place = Path(arguments.run_dir or f"runs/{stamp}-{backend.name}")
    require_new(place)  # before data is fetched; the folder is made when nothing can be refused any more
    data = load_dataset(arguments.dataset, arguments.data_dir)
    x, y = data.x_train, data.y_train
    if arguments.limit is not None:
        limit = positive_integer("limit", arguments.limit)
        x, y = x[:limit], y[:limit]
    n = len(x)
    updates = epochs * -(-n // batch_size)
    if arguments.schedule == "linear":
        optimizer = replace(optimizer, learning_rate=LinearDecay(rate, updates))
    layers = [Dense(units, arguments.activation) for units in arguments.hidden]
    model = Sequential(
        [*layers, Dense(data.classes, "softmax")],
        input_shape=x.shape[1:],
        backend=backend,
        seed=arguments.seed,
    )
    model.compile(arguments.loss, optimizer)
    x, y = training_data(backend, x, y, batch_size, model.input_shape, model.outputs)
    folder = RunFolder(place)
    asked = {name: value for name, value in vars(arguments).items() if name != "quiet"}
    made = {"model": model.config(), "optimizer": optimizer.config()}
    folder.write_json(CONFIG, {**asked, **made})
    if not arguments.quiet:
        sizes = "-".join(str(n) for n in (*model.input_shape, *(p.units for p in model.layers)))
        print(f"{arguments.dataset}, {n} training examples, {sizes}, {backend.name} on "
              f"{backend.device}, run folder {folder.path}", flush=True)  # fmt: skip
    watchers = [folder] if arguments.quiet else [folder, progress_for_stdout()]
    start = time.perf_counter()
    try:
        history = model.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=(data.x_test, data.y_test),
            callbacks=watchers,
        )
    except KeyboardInterrupt:
        folder.save(model)  # an hour's training is worth a file
        raise
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


if __name__ == "__main__":
    parsed = parse()
    _command.run(lambda: main(parsed))
