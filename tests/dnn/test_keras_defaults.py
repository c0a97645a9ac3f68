"""Whoever imports dnn as keras is told of each default that differs from Keras's, where it is used."""

from inspect import signature
from pathlib import Path

import pytest
from helpers import small_data, small_model

import dnn
from dnn.keras_names.differences import DIFFERENCES

# Class or method, our name of an argument, and its default in Keras 3.16.
DEFAULTS = Path(__file__).with_name("keras_defaults.txt").read_text(encoding="utf-8").splitlines()

USES = """
import dnn as keras
class Mine(keras.Callback):
    pass
for _ in range(2):
    keras.RMSprop(), keras.Adagrad(), keras.AdamW()
    keras.layers.BatchNormalization(), keras.layers.LayerNormalization(), keras.layers.LeakyReLU()
    keras.layers.RandomRotation(5), keras.layers.RandomTranslation(2), keras.callbacks.CSVLogger("log")
    keras.layers.Dense(3, "relu"), keras.layers.Activation("gelu"), keras.layers.Activation("leaky_relu")
    model.compile()
    keras.EarlyStopping("loss"), keras.CosineDecay(0.1, 9, 0.01), keras.LearningRateScheduler(len)
    model.save(path)
    keras.models.load_model(path)
    model.compile(l2=0.1)
    model.compile(metrics=["binary_accuracy", "Precision", "recall", "f1_score"])
    model.fit(x, y, class_weight={0: 2.0}, sample_weight=y + 1, callbacks=[Mine()])
"""
GIVEN = """
import dnn as keras
keras.RMSprop(1e-3, decay=0.9, epsilon=1e-7), keras.AdamW(weight_decay=0.004, epsilon=1e-7)
keras.layers.BatchNormalization(momentum=0.01, epsilon=1e-3), keras.layers.LayerNormalization(epsilon=1e-3)
keras.layers.LeakyReLU(0.3), keras.layers.Dense(3, "relu", initializer="glorot_uniform")
keras.layers.GELU("none"), keras.layers.Dense(3)
model.compile(keras.Adam(epsilon=1e-7), "sparse_categorical_crossentropy", [])
model.fit(x, y, 32, callbacks=[keras.TerminateOnNaN()])
"""


@pytest.mark.parametrize("line", DEFAULTS)
def test_the_table_has_each_default_that_differs(line):
    key, default = line.split(maxsplit=1)
    name, argument = key.split(".")
    parameters = signature(getattr(dnn, name, None) or getattr(dnn.Sequential, name)).parameters
    row = DIFFERENCES.get(key) or DIFFERENCES.get(argument, "")
    assert f"in Keras {default}" in row or repr(parameters[argument].default) == default


@pytest.mark.parametrize(
    ("program", "imported", "noted"), [(USES, "keras", DIFFERENCES), (USES, "dnn", ()), (GIVEN, "keras", ())]
)
def test_each_difference_is_noted_once_where_it_is_used(program, imported, noted, caplog, tmp_path):
    x, y = small_data()
    names = {"path": tmp_path / "model", "x": x, "y": y, "model": small_model()}
    exec(program.replace("keras", imported), names)
    assert sorted(message.partition(" is ")[0] for message in caplog.messages) == sorted(noted)
