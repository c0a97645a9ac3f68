"""Hand-crafted features, and the data that a model gets from them."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import input_error
from lecture_experiments.features import compute_features, with_features

from dnn.datasets import Dataset, load_dataset

pytest.importorskip("sklearn", reason="it has the principal components")
pytest.importorskip("skimage", reason="scikit-image has the edge directions")
WIDTHS = {"zoning": 49, "pca": 50, "hog": 1296}


@pytest.fixture(scope="module")
def digits_28():
    """Return 600 and 100 digits of 28 x 28 pixels: each pixel of the 8 x 8 digits is repeated 3 x 3 times."""
    data = load_dataset("digits")
    images = np.concatenate([data.x_train[:600], data.x_test[:100]]).reshape(-1, 8, 8)
    x = np.pad(images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2))).reshape(700, -1)
    return Dataset("large", x[:600], data.y_train[:600], x[600:], data.y_test[:100], (28, 28), 10)


@pytest.mark.parametrize("name", WIDTHS)
def test_features_are_standardised_by_the_training_part(digits_28, name):
    made, zeros = with_features(name, digits_28)
    images = digits_28.x_train.reshape(600, 28, 28) / np.float32(255)
    assert zeros == pytest.approx(100 * np.mean(compute_features(name, images, images) == 0))
    assert (made.x_train.shape, made.x_test.shape) == ((600, WIDTHS[name]), (100, WIDTHS[name]))
    assert made.x_train.mean(axis=0) == pytest.approx(0, abs=1e-4)
    assert made.x_train.std(axis=0).max() == pytest.approx(1, abs=1e-3)
    other, _ = with_features(name, replace(digits_28, x_test=digits_28.x_test[:7] // 2))
    np.testing.assert_allclose(other.x_train, made.x_train, atol=1e-5)
    unchanged, zeros = with_features("", digits_28)
    assert unchanged is digits_28
    assert zeros == 100 * np.mean(digits_28.x_train == 0)


def test_zones_are_means(digits_28):
    means = digits_28.x_train.reshape(600, 28, 28)[:, 8:12, 20:24].mean(axis=(1, 2))
    found = with_features("zoning", digits_28)[0].x_train[:, 7 * 2 + 5]
    np.testing.assert_allclose(found, (means - means.mean()) / means.std(), atol=1e-4)


def test_a_missing_library_is_reported(digits_28, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with input_error(r"features cannot be computed .*skimage.*\[apps\]"):
        compute_features("hog", digits_28.x_train, digits_28.x_train)
