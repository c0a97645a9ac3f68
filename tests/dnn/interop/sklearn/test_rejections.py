"""Bad settings and calls of the estimators are rejected, and gradients of tensors are ignored."""

import numpy as np
import pytest
from helpers import input_error
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.neural_network import MLPClassifier

from dnn import Dense
from dnn.interop.sklearn import DNNClassifier, DNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(40, 5))
CLASSES = np.arange(40) % 3
LABELS = (X[:, :3] > 0).astype(np.int64)
OF_SKLEARN = DNNClassifier().get_params().keys() & MLPClassifier._parameter_constraints.keys()
BAD_SETTINGS = [
    *(({name: -2.5}, f"'{name}' parameter .* Got -2.5") for name in sorted(OF_SKLEARN)),
    ({"activation": "rleu"}, "activation is 'rleu'"),
    ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes is 0"),
    ({"early_stopping": True, "validation_fraction": 0.01}, "leaves two examples or more in each part"),
    ({"layers": [Dense(4, "softmax")]}, "layers end with 4 outputs and the activation 'softmax', expected 3"),
    ({"backend": "nunpy"}, "nunpy"),
    ({"class_weight": {"a": -1}}, "class"),
    ({"learning_rate_init": 1e300, "solver": "sgd"}, "not finite"),
    ({"layers": "dense"}, "layers"),
    ({"early_stopping": True, "validation_fraction": 0.97}, "leaves two examples or more in each part"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS)
def test_fit_rejects_bad_settings(settings, message):
    model = DNNClassifier(**settings)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        model.fit(X, CLASSES)


def test_rejects_bad_calls():
    with pytest.raises(ValueError, match="Negative values"):
        DNNClassifier().fit(X, CLASSES, -np.ones(40))
    with pytest.raises(ValueError, match="class_weight is 'balanced', expected a dict"):
        DNNClassifier(class_weight="balanced").partial_fit(X, CLASSES, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="early_stopping is True, expected False for partial_fit"):
        DNNClassifier(early_stopping=True).partial_fit(X, CLASSES, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes is None"):
        DNNClassifier().partial_fit(X, CLASSES)
    with pytest.raises(ValueError, match="class_weight is given for multilabel targets"):
        DNNClassifier(class_weight="balanced").fit(X, LABELS)
    with pytest.raises(ValueError, match="labels that are not in classes_"):
        DNNClassifier().partial_fit(X, CLASSES, classes=[])
    with pytest.raises(ValueError, match="leaves two examples or more in each part"):
        DNNRegressor(early_stopping=True).fit(X[:9], X[:9, 0])
    with pytest.raises(ValueError, match="y should be a 1d array"):
        DNNClassifier().partial_fit(X, np.stack([CLASSES, CLASSES], axis=1), classes=[0, 1, 2])
    assert not hasattr(DNNRegressor(solver="lbfgs"), "partial_fit")
    with pytest.warns(DataConversionWarning):
        DNNClassifier(max_iter=1).fit(X, CLASSES[:, None])
    with pytest.warns(ConvergenceWarning, match="max_iter = 1"):
        DNNClassifier(max_iter=1).fit(X, CLASSES)


@pytest.mark.parametrize("estimator", [DNNClassifier, DNNRegressor])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_gradients_of_tensors_are_ignored_and_nested_tensors_rejected(estimator):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).random((20, 4), dtype=np.float32)
    y = np.arange(20, dtype=np.float32) % 3
    settings = {"max_iter": 2, "random_state": 0, "tol": 0.0}
    tensor = torch.tensor(x, requires_grad=True)
    one = estimator(**settings).fit(x, y)
    other = estimator(**settings).fit(tensor, y)
    assert other.score(tensor, y) == pytest.approx(one.score(x, y), rel=1e-5)
    nested = torch.nested.nested_tensor([torch.ones(3), torch.ones(4)])
    for call in (lambda: other.predict(nested), lambda: estimator().fit(nested, y)):
        with input_error("X is a nested tensor, expected a dense array"):
            call()
