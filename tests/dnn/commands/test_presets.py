"""The presets are the recipes with the results in README. A changed recipe must be measured again."""

from dataclasses import fields

import pytest

from dnn import Adam, CategoricalCrossentropy, LinearDecay, OneCycle
from dnn.commands.presets import PRESETS

NORMALISED = "BatchNormalization() Activation(relu)"
END = "Dense(10, softmax)"
SHIFT = "RandomTranslation(1) Flatten()"
PRESET_LAYERS = {
    "lecture": f"Dense(500, sigmoid) Dense(500, sigmoid) {END}",
    "best": f"Dense(500) {NORMALISED} Dropout(0.1) Dense(500) {NORMALISED} Dropout(0.1) {END}",
    "augmented": f"Reshape((28, 28)) RandomRotation(10.0) {SHIFT} Dense(500) {NORMALISED} Dense(500) "
    f"{NORMALISED} {END}",
    "elastic": f"Reshape((28, 28)) RandomElastic(30.0, 10.0, 0.1, 0.15) {SHIFT} Dense(500) {NORMALISED} "
    f"Dense(500) {NORMALISED} {END}",
    "deep": f"Reshape((28, 28)) RandomElastic(36.0, 12.0, 0.15, 0.2) {SHIFT} Dense(2000) {NORMALISED} "
    f"Dense(1500) {NORMALISED} Dense(1000) {NORMALISED} Dense(500) {NORMALISED} {END}",
    "quick": f"Reshape((28, 28)) {SHIFT} Dense(500, relu) Dense(500, relu) {END}",
    "cnn": "Reshape((28, 28, 1)) RandomElastic(22.0, 8.0, 0.08, 0.12) RandomTranslation(1) "
    f"Conv2D(24, (5, 5)) MaxPooling2D((2, 2)) {NORMALISED} Conv2D(48, (3, 3)) {NORMALISED} "
    f"Conv2D(64, (3, 3)) MaxPooling2D((2, 2)) {NORMALISED} Flatten() Dense(128) {NORMALISED} Dropout(0.3) "
    f"{END}",
}
"""Preset -> its layers after Rescaling(1 / 255), with the settings that are not the default."""
# Rate over 600 updates, label smoothing, epochs, batch size.
PRESET_TRAINING = {
    "lecture": (LinearDecay(3e-3, 600), 0.0, 10, 100),
    "best": (OneCycle(1.6e-2, 600, 0.3), 0.1, 10, 100),
    "augmented": (OneCycle(4e-3, 600, 0.3), 0.0, 10, 100),
    "elastic": (OneCycle(4e-3, 600, 0.3), 0.0, 100, 100),
    "deep": (OneCycle(4e-3, 600, 0.3), 0.0, 250, 250),
    "quick": (OneCycle(5e-3, 600, 0.2), 0.05, 3, 250),
    "cnn": (OneCycle(3e-3, 600, 0.3), 0.0, 30, 100),
}


def describe(layer):
    """Return a layer's class and settings, without defaults and those that are derived if not given."""
    derived = {"name", "initializer", "strides", "dilation"}
    shown = [field for field in fields(layer) if field.name not in derived]
    values = [getattr(layer, field.name) for field in shown]
    changed = [str(value) for value, field in zip(values, shown, strict=True) if value != field.default]
    return f"{type(layer).__name__}({', '.join(changed)})"


@pytest.mark.parametrize("name", PRESET_LAYERS)
def test_preset_layers(name):
    first, *layers = PRESETS[name].layers((28, 28), 10)
    assert first.scale == 1 / 255
    assert " ".join(map(describe, layers)) == PRESET_LAYERS[name]


@pytest.mark.parametrize("name", PRESET_TRAINING)
def test_preset_training(name):
    (rate, smoothing, epochs, batch_size), preset = PRESET_TRAINING[name], PRESETS[name]
    assert preset.optimizer(600) == Adam(rate)
    assert preset.loss == CategoricalCrossentropy(label_smoothing=smoothing)
    assert (preset.epochs, preset.batch_size) == (epochs, batch_size)
    assert preset.target_accuracies == ((0.98, 0.985) if name == "quick" else ())


def test_one_cycle_has_at_least_six_updates():
    assert [PRESETS["quick"].optimizer(n).learning_rate.steps for n in (1, 6, 7)] == [6, 6, 7]
