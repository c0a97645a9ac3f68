"""Calls as Keras's users write them: they do the same here, or name what to use instead."""

import importlib
import runpy
import sys
from inspect import signature

import numpy as np
import pytest
import torch
from helpers import input_error, same_bits, small_data, small_model, weights

import dnn
from dnn import LAYERS, Adam, Dense, Input, Sequential
from dnn.interop.sklearn import DNNRegressor
from dnn.keras_names.aliases import ALIASES
from dnn.keras_names.programs import find_faults
from dnn.keras_names.table import REPLACEMENTS

KERAS_MODULES = (
    dnn, dnn.callbacks, dnn.datasets, dnn.layers, dnn.losses, dnn.metrics, dnn.models, dnn.optimizers,
    dnn.optimizers.schedules, dnn.utils,
)  # fmt: skip


PROGRAM = """
from dnn import optim, regularizers
import dnn as keras
model = keras.Sequential(inputs=3)
model.add(keras.layers.Dense(8))
layer = keras.layers.Dense(8, use_bias=False)
layer.get_weights()
optimizer = keras.optimizers.Adam(lr=0.1)
optimizer.step()
keras.load_model("m").predict(x, callbacks=[])
keras.nothing, np.add, model.nothing, keras.Model(inputs=3)
model(x)
"""
FAULTS = """
line 2: dnn has no
line 4: Sequential has no
line 5: a Sequential has
line 7: a Dense has
line 8: Adam has no
line 9: a Adam has
line 10: predict has no
line 11: dnn has no
line 12: a Sequential was
"""
TWO_INPUTS = np.hsplit(small_data()[0], [2])


class PyDataset:
    """Batches by number, without ``__iter__``."""

    ends = 0

    def __len__(self):
        return 5

    def __getitem__(self, i):
        x, y = small_data()
        return x[i * 10 : i * 10 + 10], y[i * 10 : i * 10 + 10]

    def on_epoch_end(self):
        self.ends += 1


def as_tensors():
    x, y = small_data()
    return torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))


def test_names_that_exist_are_not_refused():
    model = small_model()
    assert not set(dir(model)) & set(REPLACEMENTS["model"])
    assert not set(dir(model.layers[0])) & set(REPLACEMENTS["layer"])
    public = {name for module in KERAS_MODULES for name in vars(module).get("__all__", ())}
    assert not public & set(REPLACEMENTS["module"])
    assert dnn.RMSprop(decay=0.8).decay == 0.8

    class Scaled(dnn.Flatten):
        def __init__(self, p):
            self.p = p

    assert Scaled(p=2.0).p == 2.0


@pytest.mark.parametrize("place", ["model", "layer", "loss", "optimizer", "estimator"])
def test_a_missing_attribute_names_what_to_use(place):
    model = small_model()
    owners = {"model": model, "layer": model.layers[0], "estimator": DNNRegressor()}
    owner = owners.get(place) or getattr(model, place)
    for name, cure in REPLACEMENTS[place].items():
        assert not hasattr(owner, name)
        with pytest.raises(AttributeError) as error:
            getattr(owner, name)
        assert str(error.value) == f"a {type(owner).__name__} has no {name}, expected {cure}"


@pytest.mark.parametrize("module", KERAS_MODULES, ids=lambda module: module.__name__)
def test_a_missing_name_of_a_module_names_what_to_use(module):
    """Each name is looked up in one of the modules."""
    cures = list(REPLACEMENTS["module"].items())
    for name, cure in cures[KERAS_MODULES.index(module) :: len(KERAS_MODULES)]:
        if name in vars(module):  # such as a submodule
            continue
        text = f"{module.__name__} has no {name}, expected {cure}"
        assert not hasattr(module, name)
        with pytest.raises(AttributeError) as error:
            getattr(module, name)
        assert str(error.value) == text
        with pytest.raises(ImportError) as error:
            exec(f"from {module.__name__} import {name}")
        assert str(error.value) == text


def test_a_missing_module_names_what_to_use():
    text = r"dnn[a-z.]* has no regularizers, expected model.compile\(l1=, l2=\)"
    with pytest.raises(ModuleNotFoundError, match=text):
        import dnn.regularizers as _
    with pytest.raises(ModuleNotFoundError, match=text):
        from dnn.regularizers import L2  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'dnn.nothing'"):
        import dnn.nothing as _  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'dnn'"):
        from dnn import nothing  # noqa: F401
    with pytest.raises(AttributeError, match=r"dnn has no attribute 'Dens'"):
        dnn.Dens  # noqa: B018


def test_a_name_of_another_module_is_named():
    with input_error("dnn.layers has no Adam, expected dnn.Adam"):
        dnn.layers.Adam  # noqa: B018
    with input_error("dnn has no TrainingCheckpoint, expected dnn.callbacks.TrainingCheckpoint"):
        dnn.TrainingCheckpoint  # noqa: B018
    for name in ("loss", "layer", "metric", "dataset", "callback", "optimizer", "checkpoint", "model"):
        with pytest.raises(ImportError, match=rf"dnn has no {name}, expected dnn\.{name}e?s\n"):
            importlib.import_module(f"dnn.{name}")
    for name in ("sklearn", "torch", "onnx"):
        with pytest.raises(ImportError, match=rf"dnn has no {name}, expected dnn\.interop\.{name}\n"):
            importlib.import_module(f"dnn.{name}")


def test_aliases():
    for name, ours in ALIASES.items():
        if ours in LAYERS:
            assert getattr(dnn.layers, name) is getattr(dnn, name) is getattr(dnn, ours)
    assert Dense(2, "swish").activation == "silu"
    assert Dense(2, None).activation == "linear"
    with input_error(r"activation is \[\], expected one of"):
        Dense(2, [])
    assert Input((3,), name="pixels").shape == (3,)


@pytest.mark.parametrize("callee", [
    Input, Dense, Adam, Sequential, DNNRegressor, dnn.EarlyStopping, dnn.CosineDecay, dnn.MeanSquaredError,
    dnn.load_model, dnn.datasets.load_image, small_model().compile, Sequential.fit, Sequential.evaluate,
])  # fmt: skip
def test_an_argument_of_keras_names_what_to_use(callee):
    names = REPLACEMENTS["argument"] | REPLACEMENTS["renamed argument"] | {"nothing": ""}
    for name in names.keys() - signature(callee).parameters.keys():
        with input_error(f"{callee.__name__} has no argument '{name}'; ."):
            callee(**{name: 1})


def test_an_error_lists_what_else_the_program_lacks(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    with pytest.raises(ImportError, match="dnn has no optim") as error:
        runpy.run_path(str(path))
    first_words = [" ".join(line.split()[:5]) for line in error.value.__notes__[0].splitlines()[1:]]
    assert first_words == FAULTS.strip().splitlines()


def test_submodules_that_a_program_imports_later_exist(monkeypatch):
    for name in ("dnn.interop.torch", "dnn.interop.sklearn", "dnn.agreement.gradcheck"):
        importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)
        parent, _, own = name.rpartition(".")
        monkeypatch.delattr(sys.modules[parent], own)
        program = f"import {name}\nfrom {parent} import {own}\nfrom {parent} import optim"
        assert list(find_faults(program).values()) == [3]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model: dnn.Conv2D(3, 3, dilation_rate=2), "use dilation="),
        (lambda model: dnn.Conv1D(3, 3, dilation_rate=2), r"use Conv2D\(dilation=\)"),
        (lambda model: Adam(lr=1, eps=1), "no argument 'lr'; use learning_rate=; nor 'eps'; use epsilon="),
        (lambda model: model.parameters(), "model.parameters.by_name"),
        (lambda model: model.loss(1, 2), r"model.gradients\(x, y\)"),
        (lambda model: model.parameters.load([1]), "expected a dict as to_host"),
        (lambda model: Dense(3, len), "dnn.register"),
        (lambda model: dnn.GlobalMaxPooling2D("channels_last"), "got 'channels_last' .* expected none; "),
        (lambda model: dnn.Flatten("channels_last"), "got 'channels_last' .* expected none; .*name="),
        (lambda model: dnn.MaxPooling2D(2, 2), "got 2 as argument number 2, .*: pool_size; .* strides="),
        (lambda model: dnn.TerminateOnNaN(3), "got 3 as argument number 1, expected none"),
        (lambda model: dnn.Conv2D(3, 3, "same"), "activation is 'same', expected padding= by name"),
        (lambda model: dnn.Block(Dense(3), Dense(2)), r"expected one list: Block\(\[...\]\)"),
        (lambda model: Sequential([Input((4,)), model]), r"added as \*part"),
        (lambda model: type("Mine", (dnn.Layer,), {})(), "has no backward and no forward"),
        (lambda model: float(dnn.CosineDecay(0.1, 9)), "optimizer_state.rate"),
        (lambda model: DNNRegressor(epochs=3, loss="mse"), "use max_iter=; nor 'loss'; leave it out"),
        (lambda model: model.compile(loss="nll"), "expected CategoricalCrossentropy"),
        (lambda model: model.get_layer("dense"), "did you mean 'dense_"),
        (lambda model: model.get_layer(index=2), "index is 2, expected an integer from 0 to 1"),
        (lambda model: Sequential([Dense(3)]), r"no input shape, expected Sequential\(\[Input\(\(784,\)\)"),
        (lambda model: Sequential(), "give all layers in the list"),
        (lambda model: Sequential([Input((6,)), Dense(3)], input_shape=(6,)), "no other shape beside Input"),
        (lambda model: model.predict(np.zeros((1, 6)), verbose=3), "verbose is 3"),
        (lambda model: model(np.zeros((1, 6))), r"expected model.predict\(x\)"),
        (lambda model: model.fit(TWO_INPUTS, small_data()[1]), "x "),
        (lambda model: model.fit(dict(zip("ab", TWO_INPUTS, strict=True)), small_data()[1]), "x "),
        (lambda model: model.fit([(np.zeros((3, 5)), [0, 1, 2])]), r"x of batch 1 has shape \(3, 5\)"),
        (lambda model: model.evaluate(PyDataset(), sample_weight=[1]), r"expected batches \(x, y, weight\)"),
        (lambda model: model.evaluate([]), "x has no batches"),
        (lambda model: model.fit(type("None_", (PyDataset,), {"__len__": lambda _: 0})()), "without entries"),
        (lambda model: model.fit(*small_data(), validation_data=iter([])), "validation_data is an iterator"),
        (lambda model: model.fit(*small_data(), validation_data=[3]), "batch 1 of validation_data is a int"),
    ],
)  # fmt: skip
def test_what_stays_out_names_what_to_use(call, words):
    model = small_model()
    before = weights(model)
    with input_error(words):
        call(model)
    assert same_bits(weights(model), before)


def test_evaluate_and_get_layer(capsys):
    model = small_model()
    loss, accuracy = model.evaluate(*small_data(), verbose=2)
    assert capsys.readouterr().out == f"loss {loss:.4f}  acc {accuracy:.4f}\n"
    assert model.get_layer("dense_2") is model.get_layer(index=-1) is model.layers[1]


@pytest.mark.parametrize("arguments", [("adam", "mse"), (Adam(), "mse"), ("mse", "adam"), ("adam",)])
def test_compile_takes_both_orders(arguments):
    model = small_model(compiled=False)
    model.compile(*arguments)
    wanted = "mean_squared_error" if "mse" in arguments else "categorical_crossentropy"
    assert (model.loss.name, model.optimizer.name) == (wanted, "adam")
    model.compile("sgd", loss="mse")
    assert (model.loss.name, model.optimizer.name) == ("mean_squared_error", "sgd")


@pytest.mark.parametrize("arguments", [("sgd", "adam"), (Adam(), "sgd"), ("adam", dnn.SGD())])
def test_compile_refuses_two_optimizers(arguments):
    with input_error("loss is .*, expected"):
        small_model(compiled=False).compile(*arguments)


@pytest.mark.parametrize(
    ("make", "batch_size", "shuffle"),
    [(as_tensors, 8, True), (as_tensors, 8, False), (PyDataset, 10, False)],
)
def test_a_data_set_has_the_bits_of_arrays(make, batch_size, shuffle):
    plain = small_model()
    model = small_model()
    data = make()
    options = {"epochs": 3, "shuffle": shuffle}
    plain.fit(*small_data(), batch_size=batch_size, **options)
    model.fit(data, **options, **({"batch_size": batch_size} if make is as_tensors else {}))
    assert same_bits(weights(plain), weights(model))
    assert getattr(data, "ends", 3) == 3


@pytest.mark.parametrize(
    "batches",
    [PyDataset, as_tensors, lambda: [small_data()], lambda: torch.utils.data.DataLoader(as_tensors(), 7)],
)
def test_batches_are_evaluated_as_arrays_are(batches):
    model = small_model()
    expected = model.evaluate(*small_data())
    np.testing.assert_allclose(model.evaluate(batches()), expected, rtol=1e-5)
    history = model.fit(*small_data(), epochs=2, validation_data=batches()).history
    np.testing.assert_allclose(
        [history["val_loss"][-1], history["val_accuracy"][-1]], model.evaluate(*small_data()), rtol=1e-5
    )


def test_an_unknown_optimizer_before_the_loss_is_named():
    with input_error("optimizer is 'nadam', expected one of sgd"):
        small_model().compile("nadam", loss="mse")


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_method_of_a_users_layer_without_an_argument_is_shown_right(method):
    methods = {"forward": lambda self, x, *, training=False: x, "backward": lambda self, dy: dy}
    mine = type("Mine", (dnn.Layer,), methods | {method: lambda self: None})
    with input_error(f"{method} of Mine: .*, expected def {method}[(]self, "):
        dnn.Sequential([mine()], input_shape=(4,))


def test_lines_in_a_notebook(capsys, monkeypatch):
    kind = type("OutStream", (), {"__module__": "ipykernel.iostream", "isatty": lambda self: False})
    stream = kind()
    stream.write = sys.stdout.write
    stream.flush = sys.stdout.flush
    monkeypatch.setattr(sys, "stdout", stream)
    small_model().fit(*small_data(), epochs=2)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_classes_of_a_user_take_several_layers():
    class Two(dnn.Sequential):
        def __init__(self, first, last):
            super().__init__([first, last], input_shape=(4,), backend="numpy")

    assert Two(dnn.Dense(3), dnn.Dense(2)).outputs == 2
