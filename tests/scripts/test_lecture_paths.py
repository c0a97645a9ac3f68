"""How weights change in training: the frames of the film, and the surface with both paths."""

import numpy as np
import pytest
from lecture_experiments import paths
from lecture_experiments.experiments import LECTURE
from lecture_experiments.run import build

from backends import get_backend
from dnn.datasets import load_dataset


def test_film_runs_from_initial_to_trained_weights():
    data, backend = load_dataset("digits"), get_backend("numpy")
    film = paths.record_film(data, backend, 2, 3)
    updates = 2 * -(-len(data.x_train) // LECTURE.batch)
    assert list(film) == [0, 10, updates]
    model = build(LECTURE, data, backend, 3)
    np.testing.assert_array_equal(film[0], model.parameters.value["dense_1.W"])
    model.fit(data.x_train, data.y_train, batch_size=LECTURE.batch, epochs=2, verbose=0)
    np.testing.assert_allclose(film[updates], model.parameters.value["dense_1.W"], rtol=1e-5, atol=1e-7)


def test_surface_losses(monkeypatch):
    monkeypatch.setattr(paths, "SURFACE_IMAGES", 60)
    monkeypatch.setattr(paths, "SURFACE_EPOCHS", 6)
    monkeypatch.setattr(paths, "SURFACE_POINTS", 3)
    data, backend = load_dataset("digits"), get_backend("numpy")
    found = paths.compute_surface(data, backend, 1)
    assert set(found.paths) == {"Adam", "L-BFGS"}
    for path in found.paths.values():
        np.testing.assert_array_equal(path[0], 0.0)
        assert found.across[0] < path[:, 0].min() < path[:, 0].max() < found.across[-1]
        assert found.up[0] < path[:, 1].min() < path[:, 1].max() < found.up[-1]
    assert found.loss.shape == (3, 3)
    # Both paths go downhill, and the surface at the origin is the loss at the start.
    start = build(LECTURE, data, backend, 1)
    begin = start.evaluate(data.x_train[:60], data.y_train[:60]).loss
    assert found.loss.min() < begin < found.loss.max()
    assert begin == pytest.approx(2.5, abs=0.5)
