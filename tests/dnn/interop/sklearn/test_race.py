"""Accuracy against MLPClassifier and MLPRegressor with equal settings on scikit-learn's five data sets.

DNN_SKLEARN_RACE=1 runs all solvers with ten seeds and prints the table of docs/guide/scikit-learn.md; without
it a few seeds on two sets are run.
"""

from __future__ import annotations

import os
import time
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

from dnn.interop.sklearn import DNNClassifier, DNNRegressor

DATASETS = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits,
        "diabetes": load_diabetes}  # fmt: skip
SOLVERS = {"adam": {}, "sgd": {"learning_rate_init": 0.01}, "lbfgs": {}}
RUN_LONG = os.environ.get("DNN_SKLEARN_RACE") == "1"
RACES = (
    [(name, solver) for name in DATASETS for solver in SOLVERS]
    if RUN_LONG
    else [("iris", "adam"), ("diabetes", "adam")]
)


def compare_accuracies(name: str, solver: str, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores on a held-out quarter and CPU seconds of fit, each (seeds, 2): ours, scikit-learn's."""
    X, y = DATASETS[name](return_X_y=True)
    pair = (DNNRegressor, MLPRegressor) if name == "diabetes" else (DNNClassifier, MLPClassifier)
    X, y = scale(X), scale(y) if name == "diabetes" else y
    scores, seconds = np.zeros((seeds, 2)), np.zeros((seeds, 2))
    for seed in range(seeds):
        parts = train_test_split(X, y, random_state=seed, stratify=None if name == "diabetes" else y)
        for who in (0, 1) if seed % 2 else (1, 0):
            estimator = pair[who](solver=solver, random_state=seed, **SOLVERS[solver])
            start = time.process_time()
            estimator.fit(parts[0], parts[2])
            seconds[seed, who] = time.process_time() - start
            scores[seed, who] = estimator.score(parts[1], parts[3])
    return scores, seconds


@pytest.mark.parametrize(("name", "solver"), RACES)
def test_not_worse_than_scikit_learns_own(name, solver):
    seeds = 10 if RUN_LONG else 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores, seconds = compare_accuracies(name, solver, seeds)
    better = scores[:, 0] - scores[:, 1]
    error = better.std(ddof=1) / np.sqrt(seeds)
    (ours, theirs), (here, there) = scores.mean(axis=0), np.median(seconds, axis=0)
    print(
        f"| {name} | {solver} | {ours:.4f} | {theirs:.4f} | {better.mean():+.4f} ± {error:.4f} | {here:.2f} "
        f"| {there:.2f} | {here / there:.2f} |"
    )
    assert better.mean() >= -2 * error - 1e-12
