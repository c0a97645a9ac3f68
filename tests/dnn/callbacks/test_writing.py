"""Callbacks that write: bad places are refused before the first update, and each failed write is reported."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import NUMPY, fit_small, small_model, weights

from backends import InputError
from dnn import Callback, CSVLogger, JSONLogger, ModelCheckpoint, TensorBoard
from dnn.callbacks import TrainingCheckpoint
from dnn.checkpoints import load_model

resource = pytest.importorskip("resource", reason="no limit of file sizes")
FOLDERS = TrainingCheckpoint, TensorBoard
each_writer = pytest.mark.parametrize("make", [CSVLogger, JSONLogger, ModelCheckpoint, *FOLDERS])


def writer(folder):
    """Stand for tensorboardX's SummaryWriter."""
    file = Path(folder, "events").open("w")  # noqa: SIM115
    file.add_scalar = lambda name, value, epoch: file.write(name)
    return file


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=writer))
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder").mkdir()


@each_writer
@pytest.mark.parametrize("place", ["", "file/{loss}/inner", "/proc/none", "taken"])
def test_a_place_that_cannot_be_written_is_refused_before_the_first_update(make, place):
    if place == "taken":
        place = "file" if make in FOLDERS else "folder"
    model = small_model()
    before = weights(model)
    with pytest.raises(InputError):
        fit_small(model, callbacks=[make(place)])
    assert np.array_equal(weights(model), before)
    assert sorted(path.name for path in Path().rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize("make", FOLDERS)
def test_a_new_folder_is_made(make):
    fit_small(callbacks=[make("new/folder")])
    assert [*Path("new/folder").iterdir()]


@each_writer
def test_each_failed_write_is_reported_and_the_training_continues(caplog, make):
    """No file may grow in epochs 2 and 3, so that the best saved model is that of epoch 4."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Full(Callback):
        def on_epoch_begin(self, epoch):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0 if epoch in (2, 3) else soft, hard))

        def on_epoch_end(self, epoch, logs):
            logs["val_loss"] = (4, 1, 1, 2)[epoch - 1]

        def on_train_end(self):
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    callback = make("place")
    callback.save_best_only = True
    fit_small(epochs=4, callbacks=[Full(), callback], verbose=0)
    assert len(caplog.records) == caplog.text.count("training continues") == 2
    if make is ModelCheckpoint:
        assert load_model("place", NUMPY).epochs_done == 4
