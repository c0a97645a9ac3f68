"""Tensors stay in their library through pipelines and grid searches, without copies to the host."""

import sys
from contextlib import contextmanager

import numpy as np
import pytest
import sklearn
import torch
from sklearn.datasets import load_diabetes, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._array_api import move_estimator_to

from dnn.interop.sklearn import DNNClassifier, DNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N_EXAMPLES = 16
"""Largest number of elements that may be copied to the host at once: epoch sums, class counts, scores."""


@pytest.fixture(autouse=True)
def dispatching(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with sklearn.config_context(array_api_dispatch=True):
        yield


@contextmanager
def no_copies(monkeypatch):
    """Raise AssertionError if more than N_EXAMPLES elements of a tensor are copied to the host."""

    def guard_method(name):
        original = getattr(torch.Tensor, name)

        def call(self, *arguments, **options):
            # On a CPU torch's kernel of random numbers is NumPy's, in the same memory.
            allowed = self.numel() <= N_EXAMPLES or sys._getframe(1).f_code.co_name == "threefry"
            assert allowed, f"{tuple(self.shape)} numbers were copied to the host by {name}"
            return original(self, *arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for name in ("__array__", "__dlpack__", "numpy", "cpu", "tolist"):
            patched.setattr(torch.Tensor, name, guard_method(name))
        yield


def tensors(load):
    X, y = load(return_X_y=True)
    return torch.asarray(X), torch.asarray(y)


CASES = [
    (DNNClassifier, load_wine, {}),
    (DNNClassifier, load_wine, {"class_weight": "balanced"}),
    (DNNRegressor, load_diabetes, {"early_stopping": True}),
]


@pytest.mark.parametrize(("made", "load", "settings"), CASES)
def test_a_pipeline_copies_nothing(made, load, settings, monkeypatch):
    X, y = tensors(load)
    pipeline = make_pipeline(StandardScaler(), made(8, max_iter=2, random_state=0, **settings))
    with no_copies(monkeypatch):
        found = pipeline.fit(X, y, **{f"{made.__name__.lower()}__sample_weight": torch.ones(len(y))}).predict(
            X
        )
        assert isinstance(pipeline.score(X, y), float)
    assert isinstance(found, torch.Tensor)
    assert found.shape == y.shape
    if made is DNNClassifier:
        assert isinstance(pipeline[-1].classes_, torch.Tensor)
        assert found.dtype == y.dtype


def test_text_and_bool_labels():
    X, y = tensors(load_wine)
    names = np.asarray(["red", "rose", "white"])[y.numpy()]
    found = DNNClassifier(8, max_iter=2).fit(X, names)
    assert set(found.predict(X)) <= set(names)
    assert isinstance(found.predict_proba(X), torch.Tensor)
    yes = DNNClassifier(8, max_iter=2).fit(X, y == 1).predict(X)
    assert yes.dtype == torch.bool


def test_multilabel_and_multioutput():
    X, y = tensors(load_wine)
    labels = torch.stack([y == 1, y == 2], dim=1).to(torch.int64)
    found = DNNClassifier(8, max_iter=2).fit(X, labels).predict(X)
    assert found.dtype == torch.int64
    assert found.shape == labels.shape
    values = DNNRegressor(8, max_iter=2).fit(X, labels.to(torch.float64)).predict(X)
    assert isinstance(values, torch.Tensor)
    assert values.shape == labels.shape


def test_move_estimator_to():
    X, y = tensors(load_wine)
    fitted = DNNClassifier(8, max_iter=5, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="must use the same namespace"):
        fitted.predict(X.numpy())
    moved = move_estimator_to(fitted, np, "cpu")
    assert isinstance(moved.classes_, np.ndarray)
    np.testing.assert_allclose(moved.predict_proba(X.numpy()), fitted.predict_proba(X).numpy(), rtol=1e-9)
    assert isinstance(fitted.predict(X), torch.Tensor)


def test_named_backend_with_another_array_library():
    X, y = load_wine(return_X_y=True)
    fitted = DNNClassifier(8, max_iter=2, backend="torch", dtype="float32").fit(X, y)
    assert isinstance(fitted.model_.parameters.vector, torch.Tensor)
    assert fitted.model_.backend.dtype_name == "float32"
    assert isinstance(fitted.predict(X), np.ndarray)
    assert isinstance(fitted.predict_proba(X), np.ndarray)
    other = DNNClassifier(8, max_iter=2, backend="numpy").fit(torch.asarray(X), torch.asarray(y))
    assert isinstance(other.predict_proba(torch.asarray(X)), torch.Tensor)
