"""LearningRateScheduler: the rates of epochs, also in a resumed training and on every backend."""

import numpy as np
import pytest
from helpers import Kept, input_error, same_bits, small_data, small_model, weights

from dnn import SGD, Adam, LearningRateScheduler, LinearDecay


def rates(schedule, epochs=4):
    model = small_model()
    model.compile(optimizer=SGD(0.5))
    history = model.fit(*small_data(), epochs=epochs, callbacks=[LearningRateScheduler(schedule)])
    return history.history["learning_rate"]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda epoch, rate: rate if epoch < 2 else rate * 0.5, [0.5, 0.5, 0.25, 0.125]),
        (lambda epoch: 1.0 / (1 + epoch), [1, 1 / 2, 1 / 3, 1 / 4]),
        (lambda epoch, rate=0.0: np.float32(0.25), [0.25] * 4),
        (lambda epoch: 0, [0.0] * 4),
    ],
)
def test_the_rate_of_each_epoch(schedule, expected):
    assert rates(schedule) == pytest.approx(expected)


def test_updates_use_the_rate(backend):
    x, y = small_data()
    model = small_model(backend)
    other = small_model(backend)
    model.compile(optimizer=SGD(0.7))
    model.fit(x, y, 10, 2, callbacks=[LearningRateScheduler(lambda epoch: [0.1, 0.02][epoch])])
    for rate in (0.1, 0.02):
        other.compile(optimizer=SGD(rate))
        other.fit(x, y, 10)
    assert same_bits(weights(model), weights(other))


def test_a_resumed_training_has_the_same_rates():
    """Also within an epoch, whose rate was set already."""

    def fit(resume=None, callbacks=()):
        model = small_model()
        model.compile(optimizer=Adam(0.01))
        scheduler = LearningRateScheduler(lambda epoch, rate: rate * 0.5)
        history = model.fit(*small_data(), 10, 4, callbacks=[scheduler, *callbacks], resume=resume)
        return history.history["learning_rate"], weights(model)

    kept = Kept()
    expected, values = fit(callbacks=[kept])
    assert expected == pytest.approx([0.005, 0.0025, 0.00125, 0.000625])
    for state in kept.states:
        found, resumed = fit(state)
        assert found == expected
        assert same_bits(resumed, values)


def test_verbose_prints_the_rate(capsys):
    model = small_model()
    model.fit(*small_data(), callbacks=[LearningRateScheduler(lambda epoch: 0.25, verbose=1)])
    assert capsys.readouterr().out == "epoch 1: learning rate 0.25\n"


def test_wrong_schedules():
    for wrong in (float("nan"), -0.1, None, "0.1", True):
        with input_error(r"the rate of schedule\(0\) is .*, expected a finite number of at least 0"):
            rates(lambda epoch, rate, wrong=wrong: wrong)
    with input_error("schedule is 0.1"):
        LearningRateScheduler(0.1)
    model = small_model()
    model.compile(optimizer=Adam(LinearDecay(0.1, 10)))
    with input_error("LearningRateScheduler is used with a schedule"):
        model.fit(*small_data(), callbacks=[LearningRateScheduler(lambda epoch: 0.1)])
