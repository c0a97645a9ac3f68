"""Output of fit: a line per epoch, also into pipes and logs, unless verbose says otherwise."""

import sys
from types import SimpleNamespace

import pytest
from helpers import fit_small, input_error, small_model

from dnn.callbacks import LiveProgress, PlainProgress, Progress, progress


def capture_fit(capsys, **options):
    fit_small(epochs=2, **options)
    return capsys.readouterr().out


@pytest.mark.parametrize("verbose", [0, False])
def test_prints_nothing(capsys, verbose):
    assert capture_fit(capsys, verbose=verbose) == ""


@pytest.mark.parametrize("verbose", ["auto", 1, 2, True])
def test_a_line_per_epoch(capsys, verbose):
    lines = capture_fit(capsys, verbose=verbose, validation_split=0.2).splitlines()
    assert [line[:10] for line in lines] == ["epoch 1/2 ", "epoch 2/2 "]
    assert all(words in lines[0] for words in (" loss ", " acc ", " val loss ", " val acc ", " s"))


def test_a_line_during_an_epoch_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "epoch 2/2" in capture_fit(capsys)
    assert capture_fit(capsys, verbose=0) == ""
    assert len(capture_fit(capsys, verbose=2).splitlines()) == 2


@pytest.mark.parametrize("validation", ["val", "test"])
def test_the_line_of_an_epoch(capsys, validation):
    logs = {"loss": 0.5, "accuracy": 0.75, "val_loss": 0.25, "val_mean_absolute_error": 1.0, "seconds": 1.26}
    shown = PlainProgress(validation=validation)
    shown.on_train_begin(1, 10, 50)
    shown.on_epoch_end(3, logs)
    line = "epoch  3/10  loss 0.5000  acc 0.7500  val loss 0.2500  val error 1.0000  1.3 s\n"
    assert capsys.readouterr().out == line.replace("val", validation)


def test_the_line_during_an_epoch_reads_at_most_four_times_a_second(monkeypatch, capsys):
    now = [7.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(progress, "get_terminal_size", lambda: SimpleNamespace(columns=60))
    live = LiveProgress()
    live.on_train_begin(3, 4, 50)
    for now[0], updates in ((7.125, 10), (7.25, 20), (7.375, 30), (7.5, 40)):
        live.on_progress(Progress(3, 4, updates, 50, 0, lambda: (0.5, 0.75), None, ("loss", "accuracy")))
    live.on_epoch_end(3, {"loss": 0.5, "accuracy": 0.75, "seconds": 1.0})
    live.on_train_end()
    numbers = "loss 0.5000  acc 0.7500"
    lines = [line.strip(" ") for line in capsys.readouterr().out.split("\r")]
    shown = [f"epoch 3/4  {done}/50  {numbers}" for done in (10, 30)]
    assert lines == [*shown, "", f"epoch 3/4  {numbers}  1.0 s\n", ""]


@pytest.mark.parametrize("columns", ["99999999999", "1"])
def test_the_line_of_any_terminal_is_short(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    progress.show_for_now("epoch 1/4")
    assert len(capsys.readouterr().out) <= progress.MAX_COLUMNS


def test_fit_adds_no_second_progress_line(capsys):
    assert len(capture_fit(capsys, verbose=2, callbacks=[PlainProgress()]).splitlines()) == 2


@pytest.mark.parametrize("verbose", [3, "yes", None, -1])
def test_rejects_invalid_arguments(verbose):
    with input_error(r"verbose is .*expected 'auto', 0, 1 or 2"):
        fit_small(verbose=verbose)


def test_metrics_of_your_own_have_their_names(capsys):
    model = small_model()

    def highest(y, outputs):
        return outputs.max(1)

    model.compile(metrics=[highest, "mae"])
    fit_small(model, verbose=2)
    line = capsys.readouterr().out
    assert " highest 0." in line
    assert " error 0." in line
