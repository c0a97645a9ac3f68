"""Settings and state; the updates themselves are tested with the kernels, against torch.optim."""

import numpy as np
import pytest
from helpers import small_data, small_model, weights

from backends import InputError, get_backend
from dnn import SGD, Adam
from dnn.optimizers import OPTIMIZERS

NAN, INF = float("nan"), float("inf")
RANGES = {
    "learning_rate": (-1e-3, NAN, INF, "0.1", None, True),
    "momentum": (-0.1, 1.0, NAN),
    "beta1": (-0.1, 1.0, NAN),
    "beta2": (-0.1, 1.0, NAN),
    "epsilon": (-1e-8, NAN, INF),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("setting", RANGES)
def test_settings_out_of_range(optimizer, setting):
    if not hasattr(optimizer(), setting):
        with pytest.raises(TypeError):
            optimizer(**{setting: 0.5})
        return
    for value in RANGES[setting]:
        with pytest.raises(InputError, match=f"{setting} is .*expected a finite number of at least"):
            optimizer(**{setting: value})
    if setting != "epsilon":
        assert getattr(optimizer(**{setting: 0.0}), setting) == 0.0


def test_adam_refuses_what_would_divide_zero_by_zero():
    with pytest.raises(InputError, match="epsilon is 0"):
        Adam(epsilon=0.0)


def test_nesterov_needs_momentum():
    with pytest.raises(InputError, match="nesterov is True with momentum 0"):
        SGD(nesterov=True)
    assert SGD(momentum=0.9, nesterov=True).config() == {
        "name": "sgd",
        "learning_rate": 0.01,
        "momentum": 0.9,
        "nesterov": True,
    }


def test_rate_zero_changes_nothing(backend):
    model = small_model(backend)
    for optimizer in (SGD(0.0, momentum=0.5), Adam(0.0)):
        model.compile(optimizer=optimizer)
        before = weights(model)
        model.fit(*small_data(), batch_size=20)
        assert np.array_equal(weights(model), before)


def test_one_optimizer_serves_two_models():
    optimizer, states = SGD(0.1, momentum=0.9), []
    for _ in range(2):
        model = small_model(get_backend("numpy"))
        model.compile(optimizer=optimizer)
        model.fit(*small_data(), batch_size=10, epochs=2)
        states.append((weights(model), float(model.optimizer_state.control[3])))
    assert states[0][1] == states[1][1] == 10
    assert np.array_equal(states[0][0], states[1][0])
