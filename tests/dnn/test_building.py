"""Errors of Sequential and compile, and the summary of a model."""

import pickle
from copy import copy
from dataclasses import field

import numpy as np
import pytest
from helpers import NUMPY, build_network, fit_small, input_error, small_data, small_model

import dnn
from backends import InputError, get_backend
from dnn import Adam, Conv2D, Dense, EarlyStopping, Flatten, MeanSquaredError, OneCycle, Sequential


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ([], {}, "layers is empty"),
        (["dense"], {}, r"layers\[0\] is 'dense', expected a Layer"),
        ([Dense(2)], {"backend": 3}, "backend is 3, expected a name or get_backend"),
        ([Dense(2)], {"backend": "numpi"}, "backend is 'numpi'.*did you mean 'numpy'"),
        ([Dense(2)], {"input_shape": (0,)}, "input_shape is 0"),
        ([Dense(2)], {"input_shape": ()}, "input_shape is empty"),
        ([Dense(2)], {"seed": -1}, "seed is -1"),
    ],
)
def test_build_rejects_invalid_models(layers, options, message):
    arguments = {"input_shape": (6,), "backend": NUMPY, **options}
    with input_error(message):
        Sequential(layers, **arguments)


@pytest.mark.parametrize(
    ("layers", "first"),
    [
        ([Flatten(), Dense(2)], "numba"),
        (
            [dnn.Rescaling(2), dnn.RandomTranslation(1), dnn.Reshape((4, 4)), Flatten(), Dense(2), Dense(2)],
            "numba",
        ),
        ([Flatten(), Dense(2), dnn.Dropout(0.5)], "torch"),
        ([Flatten(), dnn.Dropout(0.5), Dense(2)], "torch"),
        ([Flatten(), Dense(2, "relu"), dnn.BatchNormalization(), Dense(2)], "torch"),
        ([Conv2D(1, 2), Flatten()], "torch"),
        ([Flatten(), dnn.Residual([Dense(16)])], "torch"),
        ([dnn.MaxPooling2D(), dnn.Reshape((4, 1)), dnn.Conv1D(1, 2), Flatten()], "torch"),
    ],
)
def test_auto_knows_whether_all_layers_are_dense(layers, first):
    model = Sequential(layers, input_shape=(4, 4, 1), backend="auto")
    assert model.backend.reason == get_backend("auto", cpu_first=first).reason
    assert copy(model).backend is model.backend
    assert pickle.loads(pickle.dumps(model)).backend.name == model.backend.name


def test_a_layer_belongs_to_one_model():
    layer = Dense(6)
    with input_error("'Dense' is in the model already"):
        Sequential([layer, layer], input_shape=(6,), backend=NUMPY)
    Sequential([layer], input_shape=(6,), backend=NUMPY)
    with input_error("'dense_1' is in a model already"):
        Sequential([Dense(6), layer], input_shape=(6,), backend=NUMPY)


class Failing(Dense):
    """Fails when the model is almost complete."""

    def initial_values(self, key):
        raise MemoryError


FAILURES = {  # each makes a model of these layers, which cannot be
    "arguments": lambda a, b: Sequential([a, b], input_shape=(6,), backend=3),
    "no layer": lambda a, b: Sequential([a, [b, "dense"]], input_shape=(6,), backend=NUMPY),
    "equal names": lambda a, b: Sequential(
        [a, [b], Dense(1, name="x"), Dense(1, name="x")], input_shape=(6,)
    ),
    "shapes": lambda a, b: Sequential([a, b, Conv2D(3, 2)], input_shape=(6,), backend=NUMPY),
    "the last shape": lambda a, b: Sequential([[a, [b]]], input_shape=(5, 6), backend=NUMPY),
    "late": lambda a, b: Sequential([[a, b], Failing(2)], input_shape=(6,), backend=NUMPY),
    "another model": lambda a, b: Sequential([a, b, small_model().layers[0]], input_shape=(6,)),
    "a container": lambda a, b: dnn.Parallel([a, b], merge="mean"),
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_a_failed_constructor_leaves_its_layers_as_they_were(fail):
    layers = Dense(6), Dense(3, "softmax")
    before = [dict(vars(layer)) for layer in layers]
    with pytest.raises((InputError, MemoryError)):
        fail(*layers)
    assert [vars(layer) for layer in layers] == before
    model = Sequential([Dense(6), *layers], input_shape=(6,), backend=NUMPY)
    assert [layer.name for layer in model.layers] == ["dense_1", "dense_2", "dense_3"]


@pytest.mark.parametrize("kind", [dnn.Block, dnn.Parallel, dnn.Residual])
def test_a_container_can_be_used_after_a_failed_constructor(kind):
    container = kind([Dense(6), kind([Dense(6)])])
    for last, failure in ((Failing(2), MemoryError), (Conv2D(2, 2), InputError)):
        with pytest.raises(failure):
            Sequential([container, last], input_shape=(6,), backend=NUMPY)
    Sequential([container, Flatten()], input_shape=(6,), backend=NUMPY)


class Counting(dnn.Layer):
    """A parameter and a state of one name."""

    def parameter_shapes(self):
        return {"n": (1,)}

    def initial_state(self):
        return {"n": np.zeros(1)}

    def forward(self, x, *, training=False):
        return x

    backward = forward


class Dotted(Dense):
    """Its usual name has a dot, which no check sees."""

    name: str = field(default="a.b", kw_only=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(3, name="a.b"), "name is 'a.b', expected a string without dots"),
        (lambda: [Counting(), Dense(3)], "a parameter and a state are named 'counting_1.n'"),
        (lambda: [dnn.Block([Dense(6, name="b")], name="a"), Dotted(6)], "parameters are named"),
    ],
)  # fmt: skip
def test_no_two_parameters_have_one_name(make, message):
    with input_error(message):
        Sequential(make(), input_shape=(6,), backend=NUMPY)


@pytest.mark.parametrize(
    ("output", "arguments", "message"),
    [
        ("relu", {}, "activation is 'relu', expected 'softmax' .*'categorical_crossentropy'"),
        ("softmax", {"loss": "bce"}, "'softmax', expected 'sigmoid' .*'binary_crossentropy'"),
        ("softmax", {"loss": "categorical"}, "loss is 'categorical', .*did you mean 'categ"),
        ("softmax", {"optimizer": "adm"}, "optimizer is 'adm', .*did you mean 'adam'"),
        ("softmax", {"loss": MeanSquaredError}, r"loss is .*expected a name or a loss such as MeanSq"),
        ("softmax", {"optimizer": Adam}, r"optimizer is .*expected a name or an optimizer such as Adam\("),
        ("softmax", {"metrics": ("accu",)}, "metric is 'accu', .*accuracy"),
    ],
)
def test_compile_rejects_invalid_arguments(output, arguments, message):
    model = small_model(NUMPY, output=output, compiled=False)
    with input_error(message):
        model.compile(**arguments)
    assert model.loss is None


def test_summary(capsys):
    model = build_network([Dense(128, "relu"), Dense(3, "softmax")])
    model.summary()
    lines = []
    model.summary(lines.append)
    assert capsys.readouterr().out.splitlines() == lines
    assert [line.split()[-1] for line in lines] == ["parameters", "896", "387", "1,283"]
    assert "dense_1 (Dense, relu)" in lines[1]
    assert {line.find("('batch'") for line in lines[1:3]} == {lines[0].find("output shape")}
    assert {len(line) for line in lines} == {len(lines[0])}


def test_repr_shows_the_settings():
    model = small_model()
    shown = repr(model)
    assert shown.startswith("Sequential(layers=(Dense(units=8, activation='relu', ")
    assert "input_shape=(6,), backend=NumpyBackend(name='numpy', device='cpu'" in shown
    shown = "EarlyStopping(monitor='val_loss', min_delta=0.0, patience=3, verbose=0, mode='auto', "
    assert repr(EarlyStopping(patience=3)) == shown + "restore_best_weights=False)"
    found = model.evaluate(*small_data()), fit_small(model)
    parts = model.loss, model.optimizer, OneCycle(0.1, 8), dnn.ReduceLROnPlateau(), dnn.LAYERS
    for thing in (*model.layers, *found, *parts):
        assert " object at 0x" not in repr(thing)
