"""The presets are the recipes with the results in README. A changed recipe must be measured again."""

import pytest

from dnn import Adam, CategoricalCrossentropy, LinearDecay, OneCycle
from dnn.commands.presets import PRESETS

DENSE = {"Dense": [500, 500, 10], "Rescaling": [1 / 255]}
SHIFT = {"RandomTranslation": [1], "Reshape": [(28, 28)]}
DISTORTION = {"RandomElastic": [(30.0, 5.0, 10.0, 0.1, 0.15)], **SHIFT}
PRESET_LAYERS = {
    "lecture": {**DENSE, "activations": "sigmoid sigmoid softmax"},
    "best": {**DENSE, "BatchNormalization": 2, "Dropout": [0.1, 0.1], "activations": "relu relu softmax"},
    "augmented": {**DENSE, **SHIFT, "BatchNormalization": 2, "RandomRotation": [10.0],
                  "activations": "relu relu softmax"},
    "elastic": {**DENSE, **DISTORTION, "BatchNormalization": 2, "activations": "relu relu softmax"},
    "deep": {**SHIFT, "Rescaling": [1 / 255], "Dense": [2000, 1500, 1000, 500, 10], "BatchNormalization": 4,
             "RandomElastic": [(36.0, 5.0, 12.0, 0.15, 0.2)], "activations": "relu relu relu relu softmax"},
    "quick": {**DENSE, **SHIFT, "activations": "relu relu softmax"},
    "cnn": {"Conv2D": [(24, (5, 5)), (48, (3, 3)), (64, (3, 3))], "MaxPooling2D": [(2, 2)] * 2,
            "Dense": [128, 10], "BatchNormalization": 4, "Dropout": [0.3],
            "RandomElastic": [(22.0, 5.0, 8.0, 0.08, 0.12)], "RandomTranslation": [1],
            "Reshape": [(28, 28, 1)], "Rescaling": [1 / 255], "activations": "relu relu relu relu softmax"},
}  # fmt: skip
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


def settings_of(layer):
    """Return a layer's main setting or a tuple of them; None if it has none."""
    names = {
        "Dense": "units", "Conv2D": "filters kernel_size", "MaxPooling2D": "pool_size", "Dropout": "rate",
        "RandomElastic": "strength sigma degrees scale shear", "RandomTranslation": "pixels",
        "RandomRotation": "degrees", "Reshape": "target_shape", "Rescaling": "scale",
    }  # fmt: skip
    found = tuple(getattr(layer, name) for name in names.get(type(layer).__name__, "").split())
    return found[0] if len(found) == 1 else found or None


@pytest.mark.parametrize("name", PRESET_LAYERS)
def test_preset_layers(name):
    found = {"activations": []}
    for layer in PRESETS[name].layers((28, 28), 10):
        if layer.activation != "linear":
            found["activations"].append(layer.activation)
        found.setdefault(type(layer).__name__, []).append(settings_of(layer))
    found["activations"] = " ".join(found["activations"])
    shown = {k: len(v) if v[0] is None else v for k, v in found.items() if k not in ("Activation", "Flatten")}
    assert shown == PRESET_LAYERS[name]


@pytest.mark.parametrize("name", PRESET_TRAINING)
def test_preset_training(name):
    (rate, smoothing, epochs, batch_size), preset = PRESET_TRAINING[name], PRESETS[name]
    assert preset.optimizer(600) == Adam(rate)
    assert preset.loss == CategoricalCrossentropy(label_smoothing=smoothing)
    assert (preset.epochs, preset.batch_size) == (epochs, batch_size)
    assert preset.target_accuracies == ((0.98, 0.985) if name == "quick" else ())


def test_one_cycle_has_at_least_six_updates():
    assert [PRESETS["quick"].optimizer(n).learning_rate.steps for n in (1, 6, 7)] == [6, 6, 7]
