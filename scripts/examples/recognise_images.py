#!/usr/bin/env python3
"""Image recognition: handwritten digits, compared with logistic regression and nearest neighbours."""

import argparse

import _example


def parse() -> argparse.Namespace:
    parser = _example.parser(__doc__, epochs=10)
    _example.add_image_arguments(parser, None, "default: mnist if its files are present, else digits")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    from backends import InputError
    from dnn.datasets import DatasetError, load_dataset

    backend = _example.open_backend(arguments, "limit")
    limit = arguments.limit
    if limit < 50:
        raise InputError(f"limit is {limit}, expected at least 50: some images of each digit")

    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    try:
        data = load_dataset(arguments.dataset or "mnist", arguments.data_dir, download=False)
    except DatasetError:
        if arguments.dataset:
            raise
        _example.say("MNIST is not present (train.py downloads it); using scikit-learn's digits")
        data = load_dataset("digits")
    x = data.x_train[:limit]
    y = data.y_train[:limit]
    n, inputs = x.shape

    def ours(seed):
        units = [(500, "relu"), (500, "relu"), (data.classes, "softmax")]
        model = _example.train_network(x, y, units, arguments, backend, rate=1e-3, batch=100, seed=seed)
        return (model.evaluate(data.x_test, data.y_test).accuracy,)

    def theirs(method):
        return lambda _: (method.fit(x / 255, y).score(data.x_test / 255, data.y_test),)

    baselines = {
        "logistic regression": theirs(LogisticRegression(max_iter=1000)),
        "3 nearest neighbours": theirs(KNeighborsClassifier(3)),
    }
    methods = {f"network {inputs}-500-500-{data.classes}, {backend.name}": ours, **baselines}
    about = f"{data.name}: {n} training images, {len(data.y_test)} test images"
    _example.compare(arguments, about, ("method", "test accuracy"), methods, fixed=baselines)


if __name__ == "__main__":
    _example.run(main, parse)
