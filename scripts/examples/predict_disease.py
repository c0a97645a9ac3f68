#!/usr/bin/env python3
"""Disease prediction: breast tumours, malignant or benign, cross-validated, beside logistic regression.

Scikit-learn's breast cancer set (Wisconsin, 1995): 569 tumours, 30 measurements of cell nuclei each.
"""

import argparse

import _example


def parse() -> argparse.Namespace:
    parser = _example.parser(__doc__, epochs=40)
    parser.add_argument("--folds", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="other splits (default: %(default)s)")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    import numpy as np

    from backends import InputError

    backend = _example.open_backend(arguments, "folds", "repeats")
    folds, repeats = arguments.folds, arguments.repeats
    if not 2 <= folds <= 200:
        raise InputError(f"folds is {folds}, expected 2 to 200")

    from sklearn.datasets import load_breast_cancer
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, recall_score, roc_auc_score
    from sklearn.model_selection import RepeatedStratifiedKFold

    data = load_breast_cancer()
    x, y = data.data, 1 - data.target  # 1: malignant

    def network(x_train, y_train, x_test):
        rows, units = x_train.astype(backend.dtype_name), [(16, "tanh"), (2, "softmax")]
        model = _example.trained(rows, y_train, units, arguments, backend, rate=3e-3, batch=32)
        return model.predict(x_test.astype(backend.dtype_name))[:, 1]

    def classifier(method):
        return lambda x_train, y_train, x_test: method.fit(x_train, y_train).predict_proba(x_test)[:, 1]

    methods = {
        f"network 30-16-2, {backend.name}": network,
        "logistic regression": classifier(LogisticRegression(max_iter=1000)),
        "always the commoner class": classifier(DummyClassifier()),
    }
    scores = {name: [] for name in methods}
    splits = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=arguments.seed)
    for train, test in splits.split(x, y):
        mean, deviation = x[train].mean(0), x[train].std(0)  # of the training part alone
        scaled = (x - mean) / deviation
        for name, method in methods.items():
            p = method(scaled[train], y[train], scaled[test])
            called = p > 0.5
            scores[name].append(
                (accuracy_score(y[test], called), roc_auc_score(y[test], p), recall_score(y[test], called))
            )
    rows = []
    for name, values in scores.items():
        array = np.asarray(values).reshape(repeats, folds, 3).mean(1)  # (repeats, scores)
        cells = [f"{m:.4f} +- {d:.4f}" for m, d in zip(array.mean(0), array.std(0), strict=True)]
        rows.append((name, *cells))
    about = f"{len(y)} tumours, {y.sum()} of them malignant; {repeats} times {folds} folds"
    headings = ("mean and spread over the repeats", "accuracy", "AUROC", "malignant found")
    _example.report(about, headings, rows)


if __name__ == "__main__":
    _example.run(main, parse())
