"""scripts/examples/from_scratch.py computes the same as the library, without importing it."""

import ast
import importlib
import re
import sys
from unittest.mock import Mock

import array_api_compat
import numpy as np
import pytest
import torchvision
from command_lines import SCRIPTS, assert_refused, run_here
from helpers import assert_close, build_network, small_data
from small_sets import idx_bytes, large_digits, small_set, write_raw_files

from backends import get_backend
from dnn import Adam, Dense, LinearDecay
from dnn.random import permutation, stream_key

SOURCE = SCRIPTS / "examples" / "from_scratch.py"
IMPORTS = {"argparse", "array_api_compat", "importlib", "numpy", "os", "sys", "torchvision"}
N = 250  # in batches of 100, so the last batch of an epoch is shorter
UPDATES_PER_EPOCH = 3


@pytest.fixture
def from_scratch(monkeypatch):
    monkeypatch.syspath_prepend(SOURCE.parent)
    return importlib.import_module("from_scratch")


# Rounding causes a difference of 1.2e-15 after 30 updates in float64, and of 1.3e-7 after 6 in float32.
@pytest.mark.parametrize(("dtype", "epochs", "bound"), [("float64", 10, 1e-12), ("float32", 2, 1e-5)])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_weights_match_the_library(from_scratch, library, activation, dtype, epochs, bound):
    """Both start with the same weights and use the same batches in the same order."""
    x, y = small_data(N)
    x = x.astype(dtype)
    backend = get_backend("numpy", dtype=dtype)
    layers = [Dense(8, activation), Dense(7, activation), Dense(3, "softmax")]
    model = build_network(layers, backend=backend, seed=4)
    model.compile(optimizer=Adam(LinearDecay(1e-3, steps=epochs * UPDATES_PER_EPOCH)))
    xp = array_api_compat.array_namespace(importlib.import_module(library).zeros(1))
    params = [xp.asarray(values) for values in model.parameters.to_host().values()]
    key = stream_key(model.seed, "shuffle")
    orders = (backend.to_host(permutation(backend, key, epoch, N)) for epoch in range(1, epochs + 1))
    examples = xp.asarray(x), xp.asarray(np.eye(3, dtype=dtype)[y])
    losses = list(from_scratch.train(xp, activation, params, *examples, epochs, lambda n: next(orders)))
    history = model.fit(x, y, batch_size=100, epochs=epochs)
    accuracy = from_scratch.accuracy(xp, activation, params, *examples)
    assert accuracy == pytest.approx(model.evaluate(x, y).accuracy, abs=1e-6)
    for one, other in zip(params, model.parameters.to_host().values(), strict=True):
        assert_close(np.asarray(one), other, bound)
    np.testing.assert_allclose(losses, history.history["loss"], rtol=bound)


def test_large_logits_do_not_overflow(from_scratch):
    logits = np.array([[1e4, 0.0], [0.0, 1e4]])
    loss, dlogits = from_scratch.cross_entropy(np, logits, np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert loss == 5e3
    np.testing.assert_array_equal(dlogits, [[0, 0], [-0.5, 0.5]])
    y = from_scratch.activate(np, "sigmoid", np.array([-1e4, 0.0, 1e4]))
    np.testing.assert_array_equal(y, [0, 0.5, 1])


def test_initial_weights_are_glorot_uniform(from_scratch):
    params = from_scratch.initialize(np.random.default_rng(0))
    for W, b, (n_in, n_out) in zip(params[0::2], params[1::2], from_scratch.SHAPES, strict=True):
        limit = np.sqrt(6 / (n_in + n_out))
        assert (W.shape, W.dtype, b.dtype) == ((n_in, n_out), np.float32, np.float32)
        assert np.max(np.abs(W)) == pytest.approx(limit, rel=1e-3)
        assert np.std(W) == pytest.approx(limit / np.sqrt(3), rel=0.02)
        np.testing.assert_array_equal(b, np.zeros(n_out))


def test_it_imports_nothing_of_the_library():
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(names) == IMPORTS


# ----- the command line


def run(*arguments):
    return run_here("examples/from_scratch", *arguments)


def digits_as_mnist():
    """Write MNIST files with scikit-learn's digits as images."""
    data = large_digits()
    files = {}
    for part, x, y in (("train", data.x_train, data.y_train), ("t10k", data.x_test, data.y_test)):
        files[f"{part}-images-idx3-ubyte"] = idx_bytes(2051, len(y), 28, 28, content=x.tobytes())
        files[f"{part}-labels-idx1-ubyte"] = idx_bytes(2049, len(y), content=y.astype(np.uint8).tobytes())
    return files


@pytest.fixture
def data_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("DNN_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("options", [(), ("--activation", "sigmoid"), ("--library", "torch")])
def test_accuracy_after_training(data_dir, options):
    write_raw_files(data_dir, digits_as_mnist())
    result = run("--epochs", 3, *options)
    assert result.returncode == 0, result.stderr
    pattern = r"epoch (\d): loss (\d\.\d{4}), test accuracy (\d\.\d{4})\n"
    assert re.fullmatch(f"(?:{pattern}){{3}}", result.stdout)
    epochs, losses, accuracies = zip(*re.findall(pattern, result.stdout), strict=True)
    assert epochs == ("1", "2", "3")
    assert float(losses[2]) < float(losses[0])
    assert float(accuracies[2]) > (0.2 if "sigmoid" in options else 0.85)


def test_pixels_and_labels_are_read(from_scratch, data_dir):
    write_raw_files(data_dir, small_set())
    x, t, x_test, t_test = from_scratch.read_mnist(data_dir)
    for part, images, labels in (("train", x, t), ("t10k", x_test, t_test)):
        pixels = np.frombuffer(small_set()[f"{part}-images-idx3-ubyte"], np.uint8, offset=16)
        np.testing.assert_array_equal(images, pixels.reshape(-1, 784).astype(np.float32) / 255)
        np.testing.assert_array_equal(labels, np.eye(len(labels), 10))
        assert images.dtype == labels.dtype == np.float32


def test_data_errors_are_one_sentence(monkeypatch, data_dir):
    write_raw_files(data_dir, small_set() | {"train-images-idx3-ubyte": b""})
    assert_refused(run(), str(data_dir), "DNN_DATA_DIR")

    def fail(root, train, download):
        assert download
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nno route to host")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fail)
    assert_refused(run(), str(data_dir), "no route to host", "DNN_DATA_DIR")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert_refused(run(), str(data_dir), "torchvision", "DNN_DATA_DIR")


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert_refused(run("--library", "cupy"), "--library cupy", "numpy")


def test_ctrl_c_prints_one_line(monkeypatch):
    monkeypatch.setattr("argparse.ArgumentParser.parse_args", Mock(side_effect=KeyboardInterrupt))
    done = run()
    assert done.returncode == 130
    assert done.stderr.endswith("from_scratch.py: interrupted\n")
