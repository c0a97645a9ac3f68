"""A layer, a loss and an optimizer in a user's module: they train, and are saved and loaded."""

import copy
import importlib.util
import json
import pickle
import sys

import numpy as np
import pytest
from helpers import NUMPY, build_network, input_error, same_bits, small_data, weights

import dnn
from backends.reference import ACTIVATIONS, ActivationFunction
from dnn import LAYERS, LOSSES, OPTIMIZERS, SCHEDULES, Dense, agreement
from dnn.agreement import cases
from dnn.agreement.sizes import Sizes
from dnn.checkpoints import CheckpointError, load_model
from dnn.commands import agree
from dnn.metrics import METRICS

TABLES = (LAYERS, LOSSES, OPTIMIZERS, SCHEDULES)
ALL = (*TABLES, METRICS, ACTIVATIONS)

LOSS = '''
from dataclasses import dataclass
from dnn import Loss
from dnn.losses import target_rows
from dnn.validation.settings import Positive

@dataclass(frozen=True)
class Quartic(Loss):
    """L = factor/(B C) sum (y - t)^4."""

    factor: Positive = 1.0

    name = "quartic"

    def bind(self, backend):
        def kernel(y, targets, losses, dy):
            xp = backend.xp
            apart = y - target_rows(xp, targets, y)
            losses[...] = self.factor * xp.mean(apart**4, axis=1)
            dy[...] = 4.0 * self.factor / (y.shape[0] * y.shape[1]) * apart**3

        return kernel
'''


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that imports a text as a module; afterwards tables and sys.modules are restored."""
    for table in ALL:
        monkeypatch.setattr(table, "_entries", dict(table._entries))

    def make(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return make


def train(layers, loss="categorical_crossentropy", optimizer="adam"):
    model = build_network(layers, seed=1)
    model.compile(loss, optimizer)
    before = weights(model)
    history = model.fit(*small_data(), batch_size=10, epochs=4).history
    assert history["loss"][-1] < history["loss"][0]
    assert not same_bits(before, weights(model))
    return model


def assert_saved_and_loaded(model, path):
    model.save(path)
    loaded = load_model(path, model.backend)
    assert loaded.config() == model.config()
    x, _ = small_data()
    assert same_bits(loaded.predict(x), model.predict(x))
    loaded.fit(*small_data(), batch_size=10)


DECLARED = """
import numpy as np
from dataclasses import dataclass
from dnn import Dense, Layer, register
from dnn.validation.settings import Positive

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
@dataclass(frozen=True)
class Decorated(Gain):
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
KINDS = ("Fields", "Decorated", "Written", "Below")


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer(load, tmp_path, kind, trainable):
    """With declared settings or an __init__; both are frozen, saved, copied and shown."""
    make = getattr(load("my_gain", DECLARED), kind)
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


@pytest.mark.parametrize("kind", KINDS[:2])
def test_declared_settings_are_checked_and_frozen(load, kind):
    make = getattr(load("my_gain", DECLARED), kind)
    for value in (-1.0, 0, "x"):
        with input_error(f"start is {value!r}, expected a finite number"):
            make(value)
    assert type(make(np.float32(2)).start) is float
    layer = make(2.0)
    layer.mine = 3  # an additional attribute
    with input_error(f"a {kind}'s start cannot be changed to 3.0; make a new layer"):
        layer.start = 3.0


def test_a_layer_of_ours_as_a_base(load):
    """A subclass may have other settings than its base."""
    text = "from dnn import Dense\nclass Rectified(Dense):\n    def __init__(self, units):\n"
    text += "        super().__init__(2 * units, 'relu')\n        self.units = units\n"
    layer = load("my_dense", text).Rectified(3)
    assert layer.config() == {"name": "", "units": 3, "trainable": True}


def test_a_loss(load, tmp_path):
    quartic = load("my_loss", LOSS).Quartic
    LOSSES.add("quartic", quartic)
    model = train([Dense(8, "tanh"), Dense(3)], "quartic")
    assert_saved_and_loaded(model, tmp_path / "model.safetensors")
    model = train([Dense(8, "tanh"), Dense(3)], quartic(2.0))
    assert_saved_and_loaded(model, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors", model.backend).loss == quartic(2.0)
    assert "quartic" in dict(cases.loss_variants())
    with input_error(r"factor is 0.0, expected a finite number above 0"):
        quartic(0.0)


MINE = '''
from dataclasses import dataclass

import numpy as np
from backends.reference import ActivationFunction
from dnn import Layer, Loss, Optimizer, Schedule, register

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
@dataclass(frozen=True)
class Quartic(Loss):
    """L = 1/(B C) sum (y - t)^4."""

    name = "quartic"

    def compute(self, xp, outputs, targets):
        apart = outputs - targets
        return xp.mean(apart**4, axis=1), 4.0 / apart.shape[1] * apart**3

@register
@dataclass(frozen=True)
class SignSGD(Optimizer):
    """p = p - rate sign(g) (Bernstein et al. 2018)."""

    learning_rate: float | Schedule = 1e-3

    name = "sign_sgd"
    slots = ()

    def bind(self, backend):
        from backends.reference.control import RATE, UPDATES

        def step(parameters, gradients, slots, control, settings):
            parameters -= control[RATE] * backend.xp.sign(gradients)
            control[UPDATES] += 1.0

        return step

@register
@dataclass(frozen=True)
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


def own_model(module, backend):
    layers = [Dense(8, "tanh"), module.Shift(), Dense(3, "cubic")]
    model = build_network(layers, backend=backend, seed=1)
    model.compile("quartic", module.SignSGD(module.Harmonic(0.02)), metrics=["largest_error", "acc"], l2=1e-4)
    return model


@pytest.mark.parametrize("name", ["numpy", "numba", "torch", "strict"])
def test_everything_registered_trains_and_is_loaded(load, make_backend, tmp_path, name):
    model = own_model(load("mine", MINE), make_backend(name))
    history = model.fit(*small_data(), batch_size=10, epochs=3).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["largest_error"][0] > 0
    assert_saved_and_loaded(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors", model.backend)
    assert loaded.optimizer == model.optimizer
    assert [m.name for m in loaded.metrics] == ["largest_error", "accuracy"]


FEW = (
    (LAYERS, ("Dense",)),
    (LOSSES, ("categorical_crossentropy", "mean_squared_error")),
    (OPTIMIZERS, ("sgd", "adam")),
    (ACTIVATIONS, ("linear", "relu", "sigmoid", "tanh", "softmax", "gelu")),
)
"""The parts that the check below goes through beside the registered ones."""


def test_agree_judges_what_torch_does_not_have(load, monkeypatch, capsys):
    """Every registered part is compared on our backends, and the report says that torch has none."""
    for table, names in FEW:
        monkeypatch.setattr(table, "_entries", {name: table[name] for name in names})
    load("mine", MINE)
    monkeypatch.setattr(agreement, "QUICK", Sizes(200, 20, 30, (8, 8), (6, 6), 1, 2, 2))
    words = (
        "agree.py --quick --dataset digits --backends numpy,torch,pytorch,onnxruntime --levels L0,L1,L2,L3"
    )
    monkeypatch.setattr(sys, "argv", [*words.split(), "--json"])
    assert agree.agree(agree.parse()) == 0
    found = json.loads(capsys.readouterr().out)
    parts = "activation 'cubic'", "layer 'Shift'", "loss 'quartic'", "optimizer 'sign_sgd'"
    missing = {f"pytorch on {part}" for part in parts} | {f"onnxruntime on {part}" for part in parts[:2]}
    assert set(found["not_run"]) == missing
    compared = {"L0": ["cubic"], "L1": ["Shift"], "L2": ["cubic", "quartic"], "L3": ["sign_sgd"]}
    for level, names in compared.items():
        records = [record for record in found["records"] if record["level"] == level]
        for name in names:
            backends = {r["backend"] for r in records if name in f"{r['case']} {r['tensor']}"}
            # ONNX Runtime ignores the loss, since it only computes forward.
            assert backends == {"numpy", "torch"} | (
                {"onnxruntime"} if (level, name) == ("L2", "quartic") else set()
            )


PARTS = {"layer type": "Shift", "loss": "quartic", "optimizer": "sign_sgd", "schedule": "harmonic",
         "metric": "largest_error", "activation": "cubic"}  # fmt: skip


@pytest.mark.parametrize("what", PARTS)
def test_an_unregistered_part_is_named_and_how_to_register_it(load, tmp_path, what):
    own_model(load("mine", MINE), NUMPY).save(tmp_path / "m.safetensors")
    for table in ALL:
        table._entries.pop(PARTS[what], None)
    with pytest.raises(CheckpointError, match=rf"{what} is '{PARTS[what]}', expected .*@dnn.register"):
        load_model(tmp_path / "m.safetensors", NUMPY)


def test_a_cell_that_runs_again_replaces_what_it_registered(load):
    first, second = load("mine", MINE), load("mine", MINE)
    assert first.Shift is not second.Shift
    assert LAYERS["Shift"] is second.Shift
    assert METRICS["largest_error"].batch.function is second.largest_error
    with input_error("layer 'Dense' exists already"):
        dnn.register(type("Dense", (Dense,), {}))
    with input_error("metric 'accuracy' exists already"):
        dnn.register(second.largest_error, name="accuracy")


@pytest.mark.parametrize("thing", [3, "dense", int, type("Nameless", (dnn.Adam,), {}), lambda y, o: o,
                                   ActivationFunction(None, None)])  # fmt: skip
def test_register_rejects_other_objects(load, thing):
    with input_error(r"cannot be registered|is named|expected a function made by def"):
        dnn.register(thing)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.what)
def test_public_names_include_every_table_entry(table):
    assert {cls.__name__ for cls in table.values()} <= set(dnn.__all__)
    for cls in table.values():
        for settings in cls.examples:
            cls(**settings)


def test_public_names_are_unique():
    assert len(set(dnn.__all__)) == len(dnn.__all__)
    assert all(hasattr(dnn, name) for name in dnn.__all__)
