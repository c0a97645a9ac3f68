"""ReduceLROnPlateau: when the rate is reduced, and that updates use it."""

import numpy as np
import pytest
from helpers import NUMPY, Kept, input_error, same_bits, small_data, small_model, weights

from backends import InputError
from dnn import SGD, Adam, Callback, LinearDecay, ReduceLROnPlateau


class Given(Callback):
    """Puts these numbers into the logs."""

    def __init__(self, numbers):
        self.numbers = numbers

    def on_epoch_end(self, epoch, logs):
        logs["height"] = self.numbers[epoch - 1]


def rates(numbers, rate=1.0, backend=None, **settings):
    model = small_model(backend or NUMPY)
    model.compile(optimizer=SGD(rate))
    plateau = ReduceLROnPlateau("height", **{"factor": 0.5, "patience": 2, **settings})
    history = model.fit(*small_data(), epochs=len(numbers), callbacks=[Given(numbers), plateau]).history
    return history["learning_rate"]


@pytest.mark.parametrize(("numbers", "settings", "expected"), [
    ([3, 2, 1, 0], {}, [1, 1, 1, 1]),
    ([3, 3, 3, 3, 3, 3], {}, [1, 1, 1, 0.5, 0.5, 0.25]),
    ([3, 3, 2, 2, 2, 2], {}, [1, 1, 1, 1, 1, 0.5]),
    ([3, 3, 3, 3, 3, 3, 3], {"patience": 1, "cooldown": 2}, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]),
    ([3, 3, 3, 3], {"patience": 1, "min_lr": 0.4}, [1, 1, 0.5, 0.4]),
    ([3, 2.99995, 2.9999, 2.99985], {}, [1, 1, 1, 0.5]),
    ([3, 2.99995, 2.9999, 2.99985], {"min_delta": 0.0}, [1, 1, 1, 1]),
    ([1, 2, 3, 3, 3, 3], {"mode": "max"}, [1, 1, 1, 1, 1, 0.5]),
    ([3, float("nan"), float("nan"), 3], {}, [1, 1, 1, 0.5]),
])  # fmt: skip
def test_the_rate_of_each_epoch(numbers, settings, expected):
    assert rates(numbers, **settings) == pytest.approx(expected)


def test_updates_use_the_reduced_rate(backend):
    """Two epochs at 0.1 and one at 0.01 equal two fits with these rates."""
    x, y = small_data()
    model = small_model(backend)
    other = small_model(backend)
    model.compile(optimizer=SGD(0.1))
    plateau = ReduceLROnPlateau("height", patience=1)
    model.fit(x, y, epochs=3, batch_size=10, callbacks=[Given([1, 1, 1]), plateau])
    for rate, epochs in ((0.1, 2), (float(np.float32(0.1)) * 0.1, 1)):
        other.compile(optimizer=SGD(rate))
        other.fit(x, y, epochs=epochs, batch_size=10)
    assert same_bits(weights(model), weights(other))


def test_a_resumed_training_has_the_reduced_rate():
    x, y = small_data()

    def fit(resume=None, callbacks=()):
        model = small_model()
        model.compile(optimizer=Adam(0.01))
        watchers = [Given([3, 2, 2, 2, 2, 2]), ReduceLROnPlateau("height", 0.5, 2), *callbacks]
        history = model.fit(x, y, batch_size=10, epochs=6, callbacks=watchers, resume=resume).history
        return history["learning_rate"], weights(model)

    kept = Kept()
    whole, values = fit(callbacks=[kept])
    assert whole == pytest.approx([0.01, 0.01, 0.01, 0.01, 0.005, 0.005])
    for at in (7, 17, 21, 26):
        found, same = fit(resume=kept.states[at])
        assert found == whole
        assert same_bits(same, values)


def test_rejects_invalid_arguments():
    for settings in ({"factor": 1.0}, {"factor": -1}, {"patience": 0}, {"cooldown": -1}, {"min_lr": -1},
                     {"mode": "most"}, {"monitor": 3}):  # fmt: skip
        with pytest.raises(InputError):
            ReduceLROnPlateau(**settings)
    model = small_model()
    model.compile(optimizer=Adam(LinearDecay(0.1, 10)))
    with input_error("ReduceLROnPlateau is used with a schedule"):
        model.fit(*small_data(), callbacks=[ReduceLROnPlateau("loss")])
    model.compile()
    with input_error("give fit validation_data"):
        model.fit(*small_data(), callbacks=[ReduceLROnPlateau()])
