"""A training that is stopped anywhere and gone on with ends with the same bits as one that was not."""

import os

import numpy as np
import pytest
from helpers import Kept

from dnn import SGD, Adam, BatchNormalization, Dense, Dropout, LinearDecay, Rescaling, Sequential
from dnn.callbacks.training_checkpoint import TrainingCheckpoint, best_epoch, latest_state, state_files
from dnn.io import safetensors as tensor_files
from dnn.training.state import FORMAT, VERSION, StateError, TrainingState, read_state, write_state

EPOCHS, BATCH = 3, 8


def data():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (61, 6)).astype(np.uint8)  # seven batches of 8 and one of 5
    return x, rng.integers(0, 3, 61)


def model_on(backend, optimizer=None, units=9):
    layers = [Rescaling(1 / 255), Dense(units, "sigmoid"), Dense(5, "relu"), Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(6,), backend=backend, seed=5)
    model.compile(optimizer=optimizer or Adam(LinearDecay(0.05, 24)))
    return model


def fit(model, callbacks=(), resume=None, **options):
    x, y = data()
    settings = {"batch_size": BATCH, "epochs": EPOCHS, "validation_data": (x[:20], y[:20]), **options}
    return model.fit(x, y, callbacks=callbacks, resume=resume, **settings)


def numbers(history):
    return {name: values for name, values in history.history.items() if name != "seconds"}


@pytest.mark.parametrize("optimizer", [None, SGD(0.1, momentum=0.9, nesterov=True)])
def test_resumed_anywhere_the_bits_are_the_same(backend, optimizer, tmp_path):
    whole, kept = model_on(backend, optimizer), Kept()
    history = fit(whole, [kept])
    wanted = backend.to_host(whole.parameters.values)
    assert len(kept.states) == EPOCHS * 8
    # In the first batches, in the middle, before and in the short batch, between epochs, at the end.
    for i in (0, 3, 6, 7, 12, 14, 15, 23):
        path = tmp_path / f"{i}.safetensors"
        write_state(kept.states[i], path)
        resumed = model_on(backend, optimizer)
        again = fit(resumed, resume=read_state(path))
        np.testing.assert_array_equal(backend.to_host(resumed.parameters.values), wanted)
        for slot, vector in whole.optimizer_state.vectors.items():
            mine = resumed.optimizer_state.vectors[slot]
            np.testing.assert_array_equal(backend.to_host(mine), backend.to_host(vector))
        assert numbers(again) == numbers(history)
        assert again.epoch == history.epoch
        assert resumed.epochs_done == EPOCHS


def test_watching_changes_no_bit(backend):
    alone, watched = model_on(backend), model_on(backend)
    fit(alone)
    fit(watched, [Kept()])
    np.testing.assert_array_equal(
        backend.to_host(alone.parameters.values), backend.to_host(watched.parameters.values)
    )


def test_begun_on_one_backend_and_ended_on_another(make_backend):
    kept = Kept()
    there, here = make_backend("numpy", "float64"), make_backend("torch", "float64")
    whole = model_on(there)
    fit(whole, [kept])
    resumed = model_on(here)
    fit(resumed, resume=kept.states[10])
    np.testing.assert_allclose(
        here.to_host(resumed.parameters.values), there.to_host(whole.parameters.values), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"batch_size": 9}, "batch_size"),
        ({"shuffle": False}, "shuffle"),
        ({"units": 8}, "model"),
        ({"optimizer": Adam(0.01)}, "optimizer"),
    ],
)
def test_a_state_of_another_training_is_refused(make_backend, change, word):
    backend, kept = make_backend("numpy"), Kept()
    fit(model_on(backend), [kept])
    options = dict(change)
    other = model_on(backend, options.pop("optimizer", None), options.pop("units", 9))
    before = backend.to_host(other.parameters.values).copy()
    with pytest.raises(StateError, match=f"has another {word}"):
        fit(other, resume=kept.states[4], **options)
    np.testing.assert_array_equal(backend.to_host(other.parameters.values), before)


def test_a_state_of_other_data_is_refused(make_backend):
    backend, kept = make_backend("numpy"), Kept()
    fit(model_on(backend), [kept])
    x, y = data()
    x[0, 0] += 1
    with pytest.raises(StateError, match="has another data"):
        model_on(backend).fit(x, y, batch_size=BATCH, epochs=EPOCHS, resume=kept.states[4])


@pytest.fixture
def state_file(make_backend, tmp_path):
    kept = Kept()
    fit(model_on(make_backend("numpy")), [kept])
    path = tmp_path / "state.safetensors"
    write_state(kept.states[5], path)
    return path


def test_any_flipped_bit_is_noticed(state_file):
    content = state_file.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(content), 300):
        broken = bytearray(content)
        broken[at] ^= 1 << int(rng.integers(8))
        state_file.write_bytes(broken)
        with pytest.raises(StateError):
            read_state(state_file)


def test_any_truncation_is_noticed(state_file):
    content = state_file.read_bytes()
    for size in (0, 1, 7, 8, 100, len(content) // 2, len(content) - 1):
        state_file.write_bytes(content[:size])
        with pytest.raises(StateError, match=r"cannot be read|metadata"):
            read_state(state_file)


def test_a_newer_version_is_refused(state_file):
    tensor_files.write(state_file, FORMAT, VERSION + 1, {}, {})
    with pytest.raises(StateError, match=f"version {VERSION + 1}, this release reads {VERSION}"):
        read_state(state_file)


def made_up(epoch, updates, losses=()):
    return TrainingState(epoch, updates, {}, {"val_loss": list(losses)}, {"a": np.zeros(1)})


def test_the_last_and_the_best_are_kept(tmp_path):
    checkpoints = TrainingCheckpoint(tmp_path, every=10, keep=2)
    losses = [0.5, 0.2, 0.4, 0.3]
    for epoch in range(1, 5):
        checkpoints.save(made_up(epoch, 10, losses[: epoch - 1]))
        checkpoints.save(made_up(epoch + 1, 0, losses[:epoch]))
    names = sorted(path.name for path in state_files(tmp_path))
    assert best_epoch({"val_loss": losses}) == 2
    assert names == [f"state-{e:05d}-{u:07d}.safetensors" for e, u in ((3, 0), (4, 10), (5, 0))]
    latest = latest_state(tmp_path)
    assert (latest.epoch, latest.updates) == (5, 0)


def test_an_unreadable_newest_state_is_passed_over(tmp_path, caplog):
    checkpoints = TrainingCheckpoint(tmp_path)
    checkpoints.save(made_up(2, 0))
    checkpoints.save(made_up(3, 0))
    state_files(tmp_path)[-1].write_bytes(b"rubbish")
    assert latest_state(tmp_path).epoch == 2
    assert "an older one is tried" in caplog.text
    with pytest.raises(StateError, match="no training state that can be read"):
        latest_state(tmp_path / "nowhere")


def test_what_cannot_be_written_is_told_and_training_goes_on(make_backend, tmp_path, caplog):
    gone = tmp_path / "gone"
    model = model_on(make_backend("numpy"))
    history = fit(model, [TrainingCheckpoint(gone, every=3)])
    assert len(history.epoch) == EPOCHS
    assert caplog.text.count("cannot be written") == 1  # of nine that failed alike


def test_a_full_disk_costs_no_older_state(tmp_path, monkeypatch, caplog):
    checkpoints, full = TrainingCheckpoint(tmp_path, keep=1), OSError(28, "No space left on device")
    assert checkpoints.save(made_up(2, 0))

    def refuse(handle):
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        assert not checkpoints.save(made_up(3, 0))
        assert not checkpoints.save(made_up(4, 0))
    assert [path.name for path in tmp_path.iterdir()] == ["state-00002-0000000.safetensors"]
    assert latest_state(tmp_path).epoch == 2
    assert checkpoints.save(made_up(5, 0))
    said = caplog.text.splitlines()
    assert len(said) == 2
    assert "No space left on device" in said[0]
    assert "can be written again" in said[1]


def test_layers_with_a_state_go_on_too(backend, tmp_path):
    """Running averages, and the counters of random masks."""

    def build():
        layers = [Dense(9, "relu"), BatchNormalization(), Dropout(0.3), Dense(3, "softmax")]
        model = Sequential(layers, input_shape=(6,), backend=backend, seed=5)
        model.compile()
        return model

    whole, kept = build(), Kept()
    fit(whole, [kept])
    write_state(kept.states[9], tmp_path / "state.safetensors")
    resumed = build()
    fit(resumed, resume=read_state(tmp_path / "state.safetensors"))
    wanted = whole.parameters.to_host()
    for name, array in resumed.parameters.to_host().items():
        np.testing.assert_array_equal(array, wanted[name])


@pytest.mark.parametrize(
    ("made_with", "words"),
    [
        ({"threads": 77}, "was made with threads 77, here it is threads"),
        ({"numpy": "1.0"}, "was made with numpy 1.0, here it is numpy"),
        ({}, ""),
        (None, ""),  # a state of a version that did not say
    ],
)
def test_a_resume_elsewhere_says_that_bits_are_not_promised(make_backend, caplog, made_with, words):
    kept = Kept()
    fit(model_on(make_backend("numpy")), [kept])
    state = kept.states[3]
    assert state.facts["made_with"]["threads"] >= 1
    state.facts["made_with"] = made_with and {**state.facts["made_with"], **made_with}
    if made_with == {}:
        state.facts["made_with"] = kept.states[4].facts["made_with"]
    caplog.clear()
    resumed = model_on(make_backend("numpy"))
    fit(resumed, resume=state)
    said = caplog.text
    assert words in said
    assert said.count("\n") == bool(words)
