"""Buffers: one model in many threads, and memory for the largest batch only."""

import threading

import numpy as np
import pytest
from helpers import MAX_SECONDS, build_network, input_error, same_bits

from dnn import Activation, BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D, Reshape
from dnn.layers.buffers import MAX_CACHED_SIZES, Buffers

THREADS, CALLS = 8, 60


def network(backend):
    layers = [
        Reshape((6, 6, 1)), Conv2D(4, 3, "relu"), MaxPooling2D(2), BatchNormalization(), Flatten(),
        Dense(16, "gelu"), Activation("tanh"), Dense(5, "softmax"),
    ]  # fmt: skip
    model = build_network(layers, (36,), backend, 1)
    model.compile()
    return model


@pytest.mark.parametrize("backend_id", ["numpy", "numba", "torch", "strict", "cupy", "torch:cuda"])
def test_threads_that_use_one_model_do_not_disturb_each_other(make_backend, backend_id):
    model = network(make_backend(backend_id))
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(3 + i, 36)).astype(np.float32) for i in range(THREADS)]
    ys = [np.arange(len(x)) % 5 for x in xs]
    wanted = [(model.predict(x), model.evaluate(x, y)) for x, y in zip(xs, ys, strict=True)]
    wrong, start = [], threading.Barrier(THREADS)
    calls = CALLS if backend_id != "strict" else 3

    def work(i):
        start.wait(MAX_SECONDS)
        for turn in range(calls):
            j = (i + turn) % THREADS
            if (
                not same_bits(model.predict(xs[j]), wanted[j][0])
                or model.evaluate(xs[j], ys[j]) != wanted[j][1]
            ):
                wrong.append((i, turn))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(MAX_SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_smaller_batches_are_views_and_old_views_go():
    made = []

    def make(batch, training):
        made.append((batch, training))
        return {"y": np.zeros((batch, 2)), "dx": np.zeros((batch, 3)) if training else None}

    buffers = Buffers()
    buffers.reserve(100, True, make)
    whole = buffers[100].y
    buffers.reserve(7, True, make)
    assert np.shares_memory(buffers[7].y, whole)
    assert buffers[7].dx.shape == (7, 3)
    for n in range(20, 60):  # inference shares the arrays of training
        buffers.reserve(n, False, make)
        assert np.shares_memory(buffers[n].y, whole)
    buffers.reserve(300, False, make)
    assert made == [(100, True), (300, False)]
    assert buffers[100].y is whole  # the arrays of a recorded step are not moved
    for n in range(200, 300):
        buffers.reserve(n, False, make)
    assert len(buffers.views) <= MAX_CACHED_SIZES + 2
    assert made == [(100, True), (300, False)]
    with input_error("no buffers are reserved for batches of 400, expected .*reserve"):
        buffers[400]
    for n in range(200, 299):
        buffers.reserve(n, True, make)
    assert len(buffers.views) <= 2 * MAX_CACHED_SIZES
    buffers.reserve(299, True, make)  # training after inference with the same batch size
    assert buffers[299].dx.shape == (299, 3)
