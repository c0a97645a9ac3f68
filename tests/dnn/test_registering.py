"""Parts of each kind, registered in a user's module: they train, and are saved, loaded and judged."""

import json
import sys

import pytest
from helpers import NUMPY, build_network, fit_small, input_error
from own_parts import TABLES, assert_saved_and_loaded, train

import dnn
from backends.reference import ACTIVATIONS, ActivationFunction
from dnn import LAYERS, LOSSES, OPTIMIZERS, Dense, agreement
from dnn.agreement import cases, level0_kernels
from dnn.agreement.calls import dense_calls, step_calls
from dnn.agreement.setup import Sizes
from dnn.checkpoints import CheckpointError, load_model
from dnn.commands import agree
from dnn.metrics import METRICS

MINE = '''
import numpy as np
from backends.reference import ActivationFunction
from dnn import Layer, Loss, Optimizer, Schedule, register
from dnn.settings.checks import Positive

@register
class Shift(Layer):
    """y = x + b, one b for each feature."""

    def parameter_shapes(self):
        return {"b": self.input_shape}

    def initial_values(self, key):
        return {"b": np.zeros(self.input_shape)}

    def forward(self, x, *, training):
        return x + self.value["b"]

    def backward(self, dy):
        """db_j = sum_i dy_ij,  dx = dy."""
        self.gradient["b"][...] = self.backend.xp.sum(dy, axis=0)
        return dy

@register
class Quartic(Loss):
    """L = factor/(B C) sum (y - t)^4."""

    factor: Positive = 1.0

    name = "quartic"

    def compute(self, xp, outputs, targets):
        apart = outputs - targets
        losses = self.factor * xp.mean(apart**4, axis=1)
        return losses, 4.0 * self.factor / apart.shape[1] * apart**3

@register
class SignSGD(Optimizer):
    """p = p - rate sign(g) (Bernstein et al. 2018)."""

    learning_rate: float | Schedule = 1e-3

    name = "sign_sgd"
    slots = ()

    def bind(self, backend):
        from backends.reference.optimizers import RATE, UPDATES

        def step(parameters, gradients, slots, control, settings):
            parameters -= control[RATE] * backend.xp.sign(gradients)
            control[UPDATES] += 1.0

        return step

@register
class Harmonic(Schedule):
    """first / n for update n."""

    first: float = 0.01
    steps: int = 100

    name = "harmonic"

    def curve(self):
        return self.first / np.arange(1, self.steps + 1)

@register
def largest_error(y, outputs):
    return abs(outputs[:, 0])

cubic = register(
    ActivationFunction(lambda xp, z: z**3, lambda xp, dy, z, y: 3 * dy * z**2), name="cubic"
)
'''


@pytest.mark.parametrize("settings", [{}, {"factor": 2.0}])
def test_a_loss(load_module, tmp_path, settings):
    """By name, or as an object with other settings."""
    loss = load_module("mine", MINE).Quartic(**settings)
    model = train([Dense(8, "tanh"), Dense(3)], loss if settings else "quartic")
    assert_saved_and_loaded(model, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors", model.backend).loss == loss
    assert "quartic" in dict(cases.loss_variants())
    with input_error(r"factor is 0.0, expected a finite number above 0"):
        type(loss)(0.0)


def own_model(module, backend):
    layers = [Dense(8, "tanh"), module.Shift(), Dense(3, "cubic")]
    model = build_network(layers, backend=backend, seed=1)
    model.compile("quartic", module.SignSGD(module.Harmonic(0.02)), metrics=["largest_error", "acc"], l2=1e-4)
    return model


@pytest.mark.parametrize("name", ["numpy", "numba", "torch", "strict"])
def test_registered_parts_train_save_and_load(load_module, make_backend, tmp_path, name):
    model = own_model(load_module("mine", MINE), make_backend(name))
    history = fit_small(model, epochs=3).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["largest_error"][0] > 0
    assert_saved_and_loaded(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors", model.backend)
    assert loaded.optimizer == model.optimizer
    assert [m.name for m in loaded.metrics] == ["largest_error", "accuracy"]


FEW = (
    (LAYERS, ("Activation", "Dense")),
    (LOSSES, ("categorical_crossentropy", "mean_squared_error")),
    (OPTIMIZERS, ("sgd", "adam")),
    (ACTIVATIONS, ("linear", "relu", "sigmoid", "tanh", "softmax", "gelu")),
)
"""The parts that the check below goes through beside the registered ones."""


@pytest.mark.slow
def test_agree_judges_what_torch_does_not_have(load_module, monkeypatch, capsys):
    """Every registered part is compared on our backends."""
    for table, names in FEW:
        monkeypatch.setattr(table, "_entries", {name: table[name] for name in names})
    load_module("mine", MINE)
    monkeypatch.setattr(
        level0_kernels,
        "CALL_GENERATORS",
        {"L0": (dense_calls.activation_calls,), "L3": (step_calls.step_calls,)},
    )
    monkeypatch.setattr(agreement, "QUICK", Sizes(200, 100, 160, (64, 64), (64, 64), 1, 2, 2))
    words = "agree.py --quick --dataset digits --backends numpy,torch,pytorch --levels L0,L1,L2,L3"
    monkeypatch.setattr(sys, "argv", [*words.split(), "--json"])
    assert agree.agree(agree.parse()) == 0
    found = json.loads(capsys.readouterr().out)
    compared = {"L0": ["cubic"], "L1": ["Shift"], "L2": ["cubic", "quartic"], "L3": ["sign_sgd"]}
    for level, names in compared.items():
        records = [record for record in found["records"] if record["level"] == level]
        for name in names:
            backends = {r["backend"] for r in records if name in f"{r['case']} {r['tensor']}"}
            assert backends == {"numpy", "torch"}


PARTS = {"layer type": "Shift", "loss": "quartic", "optimizer": "sign_sgd", "schedule": "harmonic",
         "metric": "largest_error", "activation": "cubic"}  # fmt: skip


@pytest.mark.parametrize("what", PARTS)
def test_an_unregistered_part_is_named_and_how_to_register_it(load_module, tmp_path, what):
    own_model(load_module("mine", MINE), NUMPY).save(tmp_path / "m.safetensors")
    for table in TABLES:
        table._entries.pop(PARTS[what], None)
    with pytest.raises(CheckpointError, match=rf"{what} is '{PARTS[what]}', expected .*@dnn.register"):
        load_model(tmp_path / "m.safetensors", NUMPY)


def test_a_cell_that_runs_again_replaces_what_it_registered(load_module):
    first, second = load_module("mine", MINE), load_module("mine", MINE)
    assert first.Shift is not second.Shift
    assert LAYERS["Shift"] is second.Shift
    assert METRICS["largest_error"].batch.function is second.largest_error
    with input_error("layer 'Dense' exists already"):
        dnn.register(type("Dense", (Dense,), {}))
    with input_error("metric 'accuracy' exists already"):
        dnn.register(second.largest_error, name="accuracy")


@pytest.mark.parametrize("thing", [3, "dense", int, type("Nameless", (dnn.Adam,), {}), lambda y, o: o,
                                   ActivationFunction(None, None)])  # fmt: skip
def test_register_rejects_other_objects(load_module, thing):
    with input_error(r"cannot be registered|is named|expected a function made by def"):
        dnn.register(thing)
