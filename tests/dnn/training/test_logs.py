"""Numbers that callbacks add to the logs, and methods that are never called."""

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers import fit_small, input_error

from dnn import Callback, JSONLogger
from dnn.callbacks import TrainingCheckpoint, latest_state


class Add(Callback):
    """Adds a number, from the second epoch on."""

    def on_epoch_end(self, epoch, logs):
        if epoch > 1:
            logs["mine"] = 10.0 * epoch


class See(Callback):
    def __init__(self):
        self.begun = []
        self.seen = []

    def on_epoch_begin(self, epoch):
        self.begun.append(epoch)

    def on_epoch_end(self, epoch, logs):
        self.seen.append(logs.get("mine"))


def test_numbers_added_by_a_callback_reach_later_callbacks_and_the_history(tmp_path):
    see = See()
    states = TrainingCheckpoint(tmp_path)
    history = fit_small(epochs=3, callbacks=[Add(), see, states]).history
    assert see.begun == [1, 2, 3]
    assert see.seen == [None, 20.0, 30.0]
    assert math.isnan(history["mine"][0])
    assert history["mine"][1:] == [20.0, 30.0]
    resumed = fit_small(epochs=4, callbacks=[Add()], resume=latest_state(tmp_path))
    assert resumed.history["mine"][1:] == [20.0, 30.0, 40.0]
    assert resumed.epoch == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [3, np.float32(0.1), np.float64(0.1), np.int8(7), Fraction(1, 4)])
def test_real_numbers_become_floats_before_they_are_logged(tmp_path, number):
    class Real(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["mine"] = number

    see = See()
    history = fit_small(callbacks=[Real(), see, JSONLogger(tmp_path / "log")]).history
    assert repr(see.seen) == repr(history["mine"]) == repr([float(number)])
    assert repr(float(number)) in (tmp_path / "log").read_text()


def test_added_values_must_be_numbers():
    class Text(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["note"] = "good"

    with input_error(r"logs\['note'\] is 'good', expected a number"):
        fit_small(callbacks=[Text()])


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_batch_begin", "on_test_end", "on_predict_begin"])
def test_rejects_hooks_that_are_never_called(hook):
    made = type("Theirs", (Callback,), {hook: lambda self, *rest: None})
    with input_error(f"Theirs has {hook}, which is never called"):
        fit_small(callbacks=[made()])
