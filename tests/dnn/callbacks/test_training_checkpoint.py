"""States on the disk: which ones are kept, and what a full disk or an unreadable file does."""

import errno
import os

import numpy as np
import pytest
from helpers import fit_small, input_error, small_model, weights

from dnn import Callback
from dnn.callbacks import training_checkpoint
from dnn.callbacks.training_checkpoint import (
    FORMAT,
    VERSION,
    TrainingCheckpoint,
    best_epoch,
    latest_state,
    read_state,
    state_files,
    write_state,
)
from dnn.io import safetensors as tensor_files
from dnn.training.state import StateError, TrainingState


@pytest.mark.parametrize("argument", ["every", "max_to_keep"])
def test_rejects_a_count_of_zero(tmp_path, argument):
    with input_error(f"^{argument} is 0, expected an integer of at least 1$"):
        TrainingCheckpoint(tmp_path, **{argument: 0})


def test_rejects_newer_versions(tmp_path):
    path = tmp_path / "state.safetensors"
    tensor_files.write(path, FORMAT, VERSION + 1, {}, {})
    with pytest.raises(StateError, match=f"version {VERSION + 1}, this release reads {VERSION}"):
        read_state(path)


def made_up(epoch, updates, losses=()):
    return TrainingState(epoch, updates, {}, {"val_loss": list(losses)}, {"a": np.zeros(1)})


def test_keeps_the_latest_and_the_best_states(tmp_path):
    checkpoints = TrainingCheckpoint(tmp_path, every=10, max_to_keep=2)
    losses = [0.5, 0.2, 0.4, 0.3]
    for epoch in range(1, 5):
        checkpoints.save(made_up(epoch, 10, losses[: epoch - 1]))
        checkpoints.save(made_up(epoch + 1, 0, losses[:epoch]))
    names = sorted(path.name for path in state_files(tmp_path))
    assert names == [f"state-{e:05d}-{u:07d}.safetensors" for e, u in ((3, 0), (4, 10), (5, 0))]
    latest = latest_state(tmp_path)
    assert (latest.epoch, latest.updates) == (5, 0)


@pytest.mark.parametrize(
    ("history", "best"),
    [
        ({"val_loss": [2.0, 1.0, 1.0], "loss": [1.0, 2.0, 3.0]}, 5),
        ({"loss": [3.0, 2.0, 1.0]}, 6),
        ({"val_loss": [float("nan"), 2.0, float("inf")]}, 5),
        ({"val_loss": [], "loss": []}, 0),
    ],
)
def test_the_best_epoch_is_the_first_with_the_lowest_loss(history, best):
    """In a fit that began with epoch 4."""
    assert best_epoch(TrainingState(7, 0, {}, history, {})) == best


def test_only_finite_states_are_written_counted_and_removed(tmp_path, caplog):
    """Unreadable states remain; optimizer and library may differ, and a callback's best value is infinite."""

    def state(epoch, value=0.0, **changed):
        facts = {"seed": 1, "optimizer": "one", "made_with": {}, **changed}
        arrays = {"a": np.array([0.0, value]), "callback Mine 0 best": np.array(np.inf)}
        return TrainingState(epoch, 0, facts, {}, arrays)

    other = {"optimizer": "other", "made_with": {"numpy": "1"}}
    for epoch, changed in ((3, {}), (4, other)):
        write_state(state(epoch, **changed), tmp_path / f"state-{epoch:05d}-0000000.safetensors")
    (tmp_path / "state-00001-0000000.safetensors").write_bytes(b"rubbish")
    checkpoints = TrainingCheckpoint(tmp_path, max_to_keep=1)
    assert checkpoints.save(state(5))
    assert not checkpoints.save(state(6, np.nan))
    assert "cannot be written (it holds NaN or infinity)" in caplog.text
    assert [path.name[10] for path in state_files(tmp_path)] == ["1", "5"]
    with input_error("has state-00005-0000000.safetensors of another training"):
        TrainingCheckpoint(tmp_path).save(state(7, seed=2))


@pytest.mark.parametrize(
    ("value", "kept"),
    [(0.5, 0.5), (np.inf, np.inf), ([1, 2], [1, 2]), ("text", None), (1j, None), ([[1], [2, 3]], None)],
)
def test_numbers_of_callbacks_are_saved_and_others_rejected(tmp_path, value, kept):
    class Mine(Callback):
        def state_arrays(self):
            return {"best": value}

    callbacks = [Mine(), TrainingCheckpoint(tmp_path)]
    if kept is None:
        with input_error("array 'callback Mine 0 best' of state_arrays is"):
            fit_small(callbacks=callbacks)
    else:
        fit_small(callbacks=callbacks)
        assert latest_state(tmp_path).arrays["callback Mine 0 best"].tolist() == kept


@pytest.mark.parametrize("epochs", [1, 5])
def test_a_folder_belongs_to_one_training(tmp_path, epochs):
    """The training itself may continue, from a state or with a second fit."""
    model = small_model()
    for _ in range(2):
        fit_small(model, callbacks=[TrainingCheckpoint(tmp_path)])
    before = {path: path.read_bytes() for path in state_files(tmp_path)}
    assert len(before) == 2
    other = small_model(seed=1)
    for done in (0, 2):
        other.epochs_done = done
        initial = weights(other)
        with input_error("of another training, expected a folder for this training alone; choose another"):
            fit_small(other, epochs=epochs, callbacks=[TrainingCheckpoint(tmp_path)])
        assert np.array_equal(weights(other), initial)
    assert {path: path.read_bytes() for path in state_files(tmp_path)} == before
    state = latest_state(tmp_path)
    fit_small(epochs=5, callbacks=[TrainingCheckpoint(tmp_path)], resume=state)
    assert latest_state(tmp_path).epoch == 7  # the second fit began after epoch 1


def test_the_states_of_a_training_that_was_left_are_renamed(tmp_path):
    """Also within an epoch; then the latest state is of the new training, and none is lost."""

    class Stop(Callback):
        every = 1

        def on_progress(self, progress):
            if progress.epoch == 3:
                raise KeyboardInterrupt

    states = TrainingCheckpoint(tmp_path, every=2, max_to_keep=99)
    fit_small(epochs=5, callbacks=[states])
    before = {path.stem: path.read_bytes() for path in state_files(tmp_path)}
    older = read_state(tmp_path / "state-00002-0000002.safetensors")
    with pytest.raises(KeyboardInterrupt):
        fit_small(epochs=5, callbacks=[states, Stop()], resume=older)
    assert latest_state(tmp_path).epoch == 3
    left = {path.stem: path.read_bytes() for path in tmp_path.glob("*.abandoned")}
    assert left == {name: content for name, content in before.items() if name > "state-00002-0000004"}
    assert read_state(tmp_path / "state-00006-0000000.abandoned").epoch == 6


@pytest.mark.parametrize(
    ("number", "left"), [(errno.ENOSPC, "34"), (errno.EDQUOT, "34"), (errno.EACCES, "23")]
)
def test_a_full_disk_removes_the_oldest_of_several_states(tmp_path, monkeypatch, number, left):
    checkpoints = TrainingCheckpoint(tmp_path)
    assert [checkpoints.save(made_up(epoch, 0)) for epoch in (2, 3)] == [True, True]

    def full(state, path, check):
        if len(state_files(tmp_path)) > 1:
            raise OSError(number, os.strerror(number))
        write_state(state, path)

    monkeypatch.setattr(training_checkpoint, "write_state", full)
    assert checkpoints.save(made_up(4, 0)) == (left == "34")
    assert "".join(path.name[10] for path in state_files(tmp_path)) == left


def test_skips_an_unreadable_newest_state(tmp_path, caplog):
    checkpoints = TrainingCheckpoint(tmp_path)
    checkpoints.save(made_up(2, 0))
    checkpoints.save(made_up(3, 0))
    state_files(tmp_path)[-1].write_bytes(b"rubbish")
    assert latest_state(tmp_path).epoch == 2
    assert "trying an older one" in caplog.text
    with pytest.raises(StateError, match="no training state that can be read"):
        latest_state(tmp_path / "nowhere")


def test_a_full_disk_keeps_the_only_older_state(tmp_path, monkeypatch, caplog):
    checkpoints = TrainingCheckpoint(tmp_path, max_to_keep=1)
    full = OSError(28, "No space left on device")
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
    assert caplog.text.count("No space left on device") == 2
