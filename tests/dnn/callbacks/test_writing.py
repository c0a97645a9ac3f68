"""Callbacks that write: bad places are refused before the first epoch, and each failed write is reported."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import NUMPY, fit_small, small_model, weights

from backends import InputError
from dnn import Callback, CSVLogger, JSONLogger, ModelCheckpoint, TensorBoard
from dnn.callbacks import TrainingCheckpoint
from dnn.callbacks.training_checkpoint import latest_state
from dnn.checkpoints import load_model

resource = pytest.importorskip("resource", reason="no limit of file sizes")
FILES = CSVLogger, JSONLogger, ModelCheckpoint
FOLDERS = TrainingCheckpoint, TensorBoard
each_writer = pytest.mark.parametrize("make", [*FILES, *FOLDERS])


class Writer:
    """Stands for tensorboardX's SummaryWriter."""

    def __init__(self, folder):
        self._file = Path(folder, "events").open("w")  # noqa: SIM115
        self.flush, self.close = self._file.flush, self._file.close

    def add_scalar(self, name, value, epoch):
        self._file.write(f"{epoch} {name} {value}\n")


@pytest.fixture(autouse=True)
def tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=Writer))


@each_writer
@pytest.mark.parametrize("place", ["", "file/inner", "/proc/none/inner", "taken"])
def test_a_place_that_cannot_be_written_is_refused_before_the_first_epoch(tmp_path, monkeypatch, make, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "taken").touch() if make in FOLDERS else (tmp_path / "taken").mkdir()
    model = small_model()
    before = weights(model)
    with pytest.raises(InputError):
        fit_small(model, callbacks=[make(place)])
    assert np.array_equal(weights(model), before)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "taken"}


@pytest.mark.parametrize("name", ["none/{epoch}", "none/model", "file/{loss}/model", "/dev/null"])
def test_a_model_that_cannot_be_saved_is_refused_before_the_first_epoch(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    model = small_model()
    with pytest.raises(InputError, match=r"cannot be written .* expected a file in a folder that exists"):
        fit_small(model, callbacks=[ModelCheckpoint(name)])
    assert model.epochs_done == 0


@pytest.mark.parametrize("make", FOLDERS)
def test_a_new_folder_is_made(tmp_path, make):
    fit_small(callbacks=[make(tmp_path / "new" / "folder")])
    assert [*(tmp_path / "new" / "folder").iterdir()]


@each_writer
def test_each_failed_write_is_reported_and_the_training_continues(tmp_path, caplog, make):
    """In epochs 2 and 3 no file may grow; the model that is then best is not the best of the saved ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Full(Callback):
        def on_epoch_begin(self, epoch):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0 if epoch in (2, 3) else soft, hard))

        def on_epoch_end(self, epoch, logs):
            logs["val_loss"] = (4.0, 1.0, 1.0, 2.0)[epoch - 1]

        def on_train_end(self):
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    options = {"save_best_only": True} if make is ModelCheckpoint else {}
    place = tmp_path / "place"
    model = small_model()
    fit_small(model, epochs=4, callbacks=[Full(), make(place, **options)])
    assert model.epochs_done == 4
    assert len(caplog.records) == caplog.text.count("training continues") == 2
    if make is ModelCheckpoint:
        assert load_model(place, NUMPY).epochs_done == 4
    if make is TrainingCheckpoint:
        assert latest_state(place).epoch == 5
