"""scikit-learn's own checks of estimators: all of them, none expected to fail.

Those for CUDA, MPS, XPU and dpnp run where these are.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_array_api_input_and_values, estimator_checks_generator

from backends import BackendUnavailable, get_backend
from dnn.interop.sklearn import DNNClassifier, DNNRegressor

QUICK_SETTINGS = {"hidden_layer_sizes": 16, "learning_rate_init": 0.02, "max_iter": 40}
TWO_EPOCH_SETTINGS = {"hidden_layer_sizes": 4, "max_iter": 2}
CONVERGING_SETTINGS = {"hidden_layer_sizes": 8, "max_iter": 60, "learning_rate_init": 0.1}
"""Then the accuracy is 1. scikit-learn rounds that of tensors to float32, others would differ."""
ESTIMATORS = [DNNClassifier, DNNRegressor]
CHECKS = [pair for made in ESTIMATORS for pair in estimator_checks_generator(made(**QUICK_SETTINGS))]


def name_of(value: object) -> str:
    """Of a check with its settings, or of an estimator."""
    if not hasattr(value, "func"):
        return type(value).__name__
    return "-".join([value.func.__name__, *(str(setting) for setting in value.keywords.values())])


def skip_without_a_gpu() -> None:
    try:
        get_backend("cupy")
    except BackendUnavailable as error:  # scikit-learn asks only whether it is installed
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def scipy_array_api(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix:UserWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=name_of)
def test_each_check_of_scikit_learn(estimator, check):
    if "array_api" in check.func.__name__:  # these look at kinds of arrays, not at what is learnt
        estimator = type(estimator)(**TWO_EPOCH_SETTINGS)
        if check.keywords.get("array_namespace") == "cupy":
            skip_without_a_gpu()
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("made", ESTIMATORS)
@pytest.mark.parametrize(
    ("library", "device"), [("numpy", None), ("torch", "cpu"), ("array_api_strict", "device1")]
)
def test_array_libraries_give_equal_results(made, library, device, weighted):
    """The fourth check of arrays, that of values, which check_estimator leaves out."""
    estimator = made(**CONVERGING_SETTINGS)
    check_array_api_input_and_values("", estimator, library, device, check_sample_weight=weighted)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_checks_detect_results_in_another_library():
    class Wrong(DNNClassifier):
        def predict(self, X):
            return np.asarray(super().predict(X))

    with pytest.raises(AssertionError, match="wrong namespace"):
        check_array_api_input_and_values("", Wrong(**TWO_EPOCH_SETTINGS), "torch", "cpu")
