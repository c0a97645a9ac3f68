#!/usr/bin/env python3
"""Disease prediction: malignant or benign breast tumours, compared with logistic regression.

The data are scikit-learn's breast cancer set (Wisconsin, 1995): 569 tumours with 30 measurements of cell
nuclei each. Scores are cross-validated.
"""

import sys
from argparse import Namespace

sys.path.append(__file__.removesuffix("predict_disease.py"))  # left out by python -P and -I
import _example

FOLDS = 10
SCORES = ("accuracy", "roc_auc", "recall")


def main(arguments: Namespace) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_validate
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from dnn.interop.sklearn import DNNClassifier

    data = load_breast_cancer()
    y = 1 - data.target  # 1: malignant

    def network(seed):
        settings = {"alpha": 1.0, "batch_size": 32, "learning_rate_init": 1e-2}
        return DNNClassifier((16,), "tanh", **settings, random_state=seed, backend=arguments.backend)

    def scores(method):
        def cross_validated(seed):
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
            model = make_pipeline(StandardScaler(), method(seed))  # scales by the training part of each fold
            found = cross_validate(model, data.data, y, cv=folds, scoring=SCORES, error_score="raise")
            return [found[f"test_{name}"].mean() for name in SCORES]

        return cross_validated

    methods = {
        f"network 30-16-1, {arguments.backend}": scores(network),
        "logistic regression": scores(lambda seed: LogisticRegression(max_iter=1000)),
    }
    about = f"{len(y)} tumours, {y.sum()} malignant; {FOLDS} folds, seeds: {arguments.seeds}"
    _example.compare(arguments.seeds, about, ("method", "accuracy", "AUROC", "malignant found"), methods)


if __name__ == "__main__":
    _example.run(main, __doc__)
