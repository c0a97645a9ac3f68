"""Layers, a callback and a backend in a user's module; and the public names of the library's parts.

The tests train, save, load and copy models with these parts.
"""

import copy
import pickle

import numpy as np
import pytest
from own_parts import assert_saved_and_loaded, train

import dnn
from dnn import LAYERS, LOSSES, OPTIMIZERS, SCHEDULES, Dense
from dnn.checkpoints import load_model

DECLARED = """
import numpy as np
from dnn import Dense, Layer, register
from dnn.settings.checks import Positive

class Gain(Layer):
    def parameter_shapes(self):
        return {"w": self.input_shape}

    def initial_values(self, key):
        return {"w": np.full(self.input_shape, self.start)}

    def forward(self, x, *, training):
        self.x = x
        return x * self.value["w"]

    def backward(self, dy):
        self.gradient["w"][...] = self.backend.xp.sum(self.x * dy, axis=0)
        return dy * self.value["w"]

@register
class Fields(Gain):
    start: Positive = 1.0

@register
class Written(Gain):
    def __init__(self, start=1.0, *, name=None):
        super().__init__(name)
        self.start = start

@register
class Below(Written):
    pass
"""
KINDS = ("Fields", "Written", "Below")


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer(load_module, tmp_path, kind, trainable):
    """With declared settings or an __init__; both are frozen, saved, copied and shown."""
    make = getattr(load_module("my_gain", DECLARED), kind)
    layer = make(1.5)
    layer.trainable = trainable
    model = train([layer, Dense(3, "softmax")])
    name = f"{kind.lower()}_1"
    trained = model.parameters.to_host()[f"{name}.w"]
    assert np.all(trained == 1.5) == (not trainable)
    assert layer.config() == {"name": name, "start": 1.5, "trainable": trainable}
    assert "start=1.5" in repr(layer)
    assert_saved_and_loaded(model, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors", model.backend).layers[0].trainable is trainable
    for copied in (copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
        assert copied(layer).config() == layer.config()


def test_a_layer_of_ours_as_a_base(load_module):
    """A subclass may have other settings than its base."""
    text = "from dnn import Dense\nclass Rectified(Dense):\n    def __init__(self, units):\n"
    text += "        super().__init__(2 * units, 'relu')\n        self.units = units\n"
    layer = load_module("my_dense", text).Rectified(3)
    assert layer.config() == {"name": "", "units": 3, "trainable": True}


@pytest.mark.parametrize("table", [LAYERS, LOSSES, OPTIMIZERS, SCHEDULES])
def test_public_names_include_every_table_entry(table):
    assert {cls.__name__ for cls in table.values()} <= set(dnn.__all__)
    for cls in table.values():
        for settings in cls.examples:
            cls(**settings)


def test_public_names_are_unique():
    assert len(set(dnn.__all__)) == len(dnn.__all__)
    assert all(hasattr(dnn, name) for name in dnn.__all__)
