"""A training that is interrupted anywhere and resumed ends with the same bits as an uninterrupted one."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import NUMPY, Kept, build_network, numbers, others_slow, weights

from dnn import SGD, Adam, BatchNormalization, Callback, Dense, Dropout, LinearDecay, Rescaling
from dnn.callbacks.training_checkpoint import TrainingCheckpoint, latest_state, read_state, write_state
from dnn.training.state import StateError, TrainingState, previous_history

EPOCHS = 3
BATCH = 8


def data():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (61, 6)).astype(np.uint8)  # seven batches of 8 and one of 5
    return x, rng.integers(0, 3, 61)


def model_on(backend=NUMPY, optimizer=None, units=9, between=()):
    layers = [Rescaling(1 / 255), Dense(units, "sigmoid"), *between, Dense(5, "relu"), Dense(3, "softmax")]
    model = build_network(layers, backend=backend, seed=5)
    model.compile(optimizer=optimizer or Adam(LinearDecay(0.05, 24)))
    return model


def fit(model, callbacks=(), resume=None, **options):
    x, y = data()
    settings = {"batch_size": BATCH, "epochs": EPOCHS, "validation_data": (x[:20], y[:20]), **options}
    return model.fit(x, y, callbacks=callbacks, resume=resume, **settings)


@pytest.fixture(scope="module")
def saved():
    """Return the states after each update of a training."""
    kept = Kept()
    fit(model_on(), [kept])
    return kept.states


@pytest.mark.parametrize("optimizer", [None, SGD(0.1, momentum=0.9, nesterov=True)])
@pytest.mark.parametrize("random", others_slow([False, True], [True]))
def test_resumed_anywhere_the_bits_are_the_same(backend, optimizer, random, tmp_path):
    """With running averages and the counters of random masks too."""

    def build():
        return model_on(backend, optimizer, between=[BatchNormalization(), Dropout(0.3)] if random else ())

    whole = build()
    kept = Kept()
    history = fit(whole, [kept])
    wanted = weights(whole)
    assert len(kept.states) == EPOCHS * 8
    # In the first batches, in the middle, before and in the short batch, between epochs, at the end.
    for i in (0, 3, 6, 7, 12, 14, 15, 23):
        path = tmp_path / f"{i}.safetensors"
        write_state(kept.states[i], path)
        resumed = build()
        again = fit(resumed, resume=read_state(path))
        np.testing.assert_array_equal(weights(resumed), wanted)
        for slot, vector in whole.optimizer_state.vectors.items():
            restored = resumed.optimizer_state.vectors[slot]
            np.testing.assert_array_equal(backend.to_host(restored), backend.to_host(vector))
        assert numbers(again.history) == numbers(history.history)
        assert again.epoch == history.epoch
        assert resumed.epochs_done == EPOCHS


@pytest.mark.parametrize(
    ("changes", "options", "word"),
    [
        ({}, {"batch_size": 9}, "batch_size"),
        ({}, {"shuffle": False}, "shuffle"),
        ({"units": 8}, {}, "model"),
        ({"optimizer": Adam(0.01, 0.8)}, {}, "optimizer"),
    ],
)
def test_rejects_states_of_another_training(saved, changes, options, word):
    other = model_on(**changes)
    before = weights(other)
    with pytest.raises(StateError, match=f"differs in {word}"):
        fit(other, resume=saved[4], **options)
    np.testing.assert_array_equal(weights(other), before)


@pytest.mark.parametrize("done", [1, 7, 12])
def test_another_learning_rate_takes_effect_at_the_next_update(backend, done, caplog):
    class Change(Callback):
        every = 1

        def on_progress(self, progress):
            if len(kept.states) == done:
                self.model.optimizer_state.rate = 0.02

    whole, resumed = (model_on(backend, Adam(rate)) for rate in (0.05, 0.02))
    kept = Kept()
    fit(whole, [kept, Change()])
    state = kept.states[done - 1]
    fit(resumed, resume=state)
    np.testing.assert_array_equal(weights(resumed), weights(whole))
    assert "continues with learning_rate 0.02, the saved state had 0.05" in caplog.text
    assert "\n" not in repr(state)


def test_rejects_states_of_other_data(saved):
    model = model_on()
    x, y = data()
    with pytest.raises(StateError, match=r"differs in validation: .* settings and data of that training"):
        fit(model, resume=saved[12], validation_data=(x[1:20], y[1:20]))
    model.compile(optimizer=model.optimizer, metrics=())
    with pytest.raises(StateError, match=r"differs in history: .*accuracy.*, expected \['loss', 'val_l"):
        fit(model, resume=saved[12])
    model = model_on()
    x[20, 0] += 1
    with pytest.raises(StateError, match="differs in data"):
        model.fit(x, y, BATCH, EPOCHS, validation_data=(x[:20], y[:20]), resume=saved[4])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"control": None}, r"arrays of this model: \['control'\] differ"),
        ({"more": np.zeros(1)}, r"arrays of this model: \['more'\] differ"),
        ({"totals": np.zeros(3)}, r"'totals' of .* is float64 \(3,\), expected float32 \(4,\)"),
    ],
)
def test_rejects_other_arrays(saved, changed, words):
    arrays = {n: a for n, a in {**saved[4].arrays, **changed}.items() if a is not None}
    with pytest.raises(StateError, match=words):
        fit(model_on(), resume=replace(saved[4], arrays=arrays))


def test_settings_of_a_component_may_be_tuples_and_nan(tmp_path):
    class Noted(Dropout):
        def config(self):
            return {**super().config(), "note": {"pair": (1, (2.0, np.nan))}}

    model = model_on(between=[Noted(0.1)])
    checkpoints = TrainingCheckpoint(tmp_path)
    fit(model, [checkpoints])
    fit(model, [checkpoints], epochs=4, resume=latest_state(tmp_path))
    assert latest_state(tmp_path).epoch == 5


def test_a_state_after_the_last_update_of_an_epoch(saved):
    """The validation of the epoch and its history are still to come."""

    class Last(Callback):
        every = 8

        def on_progress(self, progress):
            self.state = progress.take_state() if progress.epoch < EPOCHS else self.state

    whole = model_on()
    resumed = model_on()
    last = Last()
    history = fit(whole, [last])
    assert (last.state.epoch, last.state.updates) == (EPOCHS - 1, 8)
    assert numbers(fit(resumed, resume=last.state).history) == numbers(history.history)
    np.testing.assert_array_equal(weights(resumed), weights(whole))
    last.state.updates += 1
    with pytest.raises(StateError, match="is at update 9, expected at most 8"):
        fit(resumed, resume=last.state)


@pytest.mark.parametrize(
    ("epoch", "updates", "history"),
    [(5, 0, {"loss": np.ones(4)}), (4, 1, None), (4, 0, {})],
)
def test_rejects_states_past_the_end(saved, epoch, updates, history):
    model = model_on()
    state = saved[-1]
    assert fit(model, resume=state).epoch == [1, 2, 3]
    past = replace(state, epoch=epoch, updates=updates, history=state.history if history is None else history)
    with pytest.raises(StateError, match=f"is in epoch {epoch}, expected one of a training of 3 epochs"):
        fit(model_on(), resume=past)


def test_previous_history():
    def before(epoch, **history):
        return previous_history(TrainingState(epoch, 0, {}, history, {}))

    measured = {"loss": [3.0, 2.0], "seconds": [1.0, 1.0]}
    found = before(5, **measured, mine=[7.0, 8.0])
    assert (found.epoch, found.history["mine"]) == ([3, 4], [7.0, 8.0])
    assert before(5).epoch == []
    for epoch, other in ((2, {}), (5, {"loss": [3.0]}), (5, {"mine": [7.0]})):
        with pytest.raises(StateError, match=r"state has \[.*2\] epochs, expected one number, below"):
            before(epoch, **measured | other)


@pytest.mark.parametrize(
    ("made_with", "words"),
    [
        ({"threads": 77}, "was made with threads 77, here it is threads"),
        ({"numpy": "1.0"}, "was made with numpy 1.0, here it is numpy"),
        ({}, ""),
    ],
)
def test_resuming_on_another_backend_warns_about_bits(saved, caplog, made_with, words):
    facts = saved[3].facts
    assert facts["made_with"]["threads"] >= 1
    state = replace(saved[3], facts={**facts, "made_with": facts["made_with"] | made_with})
    fit(model_on(), resume=state)
    assert words in caplog.text
    assert caplog.text.count("\n") == bool(words)
    state.facts["made_with"] = None
    with pytest.raises(StateError, match="differs in made_with: None"):
        fit(model_on(), resume=state)
