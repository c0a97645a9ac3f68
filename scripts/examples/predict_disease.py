#!/usr/bin/env python3
"""Disease prediction: malignant or benign breast tumours, compared with logistic regression.

The data are scikit-learn's breast cancer set (Wisconsin, 1995): 569 tumours with 30 measurements of cell
nuclei each. Scores are cross-validated.
"""

from argparse import Namespace

import _example

FOLDS = 10


def parse() -> Namespace:
    return _example.parser(__doc__, epochs=40).parse_args()


def main(arguments: Namespace) -> None:
    import numpy as np

    backend = _example.open_backend(arguments)

    from sklearn.datasets import load_breast_cancer
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, recall_score, roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    data = load_breast_cancer()
    x = data.data
    y = 1 - data.target  # 1: malignant

    def network(x_train, y_train, x_test, seed):
        rows = x_train.astype(backend.dtype_name)
        units = [(16, "tanh"), (2, "softmax")]
        settings = {"rate": 3e-3, "batch": 32, "seed": seed}
        model = _example.train_network(rows, y_train, units, arguments, backend, **settings)
        return model.predict(x_test.astype(backend.dtype_name))[:, 1]

    def classifier(method):
        return lambda x_train, y_train, x_test, _: method.fit(x_train, y_train).predict_proba(x_test)[:, 1]

    def scores(method):
        return lambda seed: np.mean([score(method, *split, seed) for split in splits(seed)], axis=0)

    def splits(seed):
        return StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y)

    def score(method, train, test, seed):
        mean = x[train].mean(0)
        deviation = x[train].std(0)  # of the training part only, so that the test part stays unseen
        scaled = (x - mean) / deviation
        p = method(scaled[train], y[train], scaled[test], seed)
        positive = p > 0.5
        return accuracy_score(y[test], positive), roc_auc_score(y[test], p), recall_score(y[test], positive)

    methods = {
        f"network 30-16-2, {backend.name}": scores(network),
        "logistic regression": scores(classifier(LogisticRegression(max_iter=1000))),
        "always the more frequent class": scores(classifier(DummyClassifier())),
    }
    about = f"{len(y)} tumours, {y.sum()} malignant; {FOLDS} folds, seeds: {arguments.seeds}"
    _example.compare(arguments.seeds, about, ("method", "accuracy", "AUROC", "malignant found"), methods)


if __name__ == "__main__":
    _example.run(main, parse)
