"""Settings are checked when they are set, never change, and are compared by value except those of layers."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from helpers import input_error

import dnn
from backends import InputError
from dnn import Adam, CategoricalCrossentropy, Dense, LinearDecay
from dnn.settings.base import Settings
from dnn.settings.checks import Positive


class Speed(Settings):
    first: Positive
    second: Positive = 2.0


class Same(Speed):
    """The settings of its base."""


def test_declared_settings_are_checked():
    assert type(Speed(np.float32(0.5)).first) is float
    for make in (lambda: Speed(0), lambda: Same(1.0, second=-1)):
        with input_error(r"(first|second) is .*, expected a finite number"):
            make()


@pytest.mark.parametrize(
    ("thing", "names"),
    [
        (Adam(), ("clip_norm", "beta")),
        (CategoricalCrossentropy(), ("ignore_index", "smoothing")),
        (LinearDecay(0.1, 5), ("final",)),
        (dnn.LBFGS(), ("memory",)),
        (dnn.Input((3,)), ("shape",)),
        (dnn.MaxPooling2D(), ("strides",)),
    ],
)
def test_no_setting_changes(thing, names):
    before = repr(thing)
    for name in names:
        with pytest.raises((InputError, AttributeError), match=name):
            setattr(thing, name, 0.5)
    assert repr(thing) == before


def test_equality():
    assert Speed(1.0) == Speed(1, 2) != Speed(2.0)
    assert len({Speed(1.0), Speed(1.0), Same(1.0)}) == 2
    assert Dense(3) != Dense(3)
    assert replace(Adam(), beta1=0.5) == Adam(beta1=0.5)
    for copied in (copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
        assert copied(Adam(0.5)) == Adam(0.5)
