"""LearningRateScheduler and ReduceLROnPlateau: the rate of each epoch, also in a resumed training."""

from copy import copy

import numpy as np
import pytest
from helpers import NUMPY, Kept, fit_small, input_error, same_bits, small_model, weights

from backends import InputError
from dnn import SGD, Adam, Callback, LearningRateScheduler, LinearDecay, ReduceLROnPlateau


class Given(Callback):
    """Puts these numbers into the logs."""

    def __init__(self, numbers):
        self.numbers = numbers

    def on_epoch_end(self, epoch, logs):
        logs["height"] = self.numbers[epoch - 1]


def fit(callbacks, epochs, rate=1.0, backend=NUMPY, resume=None):
    """Return (the rate of each epoch, the final weights)."""
    model = small_model(backend)
    model.compile(optimizer=SGD(rate, momentum=0.5))
    history = fit_small(model, epochs=epochs, callbacks=callbacks, resume=resume, verbose=0).history
    return history["learning_rate"], weights(model)


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
def test_rates_on_a_plateau(numbers, settings, expected):
    plateau = ReduceLROnPlateau("height", **{"factor": 0.5, "patience": 2, "mode": "min", **settings})
    assert fit([Given(numbers), plateau], len(numbers))[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda epoch, rate: rate if epoch < 2 else rate * 0.5, [1, 1, 0.5, 0.25]),
        (lambda epoch: 1.0 / (1 + epoch), [1, 1 / 2, 1 / 3, 1 / 4]),
        (lambda epoch, rate=0.0: np.float32(0.25), [0.25] * 4),
        (lambda epoch: 0, [0.0] * 4),
        (max, [1, 1, 2, 3]),  # has no signature
    ],
)
def test_rates_of_a_function(schedule, expected):
    assert fit([LearningRateScheduler(schedule)], 4)[0] == pytest.approx(expected)


@pytest.mark.parametrize("takes", ["epoch", "epoch, rate"])
def test_an_error_of_the_function_is_raised(takes):
    schedule = eval(f"lambda {takes}: None + epoch")
    with pytest.raises(TypeError, match="NoneType"):
        fit([LearningRateScheduler(schedule)], 1)


def plateau():
    return [Given([3, 2, 2, 2, 2, 2]), ReduceLROnPlateau("height", 0.1, 2, mode="min")]


def scheduler():
    return [LearningRateScheduler(lambda epoch, rate: rate * 0.5)]


@pytest.mark.parametrize(
    ("make", "expected"),
    [(plateau, [0.1] * 4 + [0.01] * 2), (scheduler, [0.05 / 2**i for i in range(6)])],
)
def test_a_resumed_training_has_the_same_rates(make, expected):
    """Also within an epoch, whose rate was set already."""
    kept = Kept(3)
    rates, values = fit([*make(), kept], 6, 0.1)
    assert rates == pytest.approx(expected)
    for state in kept.states:
        again, resumed = fit(make(), 6, 0.1, resume=state)
        assert again == rates
        assert same_bits(resumed, values)


@pytest.mark.parametrize(
    ("callbacks", "second"),
    [
        (
            [Given([1, 1, 1]), ReduceLROnPlateau("height", patience=1, mode="min")],
            float(np.float32(0.1)) * 0.1,
        ),
        ([LearningRateScheduler(lambda epoch: 0.1 if epoch < 2 else 0.02)], 0.02),
    ],
)
def test_updates_use_the_rate(backend, callbacks, second):
    """Two epochs at 0.1 and one at another rate equal two fits with these rates."""
    model = small_model(backend)
    other = small_model(backend)
    model.compile(optimizer=SGD(0.1))
    fit_small(model, epochs=3, callbacks=callbacks)
    rates = [m.optimizer.learning_rate for m in (model, copy(model))]
    assert rates == [model.optimizer_state.rate] * 2 < [0.03]
    for rate, epochs in ((0.1, 2), (second, 1)):
        other.compile(optimizer=SGD(rate))
        fit_small(other, epochs=epochs)
    assert same_bits(weights(model), weights(other))


def test_verbose_prints_the_rate(capsys):
    callbacks = [
        Given([1, 1]), ReduceLROnPlateau("height", 0.5, 1, 1, "min"),
        LearningRateScheduler(lambda epoch: 0.25, verbose=1),
    ]  # fmt: skip
    fit(callbacks, 2)
    line = "learning rate 0.25\n"
    assert capsys.readouterr().out == f"epoch 1: {line}epoch 2: {line}epoch 2: learning rate 0.125\n"


@pytest.mark.parametrize("make", [ReduceLROnPlateau, lambda: LearningRateScheduler(lambda epoch: 0.1)])
def test_rejects_optimizers_with_a_schedule(make):
    model = small_model()
    model.compile(optimizer=Adam(LinearDecay(0.1, 10)))
    with input_error("is used with a schedule"):
        fit_small(model, callbacks=[make()])


def test_rejects_invalid_arguments():
    for settings in ({"factor": 1.0}, {"factor": -1}, {"patience": 0}, {"cooldown": -1}, {"min_lr": -1},
                     {"mode": "most"}, {"monitor": 3}):  # fmt: skip
        with pytest.raises(InputError):
            ReduceLROnPlateau(**settings)
    for wrong in (float("nan"), -0.1, None, "0.1", True):
        with input_error(r"the rate of schedule\(0\) is .*, expected a finite number of at least 0"):
            fit([LearningRateScheduler(lambda epoch, rate, wrong=wrong: wrong)], 1)
    with input_error("schedule is 0.1"):
        LearningRateScheduler(0.1)
