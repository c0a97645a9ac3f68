"""Groups of forked workers over gloo: equal bits, and errors that name a missing or different worker."""

import faulthandler
import json
import os
import signal
import time

import numpy as np
import pytest
from helpers import NUMPY, build_network, needs_fork, others_slow

pytest.importorskip("torch.distributed", reason="torch.distributed is missing")

import torch
from faults.groups import Group

from backends import InputError, get_backend
from dnn import BatchNormalization, Callback, Dense, Dropout
from dnn.distributed import Workers

pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_available(), reason="this torch is without torch.distributed"
    ),
    *needs_fork,
]
SETTINGS = {"batch_size": 24, "epochs": 2, "blocks": 8}


def data():
    rng = np.random.default_rng(3)
    return rng.normal(size=(53, 6)).astype(np.float32), rng.integers(0, 3, 53)


def model(backend="numpy", normalised=False, seed=0, dropout=0.3):
    middle = [BatchNormalization()] if normalised else []
    layers = [Dense(16, "relu"), *middle, Dropout(dropout), Dense(3, "softmax")]
    backend = get_backend(backend) if isinstance(backend, str) else backend
    return build_network(layers, backend=backend, seed=seed)


def run(folder, work, size, **more):
    """Call ``work(workers)`` in ``size`` processes; return each result, or its error as text."""

    def process():
        faulthandler.dump_traceback_later(550, file=2)  # of a hang
        rank = int(os.environ.get("RANK", 0))
        time.sleep(more.get("delays", {}).get(rank, 0.0))
        try:
            workers = Workers.from_environment(timeout=more.get("timeout", 300.0))
            found = work(workers)
        except InputError as error:
            found = f"{type(error).__name__}: {error}"
        (folder / f"found{rank}").write_text(json.dumps(found))

    group = Group(process, size, folder / "log")
    group.start()
    if "disturb" in more:
        more["disturb"](group)
    assert group.wait(600), [group.log_path(rank).read_text() for rank in range(size)]
    paths = [folder / f"found{rank}" for rank in range(size)]
    found = [json.loads(p.read_text()) if p.exists() else None for p in paths]
    for path in paths:
        path.unlink(missing_ok=True)
    assert not more.get("whole", True) or None not in found, group.log_path(0).read_text()
    return found


def train_model(backend, normalised=False, seed=0, n=53, watch=()):
    def work(workers):
        made = model(backend(workers.rank) if callable(backend) else backend, normalised, seed)
        made.compile(metrics=["accuracy", "r2"])
        x, y = data()
        history = made.fit(x[:n], y[:n], workers=workers, callbacks=watch, **SETTINGS).history
        del history["seconds"]
        arrays = [*made.parameters.to_host().values()]
        arrays += [made.backend.to_host(v) for v in made.optimizer_state.vectors.values()]
        return [np.concatenate([a.ravel().astype(np.float32) for a in arrays]).tobytes().hex(), history]

    return work


def assert_same_bits(folder, work, sizes, **more):
    """Check that groups of these sizes find what a single process finds."""
    alone = json.dumps(work(Workers()))
    for size in sizes:
        assert {json.dumps(found) for found in run(folder, work, size, **more)} == {alone}


@pytest.mark.parametrize("backend", others_slow(["numpy", "numba", "torch"], ["numpy"]))
def test_one_two_four_and_eight_workers_have_the_same_bits(backend, tmp_path):
    """Bits of weights, optimizer and history. The last batch has 5 examples: some workers get none."""
    pytest.importorskip(backend)
    assert_same_bits(tmp_path, train_model(backend), (2, 4, 8))


def test_batch_normalization_has_the_same_bits(tmp_path):
    assert_same_bits(tmp_path, train_model("numpy", normalised=True, n=48), [4])


def test_workers_with_different_backends_are_refused(tmp_path):
    work = train_model(lambda rank: ("numpy", "torch")[rank])
    for said in run(tmp_path, work, 2):
        assert said.startswith("WorkerError: worker 1 differs in ")


def test_all_workers_reject_another_network_seed_data_or_code(tmp_path, monkeypatch):
    def other_seed(workers):
        return train_model("numpy", seed=workers.rank // 3)(workers)

    def other_network(workers):
        return train_model("numpy", normalised=workers.rank == 1)(workers)

    def other_dtype(workers):
        backend = get_backend("numpy", dtype=("float32", "float64")[workers.rank])
        return train_model(backend)(workers)

    def other_data(workers):
        return train_model("numpy", n=53 - workers.rank)(workers)

    def other_code(workers):
        monkeypatch.setattr("dnn.distributed.group.code_version", lambda: f"version {workers.rank}")
        return train_model("numpy")(workers)

    for size, work, words in [
        (4, other_seed, "WorkerError: worker 3 differs in seed: 1, expected that of worker 0, 0"),
        (2, other_network, "WorkerError: worker 1 differs in model"),
        (2, other_dtype, "WorkerError: worker 1 differs in dtype: float64"),
        (2, other_data, "WorkerError: worker 1 differs in data"),
        (2, other_code, "WorkerError: worker 1 differs in code: version 1"),
    ]:
        found = run(tmp_path, work, size)
        assert all(said.startswith(words) for said in found), found


def test_names_a_worker_that_does_not_arrive(tmp_path):
    found = run(tmp_path, train_model("numpy"), 4, timeout=2.0, delays={2: 5.0})
    assert found[:2] + found[3:] == ["WorkerError: worker 2 did not arrive within 2 s; the run ends"] * 3


class Stop(Callback):
    """End or hang in the middle of an epoch, in one worker."""

    every = 1

    def __init__(self, number):
        self.number = number

    def on_progress(self, progress):
        if os.environ["RANK"] == "3" and (progress.epoch, progress.updates) == (1, 2):
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", others_slow([signal.SIGSTOP, signal.SIGKILL], [signal.SIGKILL]))
def test_names_a_worker_that_hangs_or_ends(number, tmp_path):
    """All other workers name it, also those that do not wait for it directly."""

    def disturb(group):
        begun = time.monotonic()
        while len(group.codes) < 3 and time.monotonic() < begun + 40:
            group.poll()
            time.sleep(0.01)
        group.signal(3, signal.SIGKILL)

    work = train_model("numpy", watch=[Stop(number)])
    found = run(tmp_path, work, 4, timeout=3.0, disturb=disturb, whole=False)
    said = "WorkerError: worker 3 ended, or did not answer within 3 s; the run ends"
    assert found == [said] * 3 + [None]


def test_adds_vectors_in_the_order_of_the_tree(tmp_path):
    rng = np.random.default_rng(4)
    scale = 10.0 ** rng.integers(-6, 7, size=(4, 12))  # so that any other order gives other bits
    vectors = (rng.normal(size=(4, 12)) * scale).astype(np.float32)

    def work(workers):
        found = []
        for n in (8, 12, 12):
            vector = NUMPY.zeros(n)
            for _ in range(20):
                vector[...] = vectors[workers.rank, :n]
                workers.add(NUMPY, vector)
                found.append(vector.tolist())
        return found

    total = (vectors[0] + vectors[1]) + (vectors[2] + vectors[3])
    expected = [total[:n].tolist() for n in (8, 12, 12) for _ in range(20)]
    assert run(tmp_path, work, 4) == [expected] * 4


def test_gathers_the_objects_of_all_workers(tmp_path):
    assert run(tmp_path, lambda workers: workers.gather(workers.rank % 3), 4) == [[0, 1, 2, 0]] * 4
    assert Workers().gather(5) == [5]


def test_a_single_process_calls_make_itself():
    assert Workers().share(lambda: 3) == 3
