"""A training that moves from one backend to another: the next update."""

import numpy as np
import pytest
from helpers import Kept, assert_close, build_network

from backends import get_backend
from dnn import Adam, Dense, LinearDecay, Rescaling
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.datasets import load_dataset

PAIRS = [
    ("numpy", "torch"), ("torch", "numpy"), ("numpy", "numba"), ("numba", "torch"), ("strict", "numpy"),
    ("numpy", "strict"), ("cupy", "numpy"), ("numpy", "cupy"), ("torch:cuda", "numpy"), ("torch", "cupy"),
]  # fmt: skip
EPOCHS, BEFORE = 12, 8


@pytest.mark.parametrize(("begun", "ended"), PAIRS)
def test_the_next_update_is_the_same_up_to_rounding(make_backend, tmp_path, begun, ended):
    """One batch holds all examples, so an epoch is one update."""
    digits = load_dataset("digits")
    x, y = digits.x_train[:200], digits.y_train[:200]
    path = tmp_path / "state"

    def states_of(backend_id, resume=None):
        layers = [Rescaling(1 / 255), Dense(40, "relu"), Dense(30, "relu"), Dense(10, "softmax")]
        model = build_network(layers, (64,), make_backend(backend_id))
        model.compile(optimizer=Adam(LinearDecay(0.003, EPOCHS)))
        kept = Kept()
        model.fit(x, y, batch_size=len(x), epochs=EPOCHS, callbacks=[kept], resume=resume)
        return kept.states

    whole = states_of(begun)
    write_state(whole[BEFORE - 1], path)
    expected, found = whole[BEFORE], states_of(ended, read_state(path))[0]
    assert (found.epoch, found.updates) == (expected.epoch, expected.updates) == (BEFORE + 2, 0)
    for name, array in expected.arrays.items():
        assert_close(found.arrays[name], array, 1e-5, name)


@pytest.mark.parametrize(("begun", "ended"), [("numpy", "torch"), ("torch", "numba"), ("numba", "numpy")])
def test_a_reproducible_training_moves_without_a_warning(begun, ended, caplog):
    x = np.random.default_rng(0).random((8, 4), dtype="f4")

    def states_of(name, resume=None):
        model = build_network([Dense(3, "softmax")], (4,), get_backend(name, precision="reproducible"))
        model.compile(optimizer="adam")
        kept = Kept()
        model.fit(x, np.arange(8) % 3, epochs=2, callbacks=[kept], resume=resume)
        return kept.states

    first, expected = states_of(begun)
    found = states_of(ended, first)[-1]
    assert all(np.array_equal(found.arrays[name], array) for name, array in expected.arrays.items())
    assert not caplog.messages
