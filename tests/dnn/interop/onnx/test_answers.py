"""onnxruntime's results for our files are those of our models: layers, activations, a preset, inputs."""

import numpy as np
import onnx
import pytest
from agreement_inputs import setup
from helpers import NUMPY, build_network, small_data, with_random_averages
from layer_edges import EDGES
from onnx_session import open_session

from backends.reference import ACTIVATIONS
from dnn import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Block,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    LayerNormalization,
    MaxPooling2D,
    Parallel,
    RandomRotation,
    RandomTranslation,
    Rescaling,
    Reshape,
    Residual,
)
from dnn.agreement import bounds
from dnn.agreement.level0_activations import make_sweep
from dnn.agreement.samples import samples
from dnn.commands.presets import PRESETS
from dnn.interop.onnx import to_onnx

BOUND = 1e-6
ASYMMETRIC_CASES = [
    (lambda: Conv2D(4, (2, 3), dilation=(3, 2), strides=2, padding=((0, 1), (2, 1)), groups=2), (7, 8, 2)),
    (lambda: Conv1D(3, 4, "softmax", strides=2, padding=(2, 1)), (9, 2)),
    (
        lambda: AveragePooling2D(
            (3, 2), strides=(2, 3), padding=((1, 0), (0, 1)), ceil_mode=True, count_include_pad=True
        ),
        (6, 7, 2),
    ),
]
CONTAINER_CASES = [
    (lambda: Parallel([Conv2D(3, 1), [MaxPooling2D(3, strides=1, padding=1), Conv2D(2, 1)]]), (5, 6, 4)),
    (lambda: Parallel([Conv2D(3, 1), [LayerNormalization(), Activation("elu")]]), (5, 6, 4)),
    (lambda: Residual([Conv2D(4, 3, "relu", padding=1), BatchNormalization()]), (5, 6, 4)),
    (lambda: Block([Conv2D(4, 3), [Activation("softmax"), Reshape((-1, 8))]]), (5, 6, 4)),
]
CASES = [(make, shape) for _, make, shape in samples() if not make().must_precede_trained]
CASES += [*EDGES, *ASYMMETRIC_CASES, *CONTAINER_CASES]


def assert_equal_outputs(model, x, **options):
    made = to_onnx(model, **options)
    onnx.checker.check_model(made, full_check=True)
    (found,) = open_session(made)(x)
    assert found.dtype == np.float32
    assert bounds.eta(found, model.predict(x)) <= BOUND


@pytest.mark.parametrize("batch", [1, 100])
@pytest.mark.parametrize(("make", "shape"), CASES)
def test_every_layer(make, shape, batch):
    model = with_random_averages(build_network([make(), Flatten()], shape), batch)
    assert_equal_outputs(
        model, np.random.default_rng(batch).standard_normal((batch, *shape)).astype(np.float32)
    )


@pytest.mark.parametrize("kind", [kind for kind in ACTIVATIONS if kind != "softmax"])
def test_activations_of_a_sweep(kind):
    z = make_sweep(setup("L0"), kind)
    f = ACTIVATIONS[kind]
    (found,) = open_session(to_onnx(build_network([Activation(kind)], z.shape[1:])))(z)
    scale = np.where(np.isfinite(z), np.abs(z), 0.0) * f.gated
    error = bounds.ulp_error(found, f.forward(np, z.astype(np.float64)), scale)
    assert error <= bounds.PIECEWISE_ULP.get(kind, bounds.COMPOSITE_ULP)


def random_images(n, side=28, seed=0):
    stream = np.random.default_rng([seed, 2])
    return (stream.integers(0, 256, (n, side * side)) * (stream.random((n, side * side)) < 0.3)).astype(
        np.uint8
    )


def test_a_preset():
    layers = PRESETS["cnn"].layers((28, 28), 10)
    assert_equal_outputs(build_network(layers, (784,)), random_images(5))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_input_dtypes_give_equal_outputs(dtype):
    model = build_network([Rescaling(1 / 255), Dense(5, "tanh"), Dense(3)], (9,))
    assert_equal_outputs(model, random_images(7, 3), input_dtype=dtype)


@pytest.mark.parametrize("dtype", [None, "uint8", "float32"])
def test_an_embedding(dtype):
    layers = [Embedding(20, 4), Conv1D(5, 3, "relu"), Flatten(), Dense(3, "softmax")]
    model = build_network(layers)
    assert_equal_outputs(model, np.random.default_rng(0).integers(0, 20, (30, 6)), input_dtype=dtype)


def test_augmentation_has_no_nodes():
    layers = [RandomTranslation(1), RandomRotation(5.0), Flatten(), Dense(3, "sigmoid")]
    model = build_network(layers, (4, 4))
    assert_equal_outputs(model, np.random.default_rng(0).standard_normal((5, 4, 4)).astype(np.float32))


def test_batch_size_is_free():
    model = build_network([Dense(3)])
    session = open_session(to_onnx(model))
    for n in (0, 1, 2, 1000):
        assert session(np.zeros((n, 6), np.float32))[0].shape == (n, 3)


@pytest.mark.parametrize("name", ["torch", "strict"])
def test_a_model_of_any_backend(name, make_backend):
    made = [
        to_onnx(build_network([Dense(3, "gelu"), Dense(2)], backend=b)) for b in
        (NUMPY, make_backend(name))
    ]  # fmt: skip
    assert made[0].SerializeToString() == made[1].SerializeToString()
    x, _ = small_data()
    assert open_session(made[0])(x)[0].shape == (50, 2)
