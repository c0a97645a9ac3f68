"""onnxruntime's results for our files against the float64 oracle: layers, activations, presets, inputs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import NUMPY, build_network, small_data
from layer_edges import EDGES

from backends import get_backend
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
from dnn.agreement.bounds import eta
from dnn.agreement.contender import build_layer
from dnn.agreement.onnx_runtime import Session
from dnn.agreement.oracle import DISTURBANCE
from dnn.agreement.samples import samples, sum_lengths
from dnn.commands.presets import PRESETS
from dnn.interop.onnx import to_onnx
from dnn.interop.onnx.write import network_graph

FLOAT64_BACKEND = get_backend("numpy", dtype="float64", fused=False)
ASYMMETRIC_CASES = [
    (lambda: Conv2D(3, 3, padding="same", strides=2, use_bias=False), (6, 7, 2)),
    (lambda: Conv2D(4, (2, 3), dilation=(3, 2), strides=2, padding=((0, 1), (2, 1)), groups=2), (7, 8, 2)),
    (lambda: Conv1D(3, 4, "softmax", strides=2, padding=(2, 1)), (9, 2)),
    (lambda: MaxPooling2D(3, strides=2, padding="same"), (6, 7, 2)),
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


def build_random_layer(make, shape, backend, seed):
    """Return a built layer with random parameters and running averages."""
    layer, stream = make(), np.random.default_rng(seed)
    layer.build(shape, NUMPY, "layer", needs_dx=True)
    values = {k: stream.standard_normal(s) / np.sqrt(s[0]) for k, s in layer.parameter_shapes().items()}
    state = {k: np.abs(stream.standard_normal(v.shape)) + 0.2 for k, v in layer.state.items()}
    layer = make()
    build_layer(layer, shape, backend, {k: v.astype(np.float32) for k, v in values.items()})
    for name, array in layer.state.items():
        array[...] = backend.from_host(state[name].astype(np.float32).astype(array.dtype))
    return layer


def error_magnification(layer, x):
    """Return the factor by which a layer magnifies rounding; batch normalisation uses running averages."""
    if not isinstance(layer, BatchNormalization):
        y = np.array(layer.forward(x, training=False))
        moved = x * np.random.default_rng(0).choice([1 - DISTURBANCE, 1 + DISTURBANCE], x.shape)
        return max(1.0, eta(layer.forward(moved, training=False), y) / DISTURBANCE)
    mean = layer.state["running_mean"]
    return np.linalg.norm(np.abs(x) + np.abs(mean)) / np.linalg.norm(x - mean)


def worst_ratio(make, shape, seed, batch):
    """Return error / bound of L1 for a layer's exported forward pass in evaluation."""
    ours, exact = (build_random_layer(make, shape, backend, seed) for backend in (NUMPY, FLOAT64_BACKEND))
    made = network_graph([ours], shape).as_model({})
    onnx.checker.check_model(made, full_check=True)
    x = np.random.default_rng([seed, 1]).standard_normal((batch, *shape)).astype(np.float32)
    wide = x.astype(np.float64)
    exact.reserve(batch, training=False)
    expected = exact.forward(wide, training=False)
    (found,) = Session(made)(x)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    inner = sum_lengths(exact, batch)[0] if not exact.uses_batch_statistics else 1
    return eta(found, expected) / bounds.layer(inner, condition=error_magnification(exact, wide))


@pytest.mark.parametrize("batch", [1, 100])
def test_every_layer(batch):
    cases = [(make, shape) for _, make, shape in samples() if not make().must_precede_trained]
    cases += [*EDGES, *ASYMMETRIC_CASES, *CONTAINER_CASES]
    ratios = [worst_ratio(*case, 0, batch) for case in cases]
    print(f"{len(ratios)} layers at batch {batch}: {max(ratios):.3f} of the bound at most")
    assert max(ratios) <= 1.0
    assert min(ratios) == 0.0  # Flatten rounds nothing


# ----- whole networks


def random_images(n, side=28, seed=0):
    stream = np.random.default_rng([seed, 2])
    return (stream.integers(0, 256, (n, side * side)) * (stream.random((n, side * side)) < 0.3)).astype(
        np.uint8
    )


def assert_equal_outputs(model, x, **options):
    made = to_onnx(model, **options)
    onnx.checker.check_model(made, full_check=True)
    np.testing.assert_allclose(Session(made)(x)[0], model.predict(x), rtol=1e-5, atol=1e-6)


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
    session = Session(to_onnx(model))
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
    assert Session(made[0])(x)[0].shape == (50, 2)
