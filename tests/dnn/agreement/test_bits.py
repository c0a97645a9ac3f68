"""Trainings in the reproducible precision: the digests that docs/reproducible.md lists, on every backend."""

from __future__ import annotations

import re

import numpy as np
import pytest
from agreement_inputs import DATA, wrapped
from command_lines import run_here
from documents import text_of
from helpers import float64_is_slow, others_slow

from backends import get_backend
from dnn import SGD, Adagrad, Adam, AdamW, RMSprop, Sequential
from dnn.agreement import Data, bits_level, get_mutant
from dnn.agreement.bits import bits_cases
from dnn.checkpoints import weights_digest
from dnn.datasets import load_dataset
from dnn.layers import (
    GELU,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling2D,
    LayerNormalization,
    MaxPooling2D,
    RandomElastic,
    RandomRotation,
    Reshape,
    Residual,
)  # fmt: skip
from dnn.losses import BinaryCrossentropy, CategoricalCrossentropy
from dnn.optimizers.schedules import CosineDecay, OneCycle, StepDecay

ROWS = re.findall(r"^\| ([^|]+) \| `([^`]+)` \| `([0-9a-f]{64})` \|$", text_of("docs/reproducible.md"), re.M)
TRAININGS = [row for row in ROWS if "train.py" in row[1]]
CASES = {name: digest for name, command, digest in ROWS if "agree.py --bits" in command}
OTHERS = ("numba", "torch", "strict")
each_backend = pytest.mark.parametrize("backend", others_slow(["numba", "numpy", "torch"], ["numba"]))


def small_data():
    rng = np.random.default_rng(4)
    return rng.random((40, 64)).astype(np.float32), rng.integers(0, 4, 40)


def test_the_page_has_both_kinds_of_rows():
    assert len(TRAININGS) >= 3
    assert len(CASES) == 3


@each_backend
@pytest.mark.parametrize("row", others_slow(TRAININGS, TRAININGS[:2]), ids=lambda row: row[0])
def test_trainings_have_the_digest_of_the_page(mnist_dir, tmp_path, row, backend):
    pytest.importorskip(backend)
    name, command, digest = row
    updates = int(re.search(r"(\d+) updates?", name)[1])
    if updates > 10 and backend != "numba":
        pytest.skip("600 updates take minutes; numba's test has them")
    words = command.removeprefix("python scripts/train.py ").split()
    folder = tmp_path / "run"
    done = run_here("train", *words, "--backend", backend, "--data-dir", mnist_dir, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(f"weights {digest}")
    assert f'"weights_sha256": "{digest}"' in (folder / "result.json").read_text()


@each_backend
def test_networks_of_agree_have_the_digest_of_the_page(mnist_dir, backend):
    pytest.importorskip(backend)
    mnist = load_dataset("mnist", mnist_dir)
    data = Data(mnist.x_train[:2000], mnist.y_train[:2000], mnist.classes)
    found = {
        case.name: case.train(get_backend(backend, precision="reproducible"), 0)[1]
        for case in bits_cases(data, 0, quick=False)
    }
    assert found == CASES


def images():
    layers = [
        Reshape((8, 8, 1)), RandomRotation(10.0), RandomElastic(8.0, 2.0, 5.0, 0.1, 0.1),
        Conv2D(3, 3, activation="gelu", padding="same"), BatchNormalization(), MaxPooling2D(2),
        Conv2D(4, 1, strides=2), AveragePooling2D(2, padding="same"), Flatten(), Dense(4, "softmax"),
    ]  # fmt: skip
    return layers, CategoricalCrossentropy(label_smoothing=0.1), AdamW(OneCycle(3e-3, steps=6))


def rows():
    layers = [
        Dense(9, "tanh", initializer="he_normal"), GELU("none"), LayerNormalization(), GaussianNoise(0.3),
        Residual([Dense(9, "elu")]), Dropout(0.4), Dense(4, "sigmoid"),
    ]  # fmt: skip
    schedule = CosineDecay(1e-3, steps=5)
    return layers, BinaryCrossentropy(pos_weight=2.5), RMSprop(schedule, momentum=0.5, centered=True)


def pooling():
    layers = [Reshape((8, 8, 1)), Conv2D(5, 2), GlobalAveragePooling2D(), Dense(4)]
    return layers, "mean_squared_error", SGD(StepDecay(0.1, 6, 2, factor=0.3), momentum=0.9, clip_norm=0.5)


def words():
    return [Embedding(3, 5), Flatten(), Dense(4, "softmax")], "categorical_crossentropy", Adagrad()


def smooth():
    return [Dense(7, "silu"), Dense(4, "softplus")], "mean_absolute_error", Adam(amsgrad=True)


@float64_is_slow
@pytest.mark.parametrize("network", [images, rows, pooling, words, smooth])
def test_layers_and_optimizers_have_the_same_bits(network, dtype):
    x, y = small_data()
    x = np.floor(3 * x) if network is words else x
    weights = np.linspace(0.5, 1.5, len(x))
    found = {}
    for backend in ("numpy", *OTHERS):
        pytest.importorskip({"strict": "array_api_strict"}.get(backend, backend))
        there = get_backend(backend, dtype=dtype, precision="reproducible")
        layers, loss, optimizer = network()
        model = Sequential(layers, input_shape=(64,), backend=there, seed=1)
        model.compile(loss, optimizer, l1=1e-4, l2=1e-3)
        history = model.fit(x, y, batch_size=20, epochs=2, sample_weight=weights)
        found[backend] = weights_digest(model), history.history["loss"], model.predict(x).tobytes()
    assert len(set(map(str, found.values()))) == 1


def test_threads_and_sparse_examples_do_not_change_the_bits():
    sparse = pytest.importorskip("scipy.sparse")
    x, y = small_data()
    x[x < 0.9] = 0.0
    digests = set()
    for name in ("numpy", "numba", "torch"):
        pytest.importorskip(name)
        for threads, examples in ((1, x), (2, x), (1, sparse.csr_array(x))):
            backend = get_backend(name, precision="reproducible", threads=threads)
            model = Sequential([Dense(300, "relu"), Dense(4, "softmax")], input_shape=(64,), backend=backend)
            model.compile()
            with backend.in_threads(threads):
                model.fit(examples, y, batch_size=20, epochs=2)
            digests.add(weights_digest(model))
    assert len(digests) == 1


def test_a_resumed_training_keeps_the_precision_and_its_digest(tmp_path):
    options = ["--dataset", "digits", "--hidden", 8, "--epochs", 3, "--precision", "reproducible"]
    folder, stopped = tmp_path / "run", tmp_path / "stopped"
    assert run_here("train", *options, "--backend", "numpy", "--run-dir", folder).returncode == 0
    assert run_here("train", *options, "--backend", "numba", "--run-dir", stopped).returncode == 0
    (stopped / "result.json").unlink()
    states = sorted(stopped.rglob("*.safetensors"))
    for state in states[-1:]:
        state.unlink() if state.name != "model.safetensors" else None
    again = run_here("train", "--resume", stopped)
    assert again.returncode == 0, again.stderr
    digest = (folder / "result.json").read_text().partition('"weights_sha256": "')[2][:64]
    assert again.stdout.splitlines()[-1].endswith(f"weights {digest}")


@pytest.mark.parametrize(
    "contender",
    [get_mutant("fused-multiply-add"), *(wrapped(name=name) for name in ("numpy", "numba", "torch"))],
)
def test_the_level_names_the_first_tensor_that_differs(contender):
    """A backend that only wraps the kernels of another has the same bits."""
    holds = contender.name == "wrapped"
    records = list(bits_level([contender], DATA, quick=True))
    assert [(record.holds, record.measured == 0.0) for record in records] == [(holds, holds)] * 3
    assert all(re.search("SHA-256 [0-9a-f]{64}", record.note) for record in records)
    assert records[0].tensor == ("weights" if holds else "update 1, gradient of dense_3.b")
