"""Settings are set once, checked when they are set, and compared by value except those of layers."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from helpers import input_error

import dnn
from backends import InputError
from dnn import Adam, CategoricalCrossentropy, Dense, LinearDecay
from dnn.validation.objects import Settings
from dnn.validation.settings import Positive


class Speed(Settings):
    first: Positive
    second: Positive = 2.0


class Faster(Speed):
    """The settings of its base."""


class Written(Speed):
    def __init__(self, both):
        super().__init__(both, both)


def test_declared_settings_are_checked_when_they_are_set():
    speed = Speed(np.float32(0.5))
    assert type(speed.first) is float
    for make in (lambda: Speed(0), lambda: Speed(1.0, second=-1), lambda: Faster(0), lambda: Written(0)):
        with input_error(r"(first|second) is .*, expected a finite number"):
            make()
    assert repr(Faster(1.0)) == "Faster(first=1.0, second=2.0)"
    assert (Written(3.0).first, Written(3.0).second) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (Speed(1.0), "second"),
        (Adam(), "clip_norm"),
        (Adam(), "beta1"),
        (CategoricalCrossentropy(), "ignore_index"),
        (LinearDecay(0.1, 5), "final"),
        (dnn.LBFGS(), "memory"),
        (dnn.Input((3,)), "shape"),
        (Dense(3), "initializer"),
        (Dense(3), "name"),
        (dnn.MaxPooling2D(), "strides"),
        (Adam(), "beta"),
        (CategoricalCrossentropy(), "smoothing"),
    ],
)
def test_no_setting_changes(thing, name):
    before = thing.config()
    with pytest.raises((InputError, FrozenInstanceError, AttributeError), match=name):
        setattr(thing, name, 0.5)
    assert thing.config() == before


def test_equality():
    assert Speed(1.0) == Speed(1, 2) != Speed(2.0)
    assert Speed(1.0) != Faster(1.0)
    assert len({Speed(1.0), Speed(1.0), Faster(1.0)}) == 2
    assert Dense(3) != Dense(3)
    assert replace(Speed(1.0), second=3.0) == Speed(1.0, 3.0)
    for copied in (copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
        assert copied(Adam(0.5)) == Adam(0.5)
