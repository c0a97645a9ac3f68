"""Calls of callbacks and their order; and History."""

import time

from helpers import fit_small, input_error, small_data, small_model

from dnn import Adam, Callback, History, LinearDecay
from dnn.callbacks import (
    CSVLogger,
    JSONLogger,
    ModelCheckpoint,
    PlainProgress,
    ReduceLROnPlateau,
    TrainingCheckpoint,
)
from dnn.distributed import Workers


class Recorder(Callback):
    def __init__(self, every=None):
        self.every = every
        self.calls = []

    def on_train_begin(self, first_epoch, epochs, updates_per_epoch):
        self.calls.append(("begin", first_epoch, epochs, updates_per_epoch))

    def on_progress(self, progress):
        loss, accuracy = progress.read()
        assert loss > 0
        assert 0 <= accuracy <= 1
        self.calls.append(("progress", progress.epoch, progress.updates, progress.examples))

    def on_epoch_end(self, epoch, logs):
        self.calls.append(("epoch", epoch, sorted(logs)))

    def on_train_end(self):
        self.calls.append(("end",))


def test_calls(backend):
    model = small_model(backend)
    data = small_data(25)
    model.fit(*data, batch_size=10)
    quiet = Recorder()
    callback = Recorder(every=2)
    model.fit(*data, batch_size=10, epochs=2, callbacks=[quiet, callback], validation_data=data)
    logs = ["accuracy", "loss", "seconds", "val_accuracy", "val_loss"]
    epochs = [[("epoch", n, logs)] for n in (2, 3)]
    assert quiet.calls == [("begin", 2, 3, 3), *epochs[0], *epochs[1], ("end",)]
    progress = [[("progress", n, 2, 20), ("progress", n, 3, 25)] for n in (2, 3)]
    assert callback.calls == [
        ("begin", 2, 3, 3),
        *progress[0],
        *epochs[0],
        *progress[1],
        *epochs[1],
        ("end",),
    ]


def test_last_progress_equals_the_epoch():
    read = []

    class Last(Callback):
        every = 100

        def on_progress(self, progress):
            read.append(progress.read())

    begun = time.perf_counter()
    history = fit_small(callbacks=[Last()], batch_size=9)
    assert 0 < history.history["seconds"][0] < time.perf_counter() - begun
    assert [read[-1]] == list(zip(*(history.history[k] for k in ("loss", "accuracy")), strict=True))


def test_on_train_end_follows_on_train_begin_after_an_error(tmp_path):
    model = small_model()
    log = CSVLogger(tmp_path / "log")
    later = Recorder()
    model.compile(optimizer=Adam(LinearDecay(0.1, 10)))
    with input_error("with a schedule"):
        fit_small(model, callbacks=[log, ReduceLROnPlateau("loss"), later])
    assert (log._file, later.calls) == (None, [])


def test_only_the_first_worker_writes_and_prints(tmp_path, capsys):
    second = Workers()
    states = TrainingCheckpoint(tmp_path, every=1)
    second.rank = 1
    everywhere = Recorder()
    files = CSVLogger(tmp_path / "csv"), JSONLogger(tmp_path / "json"), ModelCheckpoint(tmp_path / "model")
    callbacks = [*files, states, PlainProgress("begins"), everywhere]
    fit_small(batch_size=25, callbacks=callbacks, workers=second)
    assert not [*tmp_path.iterdir()]
    assert capsys.readouterr().out == ""
    assert len(everywhere.calls) == 3


def test_history():
    history = History()
    for epoch in (4, 5):
        history.add(epoch, {"loss": 1.0 / epoch})
    assert history.epoch == [4, 5]
    assert history.history == {"loss": [0.25, 0.2]}
    history.add(6, {"more": 1})  # missing numbers are NaN
    assert str(history.history) == "{'loss': [0.25, 0.2, nan], 'more': [nan, nan, 1.0]}"
    assert str([*history.rows()][2]) == "(6, {'loss': nan, 'more': 1.0})"
    with input_error("logs\\['right'\\] is True"):
        history.add(7, {"right": True})
