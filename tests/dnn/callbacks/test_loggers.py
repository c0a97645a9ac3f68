"""Output of the loggers; without tensorboardX a fake writer replaces TensorBoard's."""

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import Kept, fit_small, input_error, small_data, small_model

from backends import InputError
from dnn import (
    Adam,
    Callback,
    CSVLogger,
    EarlyStopping,
    JSONLogger,
    LinearDecay,
    ReduceLROnPlateau,
    TensorBoard,
)

each_logger = pytest.mark.parametrize("make", [CSVLogger, JSONLogger])


def fit(callback, model=None, epochs=2, **options):
    model = model or small_model()
    return model, fit_small(model, epochs=epochs, **{"callbacks": [callback], **options})


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    _, first = fit(CSVLogger(path), validation_data=small_data())
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = ["accuracy", "loss", "seconds", "val_accuracy", "val_loss"]
    assert list(rows[0]) == ["epoch", *names]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in names:
        assert [float(row[name]) for row in rows] == first.history[name]  # every digit


def test_csv_has_the_columns_of_the_first_epoch(tmp_path):
    class Add(Callback):
        def on_epoch_end(self, epoch, logs):
            logs |= {"first": 1.0} if epoch == 1 else {"second": 2.0}

    log = CSVLogger(tmp_path / "log.csv")
    fit(log, callbacks=[Add(), log])
    rows = [line.split(",") for line in log.filename.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["epoch", "accuracy", "first", "loss", "seconds"]
    assert [row[2] for row in rows[1:]] == ["1.0", ""]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full")
def test_a_full_disk_costs_lines_and_not_the_training(caplog):
    log = JSONLogger("/dev/full")
    log.on_train_begin(1, 1, 1)
    log.on_epoch_end(1, {"loss": 0.5})
    log.on_train_end()
    assert caplog.text.count("epoch 1 cannot be logged (No space left on device)") == 1


@each_logger
def test_each_epoch_is_written_before_an_interruption(tmp_path, make):
    path = tmp_path / "log"

    class Stop(make):
        def on_epoch_end(self, epoch, logs):
            super().on_epoch_end(epoch, logs)
            assert f"{logs['loss']}" in path.read_text(encoding="utf-8")
            raise KeyboardInterrupt

    logger = Stop(path)
    with pytest.raises(KeyboardInterrupt):
        fit(logger)
    assert logger._file is None


@each_logger
def test_a_refused_training_leaves_the_old_file_as_it_is(tmp_path, make):
    path = tmp_path / "log"
    states = Kept()
    fit(make(path), callbacks=[make(path), states])
    before = path.read_bytes()
    for last in (EarlyStopping(restore_best_weights=True, monitor="loss"), ReduceLROnPlateau("loss")):
        model = small_model()
        resume = states.states[-1]
        if isinstance(last, ReduceLROnPlateau):
            model.compile(optimizer=Adam(LinearDecay(0.1, 9)))
            resume = None
        with pytest.raises(InputError):
            fit_small(model, epochs=9, callbacks=[make(path), last], resume=resume)
        assert path.read_bytes() == before


def test_json_has_null_for_nan(tmp_path):
    class Add(Callback):
        def on_epoch_end(self, epoch, logs):
            logs |= {"ratio": float("nan"), "size": float("inf")}

    log = JSONLogger(tmp_path / "log")
    fit(log, callbacks=[Add(), log])
    line = json.loads((tmp_path / "log").read_text().splitlines()[0], parse_constant=pytest.fail)
    assert (line["ratio"], line["size"]) == (None, None)


@each_logger
def test_rejects_missing_folders(tmp_path, make):
    with input_error(r"cannot be written .*expected a file in a folder that exists"):
        fit(make(tmp_path / "none" / "log"))


def test_tensorboard(tmp_path, monkeypatch):
    calls = []

    class SummaryWriter:
        def __init__(self, log_dir):
            calls.append(("open", log_dir))

        def add_scalar(self, name, value, epoch):
            calls.append((name, value, epoch))

        def flush(self):
            calls.append("flush")

        def close(self):
            calls.append("close")

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=SummaryWriter))
    _, history = fit(TensorBoard(tmp_path))
    assert calls[0] == ("open", str(tmp_path))
    assert [c for c in calls if c[0] == "loss"] == [
        ("loss", value, epoch) for epoch, value in enumerate(history.history["loss"], 1)
    ]
    assert calls.count("flush") == 2
    assert calls[-1] == "close"


def test_tensorboard_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)  # importing it raises
    with input_error(r'pip install -e "\.\[tensorboard\]"'):
        TensorBoard()
