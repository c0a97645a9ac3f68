"""The run folder belongs to one training."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest
from helpers import fit_small, input_error, small_model

from dnn import Callback
from dnn.callbacks.training_checkpoint import TrainingCheckpoint
from dnn.commands.run_folder import (
    CONFIG_FILE,
    CURVES_FILE,
    METRICS_FILE,
    MODEL_FILE,
    RunFolder,
    read_config,
)
from dnn.training.state import StateError


@pytest.mark.parametrize("how", ["new run", "link", "lock", "no folder"])
def test_nothing_is_written_into_a_folder_that_took_its_place(tmp_path, how):
    """Also between two epochs, and while a file is being written."""
    place, other, model = tmp_path / "run", tmp_path / "other", small_model()

    class Replace(Callback):
        every = 2

        def on_progress(self, progress):
            if (progress.epoch, progress.updates) != (2, 2):
                return
            if how == "lock":
                (place / ".lock").unlink()
            else:
                shutil.rmtree(place)
            if how == "link":
                other.mkdir()
                place.symlink_to(other)
            if how == "new run":
                RunFolder(place).write_json(CONFIG_FILE, {"seed": 4})
            if how == "no folder":
                self.files = {}
                return
            (place / MODEL_FILE).write_bytes(b"foreign")
            self.files = {path.name: path.read_bytes() for path in place.glob("*")}

    folder, replace = RunFolder(place), Replace()
    states = TrainingCheckpoint(place, every=2, check=folder.prepare)
    with input_error("run was removed or replaced during this training, which writes nothing more there"):
        fit_small(model, epochs=3, callbacks=[folder, replace, states])
    for write in (lambda: folder.save(model), lambda: folder.write_json("result.json", {})):
        with input_error("removed or replaced"):
            write()
    assert {path.name: path.read_bytes() for path in place.glob("*")} == replace.files


def test_a_folder_that_is_replaced_during_a_write_stays_as_it_is(tmp_path, monkeypatch):
    place, fsync = tmp_path / "run", os.fsync
    folder = RunFolder(place)
    folder.write_json(CONFIG_FILE, {})

    def replace(handle):
        monkeypatch.setattr(os, "fsync", fsync)
        place.rename(tmp_path / "moved")
        RunFolder(place).write_json(CONFIG_FILE, {"seed": 4})

    monkeypatch.setattr(os, "fsync", replace)
    with input_error("removed or replaced"):
        folder.write_json(CONFIG_FILE, {"seed": 3})
    assert read_config(place) == {"seed": 4}


def test_a_new_run_refuses_a_folder_that_another_filled_meanwhile(tmp_path):
    late = RunFolder(tmp_path / "run")
    first = RunFolder(tmp_path / "run")
    first.write_json(CONFIG_FILE, {"seed": 1})
    with input_error("in use by another training"):
        late.write_json(CONFIG_FILE, {"seed": 2})
    del first
    with input_error("not an empty folder"):
        late.write_json(CONFIG_FILE, {"seed": 2})
    (tmp_path / "run" / "result.json").touch()
    with input_error("is finished"):
        RunFolder(tmp_path / "run", resume=True)
    assert read_config(tmp_path / "run") == {"seed": 1}


def test_lines_are_appended_and_a_torn_file_is_written_again(tmp_path):
    folder, path = RunFolder(tmp_path / "run"), tmp_path / "run" / METRICS_FILE
    files = []

    class Tear(Callback):
        def on_epoch_begin(self, epoch):
            if epoch > 1:
                files.append(path.stat().st_ino)
            if epoch == 4:
                os.truncate(path, path.stat().st_size - 3)

    fit_small(epochs=5, callbacks=[folder, Tear()])
    assert files[0] == files[1] == files[2] != files[3]
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2, 3, 4, 5]


def test_a_line_lost_to_a_full_disk_is_written_at_the_end(tmp_path, monkeypatch):
    folder, full = RunFolder(tmp_path / "run"), []
    model = small_model()

    def fsync(handle):
        if full:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)

    class Fill(Callback):
        def on_epoch_begin(self, epoch):
            full.extend([epoch] if epoch == 3 else [])

    fit_small(model, epochs=3, callbacks=[Fill(), folder])
    assert len((folder.path / METRICS_FILE).read_text().splitlines()) == 2
    full.clear()  # the disk has space again
    folder.save(model)
    assert len((folder.path / METRICS_FILE).read_text().splitlines()) == 3


def test_a_killed_start_leaves_the_folder_usable(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.json.0123456789abcdef.unfinished").touch()
    folder = RunFolder(tmp_path)
    folder.config = {"seed": 3}
    fit_small(callbacks=[folder])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", CONFIG_FILE, METRICS_FILE]
    with input_error("not an empty folder"):
        RunFolder(tmp_path)


def test_unfinished_files_are_deleted(tmp_path):
    left = tmp_path / ".state-00002-0000000.safetensors.0123456789abcdef.unfinished"
    left.write_bytes(b"half")
    RunFolder(tmp_path, resume=True)
    assert not left.exists()


@pytest.mark.parametrize("name", [MODEL_FILE, "state-00002-0000000.safetensors"])
def test_a_folder_with_weights_or_states_does_not_restart(tmp_path, name):
    folder = RunFolder(tmp_path)
    folder.write_json(CONFIG_FILE, {})
    assert folder.latest_state() is None
    (tmp_path / name).touch()
    with pytest.raises(StateError, match="no training state that can be read"):
        folder.latest_state()


def test_failing_curves_are_a_warning(tmp_path, caplog):
    def plot(title, labels):
        raise RuntimeError("no fonts")

    RunFolder(tmp_path).draw(SimpleNamespace(plot=plot), "a title")
    assert "cannot be drawn (no fonts)" in caplog.text
    assert not (tmp_path / CURVES_FILE).exists()
