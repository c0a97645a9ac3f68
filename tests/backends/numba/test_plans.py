"""Updates by Numba's workers: same results as layers, and the same bits each time."""

import platform
import sys
import threading
from dataclasses import replace

import numpy as np
import planned_runs
import pytest
import scipy.sparse
from helpers import Kept, assert_close, build_network
from planned_runs import SMOOTH, assert_nonfinite_spreads, assert_same_results

from backends import get_backend

pytest.importorskip("numba")

import dnn.training.runners
from backends.numba import worker_pool
from backends.numpy.thread_count import ThreadCount
from dnn import CategoricalCrossentropy, Dense
from dnn.layers import Rescaling
from dnn.optimizers import SGD, Adam, AdamW
from dnn.optimizers.schedules import CosineDecay
from dnn.training.callback import Callback

BLAS = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
KNOWN = "openblas" in BLAS and sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
if worker_pool.worker_pool() is None and not KNOWN:
    pytest.skip("NumPy has no OpenBLAS here, or this is not Linux", allow_module_level=True)

RNG = np.random.default_rng(20)
LABELS = RNG.integers(0, 5, 230)
DENSE = RNG.standard_normal((230, 60)).astype(np.float32)
SPARSE = np.where(RNG.random((230, 60)) < 0.15, DENSE, np.float32(0))
BYTES = np.where(RNG.random((230, 60)) < 0.15, RNG.integers(1, 256, (230, 60)), 0).astype(np.uint8)
ADAM = Adam(epsilon=SMOOTH)
CASES = {
    "sparse": ([Dense(33, "sigmoid"), Dense(17, "relu"), Dense(5, "softmax")], SPARSE, ADAM, 20),
    "dense": (
        [Dense(130, "sigmoid"), Dense(70, "relu"), Dense(5, "softmax")],
        DENSE,
        AdamW(epsilon=SMOOTH, weight_decay=0.3),
        20,
    ),
    "bytes": (
        [Rescaling(1 / 255), Dense(530, "relu"), Dense(5, "linear"), Dense(5, "softmax")],
        BYTES,
        ADAM,
        50,
    ),
    "smooth": (
        [Dense(130, "tanh"), Dense(70, "gelu"), Dense(12, "silu"), Dense(5, "softmax")],
        DENSE,
        ADAM,
        20,
    ),
    "one layer": ([Dense(5, "softmax")], DENSE, ADAM, 50),
    "compressed": ([Dense(33, "relu"), Dense(5, "softmax")], scipy.sparse.csr_matrix(SPARSE), ADAM, 20),
    "compressed, of doubles": (
        [Dense(5, "softmax")],
        scipy.sparse.csc_matrix(SPARSE.astype(np.float64)),
        AdamW(epsilon=SMOOTH, weight_decay=0.1),
        7,
    ),
    "one layer, sparse": ([Dense(5, "softmax")], SPARSE, ADAM, 50),
    "batches of one": ([Dense(7, "sigmoid"), Dense(5, "softmax")], SPARSE, ADAM, 1),
    "without a bias": (
        [Dense(40, "sigmoid", use_bias=False), Dense(5, "softmax")],
        SPARSE,
        Adam(beta1=0.8, epsilon=SMOOTH),
        10,
    ),
    "a falling rate": (
        [Dense(9, "sigmoid"), Dense(5, "softmax")],
        DENSE,
        Adam(CosineDecay(0.01, 20), epsilon=SMOOTH),
        10,
    ),
    "saturated": ([Dense(90, "sigmoid"), Dense(5, "softmax")], 100 * DENSE, ADAM, 10),
    "saturated gates": (
        [Dense(90, "gelu"), Dense(60, "sigmoid"), Dense(9, "silu"), Dense(5, "softmax")],
        np.float32(1e21) * DENSE,
        ADAM,
        10,
    ),
    "many columns": ([Dense(4, "sigmoid"), Dense(5, "softmax")], np.tile(SPARSE, (1, 9)), ADAM, 10),
    "moments flushed": ([Dense(6, "sigmoid"), Dense(5, "softmax")], np.float32(1e-20) * DENSE, ADAM, 5),
}


@pytest.fixture(params=[1, 2, 3])
def workers(request, monkeypatch):
    """Set the number of workers, independent of the machine."""
    use(request.param, monkeypatch)
    return request.param


def use(n, monkeypatch):
    blas = worker_pool.worker_pool().blas
    count = ThreadCount(lambda: n, lambda n: None)
    monkeypatch.setattr(worker_pool.worker_pool(), "blas", replace(blas, threads=count))


def copies(layers):
    return [type(layer)(**layer.config()) for layer in layers]


def run_training(case, with_plans=True, *, labels=LABELS, **settings):
    return planned_runs.run_training(case, get_backend("numba"), with_plans, labels, **settings)


@pytest.mark.parametrize("name", CASES)
def test_a_plan_gives_the_results_of_the_layers(name, workers):
    plan, seen = run_training(CASES[name])
    assert all(seen)
    layers, _ = run_training(CASES[name], with_plans=False)
    # If z is up to 1000, rounding errors are larger by as much.
    assert_same_results(plan, layers, 1e-4 if name == "saturated" else 3e-6, len(LABELS))


@pytest.mark.parametrize("smoothing", [0.05, 0.6])
@pytest.mark.parametrize("name", ["sparse", "one layer"])
def test_a_plan_with_smoothed_labels_gives_the_results_of_the_layers(name, smoothing):
    plan, layers = (
        run_training(CASES[name], with_plans, loss=CategoricalCrossentropy(label_smoothing=smoothing))
        for with_plans in (True, False)
    )
    assert all(plan[1])
    for what, expected in layers[0].items():
        assert_close(plan[0][what], expected, 3e-6, what)


@pytest.mark.parametrize("name", ["sparse", "dense", "one layer"])
def test_repeated_runs_give_the_same_bits(name, workers):
    first, _ = run_training(CASES[name])
    for _ in range(6):
        for what, array in run_training(CASES[name])[0].items():
            np.testing.assert_array_equal(array, first[what], err_msg=what)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["sparse", "dense"])
def test_nonfinite_weights_spread_as_in_layers(name, value, workers):
    """A weight spreads even if its input is 0 in every example, because 0 times infinity is NaN."""
    case = list(CASES[name])
    case[1] = case[1].copy()
    case[1][:, 3] = 0
    plan = assert_nonfinite_spreads(
        lambda *with_plans, **settings: run_training(case, *with_plans, **settings), value
    )
    assert np.isnan(plan["values"]).any()


def test_a_gate_is_closed_at_minus_infinity():
    def start(parameters):
        parameters["dense_2.b"][0] = -np.inf

    plan, layers = (run_training(CASES["smooth"], which, start=start)[0] for which in (True, False))
    assert np.isfinite(plan["loss"]).all()
    assert_close(plan["loss"], layers["loss"], 3e-6)


@pytest.mark.parametrize("name", ["sparse", "compressed"])
def test_an_infinite_weight_affects_the_next_update(name, workers):
    layers, x, _, batch = CASES[name]
    dense = np.array(x.todense() if name == "compressed" else x)
    dense[:, 3] = 0
    x = scipy.sparse.csr_matrix(dense) if name == "compressed" else dense
    case = layers, x, AdamW(3.0, weight_decay=1.0), batch  # each update takes a weight w to -2 w and more

    def start(parameters):
        parameters["dense_1.W"][3, 2] = 3e38

    with np.errstate(all="ignore"):
        one, _ = run_training(case, epochs=1, start=start, steps_per_epoch=1)
        two, _ = run_training(case, epochs=1, start=start, steps_per_epoch=2)
        layers, _ = run_training(case, with_plans=False, epochs=1, start=start, steps_per_epoch=2)
    assert np.isinf(one["values"]).sum() == 1
    assert np.isfinite(one["loss"]).all()
    assert np.isnan(two["loss"]).all()
    np.testing.assert_array_equal(np.isnan(two["values"]), np.isnan(layers["values"]))


def test_slices_of_a_csr_matrix(workers):
    """Training on a slice gives the same weights as training on a copy of these rows."""
    layers, x, optimizer, batch = CASES["compressed"]
    case = layers, x[:161], optimizer, batch
    left, seen = run_training((layers, x, optimizer, batch), validation_split=0.3, labels=LABELS)
    assert all(seen)
    alone, _ = run_training(case, labels=LABELS[:161])
    np.testing.assert_array_equal(left["values"], alone["values"])


def test_unsorted_csr_runs_layer_by_layer():
    layers, x, optimizer, batch = CASES["compressed"]
    columns, starts = np.array([5, 5, 2], np.int32), np.array([0] + 230 * [3], np.int32)
    twice = scipy.sparse.csr_matrix((np.ones(3, np.float32), columns, starts), x.shape)
    assert not any(run_training((layers, twice, optimizer, batch))[1])


class Freeze(Callback):
    """Freeze the first layer after the first epoch."""

    def on_epoch_end(self, epoch, logs):
        self.model.layers[0].trainable = False


def test_a_layer_frozen_during_training_stays_unchanged(workers):
    plan, seen = run_training(CASES["sparse"], epochs=3, callbacks=[Freeze()])
    assert all(seen)
    layers, _ = run_training(CASES["sparse"], with_plans=False, epochs=3, callbacks=[Freeze()])
    assert_same_results(plan, layers, 3e-6, len(LABELS))


def test_unreadable_inputs_run_layer_by_layer():
    """A dense matrix in CSR format, 64-bit numbers, another activation or optimizer."""
    layers, x, *rest = CASES["one layer"]
    found, seen = run_training((layers, scipy.sparse.csr_matrix(x), *rest))
    assert seen == [False, False]
    assert_close(found["values"], run_training(CASES["one layer"], with_plans=False)[0]["values"], 3e-6)
    assert not any(run_training(([Dense(3, "elu"), *layers], x, *rest))[1])
    for optimizer in (SGD(0.1), Adam(amsgrad=True)):
        assert not any(run_training((layers, x, optimizer, rest[1]))[1])
    doubles = get_backend("numba", dtype="float64")
    assert not any(planned_runs.run_training(CASES["bytes"], doubles, True, LABELS)[1])


def test_plans_respect_wrapped_and_reference_kernels():
    """Reference kernels (fused=False) and wrapped kernels."""
    watched = get_backend("numba").with_wrapper(lambda name, kernel: kernel)
    for backend in (get_backend("numba", fused=False), watched):
        assert not any(planned_runs.run_training(CASES["one layer"], backend, True, LABELS)[1])


def test_equal_logits_predict_the_first_class(workers):
    def start(parameters):
        parameters["dense_1.W"][...] = 0

    plan, seen = run_training(CASES["one layer"], epochs=1, steps_per_epoch=1, start=start, shuffle=False)
    assert all(seen)
    np.testing.assert_allclose(plan["accuracy"], np.mean(LABELS[:50] == 0), rtol=1e-6)


def test_rejects_more_updates_than_batches(monkeypatch):
    made, original = [], dnn.training.runners.plan_updates
    monkeypatch.setattr(
        dnn.training.runners, "plan_updates", lambda *step: made.append(original(*step)) or made[-1]
    )
    fit(CASES["one layer"])
    with pytest.raises(IndexError, match=r"5 updates from batch \d on, of 4"):
        made[0](5)


def test_runs_layer_by_layer_without_a_known_blas(monkeypatch):
    monkeypatch.setattr("backends.numba.plans.worker_pool", lambda: None)
    assert run_training(CASES["dense"])[1] == [False, False]
    monkeypatch.setattr("backends.numba.backend.worker_pool", lambda: None)
    assert "workers" not in get_backend("numba").describe()


def test_concurrent_trainings_do_not_affect_each_other(workers):
    names = ["sparse", "dense"]
    alone = {name: run_training(CASES[name])[0] for name in names}
    together = {}
    threads = [threading.Thread(target=lambda n=n: together.update({n: fit(CASES[n])})) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        np.testing.assert_array_equal(together[name], alone[name]["values"])


def fit(case):
    layers, x, optimizer, batch = case
    model = build_network(copies(layers), x.shape[1:], get_backend("numba"), 4)
    model.compile(optimizer=optimizer)
    model.fit(x, LABELS, batch_size=batch, epochs=2)
    return model.parameters.vector.copy()


def test_resuming_layer_by_layer_is_logged(caplog):
    kept = Kept()
    run_training(CASES["dense"], callbacks=[kept])
    run_training(CASES["dense"], resume=kept.states[5])
    assert "last bits" not in caplog.text
    run_training(CASES["dense"], with_plans=False, resume=kept.states[5])
    assert "was made with updates planned, here it is updates None; later results may differ" in caplog.text
