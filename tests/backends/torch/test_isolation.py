"""Modes of torch and NumPy do not reach this library's calls, and the calls restore them."""

import copy
import pickle
import threading
from contextlib import contextmanager
from functools import cache, partial

import numpy as np
import pytest
import torch
from helpers import others_slow, same_bits, weights

from backends import get_backend
from dnn import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Sequential, fit_lbfgs, load_model
from dnn.interop.sklearn import DNNClassifier
from dnn.interop.torch import from_torch, to_torch
from dnn.layers import Reshape


@contextmanager
def changed(change, value, before):
    change(value)
    try:
        yield
    finally:
        change(before)


def precision(name):
    return lambda: changed(torch.set_float32_matmul_precision, name, "highest")


def switch(place):
    return lambda: changed(lambda name: setattr(place, "fp32_precision", name), "bf16", place.fp32_precision)


MODES = {
    "inference": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "high": precision("high"),
    "medium": precision("medium"),
    "products": switch(torch.backends.mkldnn.matmul),
    "convolutions": switch(torch.backends.mkldnn.conv),
    "dtype": lambda: changed(torch.set_default_dtype, torch.float64, torch.float32),
    "device": lambda: torch.device("meta"),
    "deterministic": lambda: changed(torch.use_deterministic_algorithms, True, False),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "numpy": lambda: np.errstate(all="raise"),
}


def state():
    places = torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv
    return (
        torch.is_inference_mode_enabled(), torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(), torch.zeros(0).device, torch.is_anomaly_enabled(),
        torch.are_deterministic_algorithms_enabled(), *np.geterr().values(),
        *(place.fp32_precision for place in places),
    )  # fmt: skip


X = np.random.default_rng(5).random((60, 64), dtype=np.float32)
X[:, 9] *= 1e-37  # underflows
Y = X[:, :3].argmax(axis=1)


def make(backend="torch", random=True):
    layers = [Reshape((8, 8, 1)), Conv2D(4, 3, activation="relu"), Flatten(), Dense(64, "tanh")]
    layers += [BatchNormalization(), Dropout(0.2)] * random + [Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(64,), backend=backend, seed=1)
    model.compile(l2=1e-3)
    return model


def through_file(model, folder):
    model.save(folder / "model.safetensors")
    return load_model(folder / "model.safetensors", model.backend)


CALLS = {  # each returns a model, numbers, or None
    "fit": lambda m, _: m.fit(X, Y, 20, validation_split=0.2).history["loss"],
    "fit in blocks": lambda m, _: m.fit(X, Y, 20, blocks=2).history["loss"],
    "fit a stream": lambda m, _: m.fit([(X[:30], Y[:30]), (X[30:], Y[30:])]).history["loss"],
    "train_on_batch": lambda m, _: m.train_on_batch(X, Y),
    "gradients": lambda m, _: [m.gradients(X, Y)[0], m.update()][:1],
    "evaluate": lambda m, _: m.evaluate(X, Y),
    "predict": lambda m, _: m.predict(X),
    "forward": lambda m, _: m.backend.to_host(m.forward(m.backend.from_host(X))),
    "input_gradient": lambda m, _: m.input_gradient(X, Y),
    "reserve": lambda m, _: m.reserve(70, True),
    "compile": lambda m, _: m.compile(optimizer="sgd"),
    "make": lambda m, _: make(m.backend),
    "copy": lambda m, _: copy.copy(m),
    "deepcopy": lambda m, _: copy.deepcopy(m),
    "pickle": lambda m, _: pickle.loads(pickle.dumps(m)),
    "save": through_file,
    "from_torch": lambda m, _: from_torch(to_torch(m), m.backend),
    "estimator": lambda m, _: (
        DNNClassifier((9,), random_state=1, backend=m.backend.name)
        .partial_fit(X, Y, None, range(3))
        .predict_proba(X)
    ),
    "fit_lbfgs": lambda m, _: [fit_lbfgs(m := make(m.backend, random=False), X, Y).value, *weights(m)],
}


NOT_CALLED = {  # parts of an update, and what computes nothing
    "activate", "backward", "loss_of", "update", "apply_gradients", "training", "set_objective",
    "metrics_for", "get_layer", "summary", "config", "check_arguments", "check_positions",
}  # fmt: skip


def run(name, folder, mode, backend="torch"):
    """Return a call's numbers inside a mode, and the weights after the next training outside of it."""
    model = make(backend)
    model.fit(X, Y, 20)
    with mode():
        before = state()
        found = CALLS[name](model, folder)
        assert state() == before
    if isinstance(found, Sequential):
        model, found = found, ()
    if model.loss is None:
        model.compile()
    model.predict(X)
    model.fit(X, Y, 20)
    return np.append([] if found is None else found, weights(model))


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    return cache(partial(run, folder=tmp_path_factory.mktemp("outside"), mode=torch.enable_grad))


@pytest.mark.parametrize("mode", others_slow(MODES, ["inference", "autocast", "medium", "convolutions"]))
@pytest.mark.parametrize("name", CALLS)
def test_no_mode_changes_a_call(name, mode, tmp_path, outside):
    assert same_bits(run(name, tmp_path, MODES[mode]), outside(name))


@pytest.mark.parametrize("backend", others_slow(["numpy", "numba"], ["numpy"]))
@pytest.mark.parametrize("name", CALLS)
def test_errors_of_numpy_change_no_call(name, backend, tmp_path, outside):
    assert same_bits(run(name, tmp_path, MODES["numpy"], backend), outside(name, backend=backend))


def test_every_public_method_is_tried():
    public = {name for name in dir(Sequential) if name[0] != "_" and callable(getattr(Sequential, name))}
    assert public <= NOT_CALLED | {*CALLS}


@pytest.mark.parametrize("mode", MODES)
def test_arrays_made_in_a_mode_can_be_written_outside(mode):
    backend = get_backend("torch")
    with MODES[mode]():
        array = backend.from_host(np.ones(3, np.float32))
    array[...] = 2.0
    assert backend.to_host(array).tolist() == [2.0] * 3


def test_a_twin_made_in_inference_mode_can_be_trained():
    with torch.inference_mode():
        twin = to_torch(make())
    twin(torch.from_numpy(X)).sum().backward()
    assert all(parameter.grad is not None for parameter in twin.parameters())


def test_the_precision_returns_with_the_last_of_several_threads():
    backend = get_backend("torch")
    entered, leave = threading.Barrier(3), threading.Event()

    def hold():
        with backend.isolated():
            entered.wait()
            leave.wait()

    with MODES["medium"]():
        threads = [threading.Thread(target=hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        entered.wait()
        with backend.isolated():
            pass
        inside = torch.backends.mkldnn.matmul.fp32_precision
        leave.set()
        for thread in threads:
            thread.join()
        assert (inside, torch.get_float32_matmul_precision()) == ("ieee", "medium")
