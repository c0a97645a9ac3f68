"""Two models trained concurrently in two threads give the same bits as each alone."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import small_data

from backends import get_backend
from dnn import Adam, Dense, Dropout, Sequential
from dnn.checkpoints import weights_digest


def train_model(name, seed):
    """Return the digest of the weights and the losses of a short training."""
    layers = [Dense(30, "relu"), Dropout(0.2), Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(6,), backend=get_backend(name), seed=seed)
    model.compile(optimizer=Adam(0.01))
    history = model.fit(*small_data(400, seed), batch_size=16, epochs=4).history
    return weights_digest(model), history["loss"]


@pytest.mark.parametrize("names", [("numpy", "torch"), ("numba", "numpy"), ("torch", "torch")])
def test_concurrent_trainings_give_the_same_bits(names):
    alone = list(map(train_model, names, range(2)))
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            assert list(pool.map(train_model, names, range(2))) == alone
