"""Batches cut into blocks: the gradient of the batch, added in the order of the tree."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from array_api_compat import array_namespace
from helpers import NUMPY64, Kept, assert_close, build_network, input_error, same_bits, weights

from backends import Backend, get_backend
from backends.numpy.blas import numpy_blas
from dnn import (
    Adam,
    BatchNormalization,
    CategoricalCrossentropy,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    RandomElastic,
    RandomTranslation,
    Residual,
)
from dnn.losses import apply_weights
from dnn.training.blocks import BlockedStep, all_layers
from dnn.training.runners import make_step
from dnn.training.state import StateError
from dnn.training.step import Cut, TrainingStep
from dnn.training.totals import Totals

N = 53  # the last batch of 16 has 5


def data(n=N):
    rng = np.random.default_rng(7)
    return rng.normal(size=(n, 6, 6)).astype(np.float32), rng.integers(0, 3, n)


def model(backend="numpy", dtype="float32", normalised=False, loss="categorical_crossentropy", **settings):
    middle = [BatchNormalization()] if normalised else []
    views = RandomTranslation(1), RandomElastic(5.0), Flatten()
    layers = [*views, Dense(8, "relu"), *middle, Dropout(0.3), GaussianNoise(0.1)]
    made = build_network([*layers, Dense(3, "softmax")], (6, 6), get_backend(backend, dtype=dtype))
    made.compile(loss, metrics=["accuracy", "r2"], **settings)
    return made


def fit(made, n=N, blocks=2, **options):
    return made.fit(*data(n), batch_size=16, blocks=blocks, **options).history


@pytest.mark.parametrize(
    ("options", "compiled"),
    [
        ({}, {"l2": 1e-2}),
        ({}, {"optimizer": Adam(clip_norm=0.1)}),
        ({"class_weight": {0: 3.0, 1: 0.0}}, {}),
        ({"sample_weight": np.linspace(0, 2, N)}, {}),
        ({"shuffle": False, "steps_per_epoch": 2}, {}),
    ],
)
@pytest.mark.parametrize("blocks", [2, 8])
def test_blocks_have_the_gradient_and_the_metrics_of_the_batch(blocks, options, compiled):
    """Masks, moves and noise are those of the batch too; in float64, up to rounding."""
    loss = CategoricalCrossentropy(ignore_index=2)
    whole, cut = (model(dtype="float64", loss=loss, **compiled) for _ in range(2))
    expected = fit(whole, blocks=1, epochs=2, **options)
    found = fit(cut, blocks=blocks, epochs=2, **options)
    assert_close(weights(cut), weights(whole), 1e-10)
    for name in ("loss", "accuracy", "r2"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)


def plain(backend, **settings):
    layers = [Flatten(), Dense(40, "relu"), Dense(24, "sigmoid", use_bias=False), Dense(3, "softmax")]
    made = build_network(layers, (6, 6), get_backend(backend))
    made.compile(metrics=["accuracy"], **settings)
    return made


def mean_output(y, outputs):
    """A metric that depends on all rows of the batch."""
    return array_namespace(outputs).mean(outputs)


@pytest.mark.parametrize("backend", ["numpy", "numba", "torch", "strict"])
def test_gradients_of_blocks_are_added_in_the_order_of_the_tree(backend):
    """Products have the same shapes, and sums the same order: equal bits on any processor."""
    pytest.importorskip({"strict": "array_api_strict"}.get(backend, backend))
    x, y = data(16)
    cut = plain(backend)
    whole = plain(backend)
    found = cut.backend
    weight = np.linspace(0.5, 2.0, 16).astype(np.float32)
    with cut.backend.in_threads(1):
        examples = cut.input_pipeline.check_training(x, y, sample_weight=weight)[0]
        order = found.from_host(np.arange(16, dtype=np.int64).reshape(1, 16))
        step = make_step(cut, examples, order, Totals(cut, weighted=True), Cut(4))
        step()
    blocks = []
    with whole.backend.in_threads(1):
        whole.reserve(4, training=True)
        for first in range(0, 16, 4):
            rows = slice(first, first + 4)
            x_, y_, w = (
                a[rows, ...] for a in whole.input_pipeline.check_training(x, y, sample_weight=weight)[0]
            )
            _, losses, dy = whole.loss_of(x_, y_, training=True)
            apply_weights(whole.backend.xp, w, losses, dy, examples.weights)
            whole.backward(dy)
            blocks.append(whole.backend.to_host(whole.parameters.gradient_vector).copy())
    expected = (blocks[0] + blocks[1]) + (blocks[2] + blocks[3])
    assert same_bits(found.to_host(cut.parameters.gradient_vector), expected)


def test_a_metric_of_all_rows_is_that_of_the_batch():
    found = []
    for blocks in (1, 4):
        made = build_network([Flatten(), Dense(3, "softmax")], (6, 6), NUMPY64)
        made.compile(metrics=[mean_output])
        found.append(fit(made, 48, blocks)["mean_output"])
    np.testing.assert_allclose(*found, rtol=1e-9)


def threads_now(name):
    """Return the number of threads that the library would use for a product now."""
    if name == "torch":
        return pytest.importorskip("torch").get_num_threads()
    return numpy_blas().threads._get()


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_blocks_are_computed_in_one_thread(name):
    pytest.importorskip(name)
    backend = get_backend(name)
    seen = []

    def watch(kernel_name, kernel):
        def record_threads(*arguments):
            seen.append(threads_now(name))
            return kernel(*arguments)

        return record_threads if kernel_name == "dense" else kernel

    made = build_network([Flatten(), Dense(3, "softmax")], (6, 6), backend.with_wrapper(watch))
    made.compile()
    with backend.in_threads(2):
        for blocks in (1, 2):
            fit(made, 16, blocks)
        assert threads_now(name) == 2
    assert seen == [2, 1, 1]


def test_a_library_without_a_number_of_threads_gets_a_warning(monkeypatch, caplog):
    made = build_network([Flatten(), Dense(3, "softmax")], (6, 6))
    made.compile()
    monkeypatch.setattr(type(made.backend), "thread_count", 7)
    for name in ("set_threads", "in_threads"):  # as of a library that cannot set it
        monkeypatch.setattr(type(made.backend), name, getattr(Backend, name))
    for blocks in (1, 2):
        assert "may depend on the number of threads" not in caplog.text
        fit(made, 16, blocks)
    assert "may depend on the number of threads: threads is 1" in caplog.text


def test_finds_random_layers_in_containers():
    made = build_network([Flatten(), Residual([Dense(36), Dropout(0.5)]), Dense(3, "softmax")], (6, 6))
    names = [type(layer).__name__ for layer in all_layers(made.layers)]
    assert names == ["Flatten", "Residual", "Activation", "Block", "Dense", "Dropout", "Dense"]


def test_the_running_statistics_are_the_mean_of_the_blocks():
    made = model(dtype="float64", normalised=True)
    x, y = data(16)
    alone = [model(dtype="float64", normalised=True) for _ in range(2)]
    fit(made, 16, shuffle=False)
    running = []
    for i, part in enumerate(alone):  # each half as a batch, with the masks of its rows
        half = slice(8 * i, 8 * i + 8)
        part.loss_of(x[half].astype(np.float64), y[half], training=True, first_row=8 * i)
        running.append(part.parameters.to_host())
    for name, value in made.parameters.to_host().items():
        if "running" in name:
            assert_close(value, (running[0][name] + running[1][name]) / 2, 1e-14)
    assert made.parameters.to_host()["dropout_1.step"] == [1]


def test_a_frozen_layer_keeps_its_bits():
    made = model(normalised=True)
    fit(made)
    frozen = next(layer for layer in made.layers if isinstance(layer, BatchNormalization))
    frozen.trainable = False
    before = made.parameters.to_host()
    fit(made)
    for name, value in made.parameters.to_host().items():
        if name.startswith(frozen.name):
            assert same_bits(value, before[name]), name
        elif name.endswith(".W"):
            assert not same_bits(value, before[name]), name


def test_one_block_is_the_plain_update():
    made = model()
    examples = made.input_pipeline.check(*data(16))
    order = np.arange(16).reshape(1, 16)
    for blocks, kind in ((1, TrainingStep), (2, BlockedStep)):
        assert type(make_step(made, examples, order, Totals(made), Cut(blocks))) is kind
    card = SimpleNamespace(graphs=True)
    assert Cut(1).check(card) == Cut(1)
    with input_error("blocks is 2 with graphs, expected 1"):
        Cut(2).check(card)


def test_sparse_rows_are_made_dense_in_blocks():
    """So a block has the bits of the same numbers in an array."""
    rng = np.random.default_rng(3)
    x = np.where(rng.random((N, 300)) < 0.1, rng.normal(size=(N, 300)), 0).astype(np.float32)
    trained = []
    for rows in (x, scipy.sparse.csr_array(x)):
        made = build_network([Dense(8, "relu"), Dense(3, "softmax")], (300,))
        made.compile()
        made.fit(rows, data()[1], batch_size=16, epochs=2, blocks=2)
        trained.append(weights(made))
    assert same_bits(*trained)


def test_resumes_only_with_the_same_number_of_blocks():
    whole = model()
    kept = Kept(2)
    fit(whole, blocks=4, epochs=2, callbacks=[kept])
    state = kept.states[1]
    assert state.facts["blocks"] == 4
    again = model()
    fit(again, blocks=4, epochs=2, resume=state)
    assert same_bits(weights(again), weights(whole))
    for blocks in (1, 2):
        with pytest.raises(StateError, match=f"differs in blocks: 4, expected {blocks}"):
            fit(model(), blocks=blocks, epochs=2, resume=state)
