"""All of scikit-learn's estimator checks, without expected failures.

Checks for CUDA, MPS, XPU and dpnp run if these are available.
"""

import pytest
from sklearn.utils.estimator_checks import check_array_api_input_and_values, estimator_checks_generator

from backends import BackendUnavailable, get_backend
from dnn.interop.sklearn import DNNClassifier, DNNRegressor

QUICK_SETTINGS = {"hidden_layer_sizes": 16, "learning_rate_init": 0.02, "max_iter": 40}
TWO_EPOCH_SETTINGS = {"hidden_layer_sizes": 4, "max_iter": 2}
CONVERGING_SETTINGS = {"hidden_layer_sizes": 8, "max_iter": 60, "learning_rate_init": 0.1}
"""Settings with accuracy 1. scikit-learn rounds the score of tensors to float32, so others would differ."""
ESTIMATORS = [DNNClassifier, DNNRegressor]
CHECKS = [pair for made in ESTIMATORS for pair in estimator_checks_generator(made(**QUICK_SETTINGS))]


def name_of(value):
    """Return the test id of a check or an estimator."""
    if not hasattr(value, "func"):
        return type(value).__name__
    return "-".join([value.func.__name__, *(str(setting) for setting in value.keywords.values())])


def skip_without_a_gpu(settings):
    """Skip the check with these settings if it needs a GPU that cannot be used.

    scikit-learn asks only whether CuPy, or a CUDA build of torch, is installed.
    """
    needed = {"cupy": ("cupy",), "cuda": ("torch", "cuda")}
    try:
        for word, backend in needed.items():
            if word in settings:
                get_backend(*backend)
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def scipy_array_api(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix:UserWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=name_of)
def test_each_check_of_scikit_learn(estimator, check):
    if "array_api" in check.func.__name__:  # these checks test array types, not accuracy
        estimator = type(estimator)(**TWO_EPOCH_SETTINGS)
        skip_without_a_gpu(name_of(check))
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("made", ESTIMATORS)
@pytest.mark.parametrize(
    ("library", "device"), [("numpy", None), ("torch", "cpu"), ("array_api_strict", "device1")]
)
def test_array_libraries_give_equal_results(made, library, device, weighted):
    """The check of values across array libraries, which check_estimator leaves out."""
    estimator = made(**CONVERGING_SETTINGS)
    check_array_api_input_and_values("", estimator, library, device, check_sample_weight=weighted)
