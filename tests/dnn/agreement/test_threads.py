"""Two models trained concurrently in two threads give the same bits as each alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from backends import get_backend
from dnn import Adam, Dense, Dropout, Sequential


def train_model(name, seed):
    """Return the weights and losses of a short training."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((400, 20), dtype=np.float32), rng.integers(0, 3, 400)
    layers = [Dense(30, "relu"), Dropout(0.2), Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(20,), backend=get_backend(name), seed=seed)
    model.compile(optimizer=Adam(0.01))
    history = model.fit(x, y, batch_size=16, epochs=4).history
    return model.parameters.to_host(), history["loss"]


@pytest.mark.parametrize("names", [("numpy", "torch"), ("numba", "numpy"), ("torch", "torch")])
def test_concurrent_trainings_give_the_same_bits(names):
    alone = [train_model(name, seed) for seed, name in enumerate(names)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            together = list(pool.map(train_model, names, range(2)))
            for (weights, losses), (expected, wanted) in zip(together, alone, strict=True):
                assert losses == wanted
                for name, array in weights.items():
                    np.testing.assert_array_equal(array, expected[name])
