"""Trainings in the reproducible precision: the digests that docs/reproducible.md lists, on every backend."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
from agreement_inputs import DATA, wrapped
from command_lines import run_here
from documents import text_of
from helpers import both_dtypes, others_slow

from backends import get_backend
from dnn import Dense, Flatten, Sequential
from dnn.agreement import Data, bits_level, get_mutant
from dnn.agreement.bits import bits_cases
from dnn.agreement.cases import loss_variants, optimizer_variants
from dnn.agreement.samples import samples
from dnn.checkpoints import weights_digest
from dnn.datasets import load_dataset
from dnn.optimizers.schedules import CosineDecay

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


@pytest.mark.slow
@both_dtypes
def test_layers_and_optimizers_have_the_same_bits(dtype):
    """Every layer in a small network, with the losses and optimizers in turn."""
    backends = [get_backend(name, dtype=dtype, precision="reproducible") for name in ("numpy", *OTHERS)]
    rng = np.random.default_rng(4)
    found = {name.rpartition(" ")[0]: more for name, *more in reversed([*samples()])}
    # "Activation" has all activations; other layers only the last one.
    others = re.compile("(?!Activation).* activation=(?!softplus)")
    layers = {name: more for name, more in found.items() if not others.match(name)}
    parts = zip(layers.items(), cycle(loss_variants()), cycle(optimizer_variants()), strict=False)
    for (name, (make, shape)), (_, loss), (_, optimizer) in parts:
        x = rng.random((8, *shape)).astype(np.float32)
        x = np.floor(3 * x) if name == "Embedding" else x
        found = set()
        for backend in backends:
            last = [Flatten(), Dense(4, loss.activation or "linear")]
            model = Sequential([make(), *last], input_shape=shape, backend=backend, seed=1)
            planned = replace(optimizer, learning_rate=CosineDecay(1e-3, 4))
            model.compile(loss, planned, l1=1e-4, l2=1e-3)
            weights = np.linspace(0.5, 1.5, 8)
            logs = model.fit(x, np.arange(8) % 4, batch_size=5, epochs=2, sample_weight=weights)
            found.add(f"{weights_digest(model)} {logs.history['loss']} {model.predict(x).tobytes()}")
        assert len(found) == 1, name


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
    [get_mutant("products-in-float64"), *(wrapped(name=name) for name in ("numpy", "numba", "torch"))],
)
def test_the_level_names_the_first_tensor_that_differs(contender):
    """A backend that only wraps the kernels of another has the same bits."""
    holds = contender.name == "wrapped"
    records = list(bits_level([contender], DATA, quick=True))
    assert [(record.holds, record.measured == 0.0) for record in records] == [(holds, holds)] * 3
    assert all(re.search("SHA-256 [0-9a-f]{64}", record.note) for record in records)
    assert records[0].tensor == ("weights" if holds else "update 1, gradient of dense_3.b")
