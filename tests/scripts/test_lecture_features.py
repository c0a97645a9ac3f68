"""Features made by hand: what they are, against programs that nobody here wrote."""

import numpy as np
import pytest
from lecture_experiments.experiments import EXPERIMENTS
from lecture_experiments.features import FEATURES, sparsity_grid, with_features

from dnn.datasets import Dataset, load_dataset


@pytest.fixture(scope="module")
def large():
    """600 and 100 digits of 28 x 28 pixels, each pixel of the small ones three times three."""
    data = load_dataset("digits")

    def grown(x):
        return np.pad(x.reshape(-1, 8, 8).repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))

    x_train, x_test = (grown(x).reshape(len(x), -1) for x in (data.x_train[:600], data.x_test[:100]))
    return Dataset("large", x_train, data.y_train[:600], x_test, data.y_test[:100], (28, 28), 10)


def images(data):
    return data.x_train.reshape(-1, 28, 28) / np.float32(255)


def test_means_of_zones(large):
    x = images(large)
    found = FEATURES["zoning"](x, x)
    assert found.shape == (600, 49)
    assert found[7, 7 * 2 + 5] == pytest.approx(x[7, 8:12, 20:24].mean(), rel=1e-5)


def test_principal_components_are_scikit_learns(large):
    decomposition = pytest.importorskip("sklearn.decomposition", reason="scikit-learn is the oracle")
    x, rest = images(large)[:400], images(large)[400:]
    model = decomposition.PCA(10, svd_solver="full").fit(x.reshape(400, -1))
    found, wanted = FEATURES["pca"](rest, x)[:, :10], model.transform(rest.reshape(200, -1))
    assert FEATURES["pca"](rest, x).shape == (200, 50)
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-3)  # each axis may point either way


def test_histograms_of_gradients_are_scikit_images(large):
    """But for edges whose direction lies on the border of two bins, where rounding decides."""
    feature = pytest.importorskip("skimage.feature", reason="scikit-image is the oracle")
    rng = np.random.default_rng(0)
    x = (images(large) + rng.uniform(0, 0.1, (600, 28, 28))).astype(np.float32)
    found = FEATURES["hog"](x, x)
    assert found.shape == (600, 1296)
    settings = {"orientations": 9, "pixels_per_cell": (4, 4), "cells_per_block": (2, 2), "block_norm": "L2"}
    wanted = np.stack([feature.hog(image, **settings) for image in x[:50]])
    assert np.mean(np.abs(found[:50] - wanted) > 1e-4) < 0.001


def test_many_images_at_once_are_the_same_as_few(large):
    x = np.concatenate([images(large)] * 2)
    np.testing.assert_array_equal(FEATURES["hog"](x, x)[600:], FEATURES["hog"](x[:600], x))


@pytest.mark.parametrize("name", FEATURES)
def test_training_features_have_mean_0_and_variance_1_and_test_images_teach_nothing(large, name):
    made = with_features(name, large)
    assert (len(made.x_train), len(made.x_test)) == (600, 100)
    assert made.x_train.mean(axis=0) == pytest.approx(0, abs=1e-4)
    assert made.x_train.std(axis=0).max() == pytest.approx(1, abs=1e-3)
    other = with_features(name, Dataset("x", large.x_train, large.y_train, large.x_test[:7] // 2,
                                        large.y_test[:7], (28, 28), 10))  # fmt: skip
    np.testing.assert_allclose(other.x_train, made.x_train, atol=1e-5)
    assert with_features("", large) is large


def test_the_table_counts_numbers_and_zeros(large):
    grid = sparsity_grid(large)
    assert [row[1] for row in grid[1:]] == ["784", "49", "50", "1296"]
    assert grid[1][2] == f"{100 * np.mean(large.x_train == 0):.1f} %"
    assert {e.features for e in EXPERIMENTS.values()} == {"", *FEATURES}
