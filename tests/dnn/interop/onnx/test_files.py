"""Contents of ONNX files: nodes, names, metadata."""

import json
import sys

import numpy as np
import onnx
import pytest
from helpers import NUMPY64, assert_listed, build_network, input_error, with_random_averages
from hostile import assert_sentence
from onnx_session import open_session

import dnn
from backends import BackendUnavailable
from backends.reference import ACTIVATIONS, ActivationFunction
from dnn import (
    LAYERS,
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Block,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GlobalMaxPooling2D,
    Layer,
    LayerNormalization,
    LeakyReLU,
    MaxPooling2D,
    Parallel,
    Rescaling,
    Reshape,
    Residual,
)
from dnn.interop import NoTwin
from dnn.interop.onnx import ACTIVATION_NODES, LAYER_NODES, save_onnx, to_onnx


def network(layers, shape):
    return with_random_averages(build_network(layers, shape, seed=3))


def assert_same_outputs(made, model, x):
    np.testing.assert_allclose(open_session(made)(x)[0], model.predict(x), rtol=1e-6)


def ops(model):
    return [node.op_type for node in model.graph.node]


def text_model():
    hidden = [Embedding(9, 4), Conv1D(3, 2, "silu", padding=(1, 0)), Dropout(0.5), Flatten()]
    return network([*hidden, Dense(2, "softmax")], (5,))


def image_model():
    inner = [
        Conv2D(4, 3, padding=1, groups=2),
        BatchNormalization(),
        LeakyReLU(0.3),
        Conv2D(4, 1, use_bias=False),
    ]
    layers = [
        Rescaling(1 / 255), Reshape((6, 6, 1)), Conv2D(4, 2, "elu", name="eyes"), MaxPooling2D(),
        Residual(inner), Parallel([Conv2D(2, 1), AveragePooling2D(1)]), GlobalMaxPooling2D(),
        Block([Dense(5), LayerNormalization(), Activation("tanh")]), GaussianNoise(0.5), Dense(1, "sigmoid"),
    ]  # fmt: skip
    return network(layers, (36,))


# ----- what is written


@pytest.mark.parametrize(
    ("layers", "transposes"),
    [
        ([Conv2D(3, 2), Conv2D(3, 2, "relu"), MaxPooling2D(), Flatten()], 2),
        ([Conv2D(3, 2, "softmax"), BatchNormalization(), Dropout(0.5), Conv2D(3, 1), Flatten()], 2),
        ([Conv2D(3, 2), LayerNormalization(), Conv2D(3, 1), Flatten()], 4),
        ([Conv2D(3, 2), MaxPooling2D(), GlobalMaxPooling2D()], 1),
        ([GlobalMaxPooling2D()], 0),
        ([Parallel([Conv2D(3, 1), Conv2D(2, 1)]), Flatten()], 2),
        ([Residual([Conv2D(2, 1), Conv2D(2, 1)]), Flatten()], 2),
        ([Flatten(), Dense(3)], 0),
    ],
)
def test_transposes_cancel(layers, transposes):
    made = to_onnx(network(layers, (6, 6, 2)))
    onnx.checker.check_model(made, full_check=True)
    assert ops(made).count("Transpose") == transposes


def test_nodes_and_weights_have_layer_names():
    model = image_model()
    made = to_onnx(model)
    assert (made.graph.input[0].name, made.graph.output[0].name) == ("x", "probabilities")
    held = {tensor.name: tensor for tensor in made.graph.initializer}
    assert set(model.parameters.by_name) <= set(held)
    assert "residual_1.block.batch_normalization_1.running_mean" in held
    names = {node.name.rpartition("_")[0] for node in made.graph.node}
    assert {"eyes.Conv", "residual_1.block.conv2d_1.Conv"} <= names
    for value, expected in ((made.graph.input[0], ["batch", 36]), (made.graph.output[0], ["batch", 1])):
        dims = value.type.tensor_type.shape.dim
        assert [d.dim_param or d.dim_value for d in dims] == expected
    assert (made.opset_import[0].version, made.ir_version) == (20, 9)


@pytest.mark.parametrize("name", ["x", "probabilities", "dense_2", "//x", "a b", "ü"])
def test_a_layer_may_have_any_name_without_dots(name):
    model = network([Dense(3, "relu", name=name), Dense(3, name="Gemm_2"), Dense(2, "softmax")], (4,))
    made = to_onnx(model)
    onnx.checker.check_model(made, full_check=True)
    x = np.ones((2, 4), np.float32)
    assert_same_outputs(made, model, x)
    assert f"{name}.W" in {tensor.name for tensor in made.graph.initializer}


@pytest.mark.parametrize(
    "last", [Dense(3, "softmax"), Activation("softmax"), Block([Dense(3), Activation("elu")])]
)
def test_logits(last):
    model = network([Dense(3), last], (4,))
    made, x = to_onnx(model, logits=True), np.ones((2, 4), np.float32)
    model.reserve(2, training=False)
    assert made.graph.output[0].name == "logits"
    np.testing.assert_allclose(
        open_session(made)(x)[0], model.forward(x, training=False, logits=True), rtol=1e-6
    )


def test_identity_network():
    model = build_network([Dropout(0.5)], (4,))
    made, x = to_onnx(model), np.arange(8, dtype=np.float32).reshape(2, 4)
    onnx.checker.check_model(made, full_check=True)
    assert (ops(made), made.graph.output[0].name) == (["Identity"], "outputs")
    np.testing.assert_array_equal(open_session(made)(x)[0], x)


def test_labels_and_metadata(tmp_path):
    path, names = tmp_path / "m.onnx", ["no, never", "ja"]
    save_onnx(text_model(), path, class_names=names, metadata={"dataset": "letters"})
    kept = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(kept["class_names"]) == names
    assert kept["dataset"] == "letters"
    assert (onnx.load(path).producer_name, onnx.load(path).producer_version) == (
        "array-api-dnn",
        dnn.__version__,
    )
    two = to_onnx(image_model(), class_names=["no", "yes"]).metadata_props
    assert [(entry.key, json.loads(entry.value)) for entry in two] == [("class_names", ["no", "yes"])]


@pytest.mark.parametrize(
    "options",
    [
        {"class_names": ["one"]}, {"class_names": "ab"}, {"class_names": [1, 2]}, {"metadata": {"a": 1}},
        {"metadata": {1: "a"}}, {"metadata": "ab"}, {"input_dtype": "int8"}, {"logits": "yes"},
    ],
)  # fmt: skip
def test_rejects_bad_arguments(options):
    with input_error(r"expected") as caught:
        to_onnx(text_model(), **options)
    assert_sentence(caught.value)


def test_float64_is_rounded():
    assert to_onnx(build_network([Dense(2)], (3,), NUMPY64)) == to_onnx(build_network([Dense(2)], (3,)))


# ----- parts of a user's own


class Twice(Layer):
    def forward(self, x, *, training):
        return x + x

    def backward(self, dy):
        return dy + dy


@pytest.fixture
def restored_tables(monkeypatch):
    for table in (LAYERS, ACTIVATIONS, LAYER_NODES, ACTIVATION_NODES):
        monkeypatch.setattr(table, "_entries", dict(table._entries))


def test_custom_layer(restored_tables):
    model = build_network([Residual([Twice(name="mine")]), Dense(2)], (3,))
    with pytest.raises(
        NoTwin, match=r"layer 'residual_1.block.mine' is Twice, which has no ONNX nodes"
    ) as caught:
        to_onnx(model)
    assert_sentence(caught.value)
    LAYER_NODES.add("Twice", lambda write, layer, x: write.node("Add", x, x))
    with pytest.raises(NoTwin, match="registered"):
        to_onnx(model)
    dnn.register(Twice)
    made, x = to_onnx(model), np.ones((4, 3), np.float32)
    assert_same_outputs(made, model, x)


def test_rejects_a_subclass_with_a_builtin_name():
    other = type("Dense", (Dense,), {"forward": lambda self, x, *, training: x})
    model = build_network([other(3, name="mine")], (3,))
    with pytest.raises(NoTwin, match="layer 'mine'"):
        to_onnx(model)


def test_custom_activation(restored_tables):
    square = ActivationFunction(lambda xp, z: z * z, lambda xp, dy, z, y: 2 * z * dy)
    dnn.register(square, "square")
    model = build_network([Dense(2, "square", name="mine")], (3,))
    with pytest.raises(NoTwin, match=r"layer 'mine' has activation 'square', which has no ONNX nodes"):
        to_onnx(model)
    ACTIVATION_NODES.add("square", lambda write, z: write.node("Mul", z, z))
    x = np.ones((4, 3), np.float32)
    assert_same_outputs(to_onnx(model), model, x)


def test_every_layer_and_activation_has_nodes():
    assert_listed("LAYER_NODES in dnn/interop/onnx/layers.py", LAYER_NODES, LAYERS)
    assert_listed("ACTIVATION_NODES in dnn/interop/onnx/activations.py", ACTIVATION_NODES, ACTIVATIONS)


# ----- refusals


def test_reports_an_unwritable_path(tmp_path):
    with input_error("cannot be written"):
        save_onnx(text_model(), tmp_path / "none" / "m.onnx")


def test_reports_a_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BackendUnavailable, match="onnx is not installed; pip install onnx"):
        to_onnx(text_model())
