"""Callbacks of a resumed fit end in the same state as those of an uninterrupted one."""

import json

import numpy as np
import pytest
from helpers import Kept, same_bits, small_data, small_model, weights

from dnn import SGD, CSVLogger, EarlyStopping, JSONLogger, ModelCheckpoint
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.training.state import StateError

EPOCHS = 12


def fit(callbacks, resume=None, **options):
    """A training with the lowest validation loss in the middle."""
    model = small_model(seed=3)
    model.compile(optimizer=SGD(2.0))
    settings = {"batch_size": 10, "epochs": EPOCHS, "validation_split": 0.5, **options}
    history = model.fit(*small_data(60), callbacks=callbacks, resume=resume, **settings)
    return model, history


def through_a_file(state, tmp_path):
    write_state(state, tmp_path / "state.safetensors")
    return read_state(tmp_path / "state.safetensors")


def test_early_stopping_counts_on_and_restores_the_same_weights(tmp_path):
    def callback():
        return EarlyStopping(patience=2, restore_best_weights=True)

    kept = Kept(every=2)
    whole = callback()
    model, history = fit([whole, kept])
    assert 1 < whole.best_epoch < whole.stopped_epoch < EPOCHS
    assert len(kept.states) == 2 * whole.stopped_epoch
    for state in kept.states:  # the last one belongs to a training that has stopped
        again = callback()
        resumed, told = fit([again], through_a_file(state, tmp_path))
        assert (again.best_epoch, again.stopped_epoch) == (whole.best_epoch, whole.stopped_epoch)
        assert told.epoch == history.epoch
        assert same_bits(resumed.parameters.to_host()["dense_1.W"], model.parameters.to_host()["dense_1.W"])
        np.testing.assert_array_equal(weights(resumed), weights(model))


def test_two_callbacks_of_a_class_have_separate_states(tmp_path):
    def callbacks():
        return [
            EarlyStopping("loss", patience=9, restore_best_weights=True),
            EarlyStopping(patience=2, restore_best_weights=True),
        ]

    kept = Kept(every=2)
    model, _ = fit([*callbacks(), kept])
    resumed, _ = fit(callbacks(), through_a_file(kept.states[-3], tmp_path))
    np.testing.assert_array_equal(weights(resumed), weights(model))


def test_rejects_states_without_the_best_weights():
    kept = Kept(every=2)
    fit([kept], epochs=4)
    with pytest.raises(StateError, match=r"no weights of the best epoch, .* callbacks of that training"):
        fit([EarlyStopping(patience=9, restore_best_weights=True)], kept.states[-1])
    fit([EarlyStopping(patience=9)], kept.states[-1], epochs=4)  # it needs no weights


def test_rejects_states_with_other_validation():
    kept = Kept(every=2)
    fit([kept], epochs=3)
    with pytest.raises(StateError, match=r"differs in validation: .* expected None; resume with"):
        fit([], kept.states[-1], validation_split=0.0)


def test_the_best_checkpoint_stays_the_best(tmp_path):
    path = tmp_path / "best.safetensors"
    kept = Kept(every=2)
    fit([ModelCheckpoint(path, save_best_only=True), kept])
    best = path.read_bytes()
    path.unlink()
    fit([ModelCheckpoint(path, save_best_only=True)], kept.states[-2])
    assert not path.exists()  # later epochs were worse
    fit([ModelCheckpoint(path, save_best_only=True)], kept.states[0])
    assert path.read_bytes() == best


def test_log_files_match_those_of_an_uninterrupted_training(tmp_path):
    def run(folder, resume=None, *more):
        folder.mkdir(exist_ok=True)
        fit([CSVLogger(folder / "log.csv"), JSONLogger(folder / "log.jsonl"), *more], resume, epochs=4)

    def rows(folder):
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert {tuple(line) for line in lines} == {tuple(lines[0])}  # the order of the names too
        table = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
        timed = table[0].index("seconds")
        return [{**line, "seconds": 0} for line in lines], [row[:timed] + row[timed + 1 :] for row in table]

    kept = Kept(every=2)
    run(tmp_path / "whole", None, kept)
    for state in kept.states:
        run(tmp_path / "again", through_a_file(state, tmp_path))  # overwrites the file of the first training
        assert rows(tmp_path / "again") == rows(tmp_path / "whole")
