"""Residual and Parallel: outputs, gradients, saving, freezing and random numbers."""

import pytest
from helpers import NUMPY64, build_network, input_error, same_bits, small_data, weights

from dnn import (
    SGD,
    BatchNormalization,
    Block,
    Dense,
    Dropout,
    Flatten,
    LayerNormalization,
    Parallel,
    RandomTranslation,
    Reshape,
    Residual,
)
from dnn.agreement import gradcheck
from dnn.checkpoints import load_model
from dnn.interop import torch as twin
from dnn.layers.initializers import INITIALIZERS
from dnn.random import stream_key


def build(*layers, shape=(6,), backend=None, seed=3):
    backend = backend or NUMPY64
    model = build_network([*layers, Dense(3, "softmax")], shape, backend, seed)
    model.compile(optimizer=SGD(0.1))
    return model


def everything():
    """Nested containers with state, random numbers and parameters."""
    return [
        Residual([Dense(8, "relu"), Dropout(0.2), Dense(6)]),
        Parallel([Dense(4, "tanh"), [BatchNormalization(), Residual([Dense(6, "gelu"), Dropout(0.3)])]]),
        Parallel([Dense(5), [LayerNormalization(), Dense(5, "softmax")], Dense(5, "tanh")], merge="add"),
    ]


def test_gradients_by_central_differences():
    """Parameters before, within and behind containers, with statistics of the batch."""
    normalised = [BatchNormalization(), Residual([Dense(6, "gelu")])]
    block = Block([
        Dense(6, "tanh"), Residual([Dense(8, "gelu"), Dense(6)]),
        Parallel([Dense(4, "tanh"), normalised, Dense(2)]),
        Parallel([Dense(5), [LayerNormalization(), Dense(5, "softmax")]], merge="add"), Dense(3),
    ])  # fmt: skip
    assert gradcheck(block, input_shape=(6,)).holds


def test_each_dropout_has_its_own_stream():
    layers = [Dropout(0.5), Residual([Dropout(0.5)]), Parallel([Dropout(0.5), [Dropout(0.5)]])]
    first, residual, parallel, _ = build(*layers).layers
    inner = residual.layers[0], parallel.inner[0], parallel.inner[1].layers[0]
    assert len({layer._key for layer in (first, *inner)}) == 4


def test_the_inner_seed_depends_on_the_position_of_the_container():
    model = build(Dense(6), Parallel([Dense(6), Dense(6)]))
    high, low = stream_key(3, "Parallel", 1)
    values, draw = model.parameters.to_host(), INITIALIZERS["glorot_uniform"]
    for name, seed, place in (("dense_1", 3, 0), ("parallel_1.dense_2", high * 2**32 + low, 1)):
        assert same_bits(values[f"{name}.W"], draw(stream_key(seed, "weights", place), (6, 6)))


def test_saved_and_loaded_with_state_and_freezing(tmp_path):
    x, y = small_data()
    layers = everything()
    layers[0].layers[0].trainable = False
    layers[1].trainable = False
    model = build(*layers)
    before = model.parameters.to_host()
    model.fit(x, y, batch_size=10)
    after = model.parameters.to_host()
    frozen = {name for name in before if name.startswith(("residual_1.block.dense_1.", "parallel_1."))}
    assert "parallel_1.residual_1.dense_2.W" not in frozen  # numbered within its own container
    for name, values in before.items():
        steps = name.endswith(".step")  # masks are still drawn
        assert same_bits(after[name], values) == (name in frozen and not steps), name
    model.save(tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors", model.backend)
    assert again.config() == model.config()
    assert same_bits(again.predict(x), model.predict(x))
    assert again.frozen_names == model.frozen_names
    for one in (model, again):
        one.fit(x, y, batch_size=10)
    assert same_bits(weights(again), weights(model))


def test_a_container_is_frozen_with_all_its_layers():
    container = Residual([Dense(6, trainable=False), Dense(6)])
    assert [layer.trainable for layer in container.layers] == [False, True]
    assert container.trainable
    container.trainable = False
    assert not any(layer.trainable for layer in container.layers)
    assert not Residual([Dense(6)], trainable=False).layers[0].trainable


def test_summary_shows_inner_layers(capsys):
    build(*everything()).summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[-1] == "110"
    assert lines[2].startswith("  shortcut (Activation)")
    assert lines[3].startswith("  block (Block)")
    assert lines[4].startswith("    dense_1 (Dense, relu)")
    assert any(line.startswith("    dropout_1") for line in lines)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Residual([]), "layers is empty, expected at least one layer"),
        (lambda: Residual(Dense(3)), "layers is .*expected a list"),
        (
            lambda: build(Residual([RandomTranslation(1)]), Flatten(), shape=(4, 4)),
            r"'random_translation_1' .* is in the wrong place, expected it directly in the model",
        ),
        (lambda: Residual([{"type": "Dense", "unit": 3}]), "a layer is described wrongly: .*unit"),
        (lambda: Residual([{"type": "Dens", "units": 3}]), "layer type is 'Dens'.*'Dense'"),
        (lambda: Residual([Dense(6, name="x"), Dense(6, name="x")]), "each name once"),
        (lambda: Parallel([Dense(3), []]), "layers is empty"),
        (lambda: Parallel([Dense(3)], merge="sum"), "merge is 'sum', expected one of concatenate, add"),
        (lambda: build(Residual([Dense(5)])), r"\(Residual\) .*\(6,\), \(5,\)\], expected equal shapes$"),
        (lambda: build(Parallel([Dense(5), Dense(4)], merge="add")), "expected equal shapes$"),
        (lambda: build(Parallel([Reshape((2, 3)), Dense(4)])), "equal except for the last axis"),
    ],
)  # fmt: skip
def test_rejects_invalid_arguments(make, message):
    with input_error(message):
        make()


def test_a_softmax_in_an_inner_block_is_left_out_of_a_twin():
    """The loss takes logits even if the softmax is in an inner layer."""
    x, _ = small_data()
    nested = build_network([Block([Dense(5, "tanh"), Block([Dense(3, "softmax")])])], backend=NUMPY64)
    nested.compile()
    module = twin.to_torch(nested)
    assert module.left_out == "softmax"
    assert same_bits(twin.from_torch(module, NUMPY64).predict(x), nested.predict(x))
