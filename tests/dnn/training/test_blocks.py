"""Batches cut into blocks: the whole batch's gradient, and the same bits on any number of threads."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from array_api_compat import array_namespace
from helpers import Kept, assert_close, same_bits, weights

import dnn.training.blocks as module
from backends import InputError, get_backend
from backends.pace import Pace
from dnn import (
    Adam,
    BatchNormalization,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    RandomElastic,
    RandomTranslation,
    Sequential,
)
from dnn.training.blocks import steps_in_blocks
from dnn.training.divided import alike, divisible
from dnn.training.member import Member
from dnn.training.planning import planner
from dnn.training.state import StateError
from dnn.training.step import TrainingStep
from dnn.training.totals import Totals
from dnn.workers import Workers

N = 53  # with batches of 16 the last one has 5


def data(n=N):
    rng = np.random.default_rng(7)
    return rng.normal(size=(n, 6, 6)).astype(np.float32), rng.integers(0, 3, n)


def model(backend="numpy", dtype="float32", normalised=False, loss="categorical_crossentropy", **settings):
    middle = [BatchNormalization()] if normalised else []
    views = RandomTranslation(1), RandomElastic(5.0), Flatten()
    layers = [*views, Dense(8, "relu"), *middle, Dropout(0.3), GaussianNoise(0.1)]
    made = Sequential(
        [*layers, Dense(3, "softmax")],
        input_shape=(6, 6),
        backend=get_backend(backend, dtype=dtype),
    )
    made.compile(loss, metrics=["accuracy", "r2"], **settings)
    return made


def threads(monkeypatch, n):
    monkeypatch.setattr(module, "_threads", lambda backend, blocks, processes: min(n, blocks))


@pytest.mark.parametrize(
    ("device", "blocks", "processes", "cores", "n"),
    [
        ("cpu", 8, 1, 4, 4), ("cpu", 8, 1, 7, 4), ("cpu", 2, 1, 16, 2), ("cpu", 8, 2, 8, 4),
        ("cpu", 8, 4, 2, 1), ("cuda", 8, 1, 8, 1),
    ],
)  # fmt: skip
def test_threads_are_a_power_of_two_that_blocks_and_cores_are_enough_for(
    device, blocks, processes, cores, n, monkeypatch
):
    """The cores that this process may use, as the system says it or not, shared with other workers."""
    backend = SimpleNamespace(device_type=device)
    monkeypatch.setattr(os, "sched_getaffinity", {0: range(cores)}.__getitem__, raising=False)
    assert module._threads(backend, blocks, processes) == n
    monkeypatch.delattr(os, "sched_getaffinity")
    for counted, expected in ((cores, n), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda counted=counted: counted)
        assert module._threads(backend, blocks, processes) == expected


def test_which_layers_and_losses_let_blocks_be_computed_at_once_and_by_several_threads():
    known, loss = [Flatten(), Dense(3, "relu"), Dropout(0.3)], CategoricalCrossentropy()
    assert divisible(known, loss)
    assert not divisible([*known, BatchNormalization()], loss)
    assert not divisible(known, BinaryCrossentropy())
    assert alike(known)
    assert not alike([*known, Dense(3, "gelu")])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_weight": {0: 3.0, 1: 0.0}},
        {"sample_weight": np.linspace(0, 2, N)},
        {"shuffle": False, "steps_per_epoch": 2},
    ],
    ids=["plain", "class_weight", "sample_weight", "first batches"],
)
@pytest.mark.parametrize("blocks", [2, 8])
def test_a_batch_in_blocks_has_the_gradient_and_the_numbers_of_the_whole(blocks, options):
    """With the masks, moves and noise of the whole batch too; in float64, up to rounding."""
    loss = CategoricalCrossentropy(ignore_index=2)
    whole, cut = (model(dtype="float64", loss=loss, l2=1e-2) for _ in range(2))
    settings = {"batch_size": 16, "epochs": 2, "verbose": 0, **options}
    expected = whole.fit(*data(), **settings).history
    found = cut.fit(*data(), blocks=blocks, **settings).history
    assert_close(weights(cut), weights(whole), 1e-10)
    for name in ("loss", "accuracy", "r2"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_threads_do_not_decide_the_bits(backend, monkeypatch):
    """Also not of the running statistics and of how often layers have drawn."""
    found = []
    for n in (1, 2, 4):
        threads(monkeypatch, n)
        made = model(backend, normalised=True)
        history = made.fit(*data(48), batch_size=32, epochs=2, blocks=4, verbose=0).history
        del history["seconds"]
        found.append((weights(made).tobytes(), history))
    assert found[0] == found[1] == found[2]


def plain(backend, **settings):
    """Of dense layers alone, which a backend may have a plan for."""
    layers = [Flatten(), Dense(40, "relu"), Dense(24, "sigmoid", use_bias=False), Dense(3, "softmax")]
    made = Sequential(layers, input_shape=(6, 6), backend=get_backend(backend))
    made.compile(metrics=["accuracy"], **settings)
    return made


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize(
    "settings", [{}, {"l2": 1e-2}, {"optimizer": Adam(clip_norm=0.1)}], ids=["Adam", "l2", "clipped"]
)
def test_threads_share_vectors_and_the_step_and_plans_are_the_layers(backend, settings, sparse, monkeypatch):
    pytest.importorskip(backend)
    (x, y), found = data(), []
    x = np.where(x > 1.0, x, 0.0).astype(np.float32) if sparse else x
    for n, plans in [(1, planner), (2, planner), (4, planner), (2, lambda step: None)]:
        threads(monkeypatch, n)
        monkeypatch.setattr("dnn.training.member.planner", plans)
        made, kept = plain(backend, **settings), Kept(100)
        history = made.fit(x, y, batch_size=16, epochs=2, blocks=8, verbose=0, callbacks=[kept]).history
        found.append((weights(made), history["loss"], history["accuracy"]))
    assert kept.states[-1].facts["made_with"].get("updates") is None
    for bits, loss, accuracy in found[1:3]:
        assert same_bits(bits, found[0][0])
        assert (loss, accuracy) == found[0][1:]
    assert same_bits(found[3][0], found[0][0]) == (backend == "numpy")
    assert_close(found[3][0], found[0][0], 1e-5)
    np.testing.assert_allclose(found[3][1:], found[0][1:], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_not_finite_spoils_all_blocks_of_a_plan_as_layer_by_layer(monkeypatch):
    """An infinite weight of an input that is 0 everywhere: 0 * inf is NaN, in blocks after the first too."""
    pytest.importorskip("numba")
    (x, y), found = data(16), []
    x = np.where(x > 1.0, x, 0.0).astype(np.float32)
    x[:, 0, 0] = 0.0
    for plans in (planner, lambda step: None):
        monkeypatch.setattr("dnn.training.member.planner", plans)
        made, kept = plain("numba"), []
        made.parameters.value["dense_1.W"][0, 3] = np.inf
        for n in (1, 2, 4):  # of all blocks, of two, of each
            threads(monkeypatch, n)
            with steps_in_blocks(made, 4, Workers()) as make:
                step = make(
                    made, made.door.admit_training(x, y)[0], np.arange(16).reshape(1, 16), Totals(made)
                )
                step.pick()
                make._all(lambda member, step=step: member.work(step, member.part))
                kept += [np.isnan(member.sums[0][: member.n]) for member in make._members]
            assert step.whole == (plans is planner)
        found.append(kept)
    assert len(found[0]) == 7
    assert all(np.any(spoiled) for spoiled in found[0])
    np.testing.assert_array_equal(*found)


def mean_output(y, outputs):
    """A mean over whatever rows it gets."""
    return array_namespace(outputs).mean(outputs)


def trained_at_once(backend, monkeypatch, allowed, activation="gelu", metrics=("accuracy",)):
    """(weights and numbers of a training, [(whether a member computes its blocks at once, its threads)])."""
    together, same_bits = [], Member._same_bits

    def watch(member, step, n):
        found = allowed and same_bits(member, step, n)
        member.together[step] = found
        together.append((found, member.threads))
        return found

    monkeypatch.setattr(Member, "_same_bits", watch)
    layers = [Dense(70, "relu"), Dropout(0.3), Dense(66, activation, use_bias=False), Dense(3, "softmax")]
    made = Sequential([Flatten(), *layers], input_shape=(6, 6), backend=backend)
    made.compile(metrics=list(metrics))
    x, y = data()
    weight = np.linspace(0.5, 2, N)
    history = made.fit(x, y, batch_size=16, epochs=2, blocks=4, verbose=0, sample_weight=weight).history
    monkeypatch.undo()
    del history["seconds"]
    return (weights(made).tobytes(), history), together


@pytest.mark.parametrize("name", ["numpy", "torch", "strict"])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("activation", ["gelu", "sigmoid"])
@pytest.mark.parametrize("metrics", [("accuracy",), ("accuracy", mean_output)], ids=["accuracy", "of rows"])
def test_blocks_at_once_have_the_bits_of_one_after_the_other(name, n, activation, metrics, monkeypatch):
    found = []
    for allowed in (True, False):
        threads(monkeypatch, n)
        result, together = trained_at_once(get_backend(name), monkeypatch, allowed, activation, metrics)
        assert together == [(allowed, 1)] * n  # once: the last batch's blocks differ in size
        found.append(result)
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_where_the_library_shares_out_all_one_member_has_its_threads(name, monkeypatch):
    """With the bits of one thread, and of members of one thread each."""
    pytest.importorskip(name)
    backend, found = get_backend(name), []
    before = backend.thread_count
    for n, allowed in ((2, True), (2, False), (1, False)):
        threads(monkeypatch, n)
        result, together = trained_at_once(backend, monkeypatch, allowed, "relu")
        found.append((result, together))
        assert backend.thread_count == before
    (first, members), *others = found
    assert backend.shares == (name == "torch")
    assert members == ([(True, 2)] if backend.shares else [(True, 1)] * 2)
    assert others[0][1] == [(False, 2)] * backend.shares + [(False, 1)] * 2
    assert all(result == first for result, _ in others)


def test_beside_others_that_member_has_one_thread_with_the_same_bits(monkeypatch):
    pytest.importorskip("torch")
    backend, found, work = get_backend("torch"), [], Member.work

    def watched(member, step, blocks):
        seen.append(member.threads)
        work(member, step, blocks)

    monkeypatch.setattr(Member, "work", watched)
    for busy in (False, True):
        seen = []
        with monkeypatch.context() as patch:
            threads(patch, 2)
            patch.setattr(Pace, "busy", busy)  # as the last training found the machine
            found.append(trained_at_once(backend, patch, True, "relu"))
        assert seen[0] == 2 - busy
    assert found[0] == found[1]
    assert found[0][1] == [(True, 2)]


def test_members_have_one_thread_each_where_the_librarys_change_bits(monkeypatch):
    def wrong(name, kind, kernel):
        def dense(x, W, b, y):
            kernel(x, W, b, y)
            y += 1e-6 * torch.get_num_threads()

        return dense if name == "dense" else kernel

    torch = pytest.importorskip("torch")
    threads(monkeypatch, 2)
    _, together = trained_at_once(get_backend("torch").wrapped(wrong), monkeypatch, True, "relu")
    assert together == [(False, 2), (True, 1), (True, 1)]


def test_blocks_are_computed_one_after_the_other_where_rows_beside_a_row_decide_its_bits(monkeypatch):
    def wrong(name, kind, kernel):
        def dense(x, W, b, y):
            kernel(x, W, b, y)
            y += 1e-6 * len(x)

        return dense if name == "dense" else kernel

    found = []
    for allowed in (True, False):
        threads(monkeypatch, 1)
        result, together = trained_at_once(get_backend("numpy").wrapped(wrong), monkeypatch, allowed)
        assert together == [(False, 1)]
        found.append(result)
    assert found[0] == found[1]


def test_where_blocks_are_not_computed_at_once_each_thread_has_a_member(monkeypatch):
    pytest.importorskip("torch")
    threads(monkeypatch, 2)
    made = model("torch", normalised=True)
    examples = made.door.admit_training(*data(16))[0]
    with steps_in_blocks(made, 4, Workers()) as make:
        make(made, examples, made.backend.from_host(np.arange(16).reshape(1, 16)), Totals(made))
        assert [member.part for member in make._members] == [range(2), range(2, 4)]
        assert {member.threads for member in make._members} == {1}


def test_the_running_statistics_are_the_mean_of_the_blocks():
    made, (x, y) = model(dtype="float64", normalised=True), data(16)
    alone = [model(dtype="float64", normalised=True) for _ in range(2)]
    made.fit(x, y, batch_size=16, blocks=2, shuffle=False, verbose=0)
    running = []
    for i, part in enumerate(alone):  # each half as a batch, with the masks of its rows
        for layer in part.layers:
            if hasattr(layer, "begin_at"):
                layer.begin_at(8 * i)
        half = slice(8 * i, 8 * i + 8)
        part.fit(x[half], y[half], batch_size=8, shuffle=False, verbose=0)
        running.append(part.parameters.to_host())
    for name, value in made.parameters.to_host().items():
        if "running" in name:
            assert_close(value, (running[0][name] + running[1][name]) / 2, 1e-14)
    assert made.parameters.to_host()["dropout_1.step"] == [1]


def test_a_frozen_layer_keeps_its_bits(monkeypatch):
    found = []
    for n in (1, 2):
        threads(monkeypatch, n)
        made = model(normalised=True)
        made.fit(*data(), batch_size=16, blocks=2, verbose=0)
        frozen = next(layer for layer in made.layers if isinstance(layer, BatchNormalization))
        frozen.trainable = False
        before = made.parameters.to_host()
        made.fit(*data(), batch_size=16, blocks=2, verbose=0)
        for name, value in made.parameters.to_host().items():
            if name.startswith(frozen.name):
                assert same_bits(value, before[name]), name
        found.append(weights(made))
    assert same_bits(*found)  # and of the others too, threads do not decide the bits


def test_one_block_is_the_plain_update():
    made = model()
    with steps_in_blocks(made, 1, Workers()) as make_step:
        assert make_step is TrainingStep
    a, b = model(), model()
    a.fit(*data(), batch_size=16, verbose=0)
    b.fit(*data(), batch_size=16, verbose=0, blocks=1)
    assert same_bits(weights(a), weights(b))


def test_batches_of_an_iterable_are_cut_too():
    (x, y), a, b = data(), model(), model()
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, N, 16)]
    a.fit(batches, epochs=2, blocks=4, verbose=0)
    b.fit(x, y, batch_size=16, epochs=2, blocks=4, shuffle=False, verbose=0)
    assert_close(weights(a), weights(b), 1e-6)  # a stream's batches have weights


def test_a_state_goes_on_with_its_blocks_and_with_no_others(monkeypatch):
    whole, kept = model(), Kept(2)
    settings = {"batch_size": 16, "epochs": 2, "verbose": 0}
    whole.fit(*data(), blocks=4, callbacks=[kept], **settings)
    state = kept.states[1]
    assert state.facts["blocks"] == 4
    threads(monkeypatch, 1)
    again = model()
    again.fit(*data(), blocks=4, resume=state, **settings)
    assert same_bits(weights(again), weights(whole))
    for blocks in (1, 2):
        with pytest.raises(StateError, match=f"has another blocks: 4, expected {blocks}"):
            model().fit(*data(), blocks=blocks, resume=state, **settings)
    kept = Kept(2)
    model().fit(*data(), callbacks=[kept], **settings)
    assert "blocks" not in kept.states[1].facts  # as older versions have it
    with pytest.raises(StateError, match="has another blocks: 1, expected 4"):
        model().fit(*data(), blocks=4, resume=kept.states[1], **settings)


def test_a_block_of_one_example_has_no_variance():
    with pytest.raises(InputError, match="no single example at the end or in a block"):
        model(normalised=True).fit(*data(), batch_size=16, blocks=16, verbose=0)


def test_blas_has_its_threads_again_afterwards():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads(), get_backend("numpy").describe()["threads"]
    model("torch").fit(*data(), blocks=2, verbose=0)
    model().fit(*data(), blocks=2, verbose=0)
    assert (torch.get_num_threads(), get_backend("numpy").describe()["threads"]) == before
