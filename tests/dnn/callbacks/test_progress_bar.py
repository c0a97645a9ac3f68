"""What fit prints: nothing unless there is a terminal, or it was asked to."""

import sys

import pytest
from helpers import small_data, small_model

from backends import InputError, get_backend
from dnn.callbacks import PlainProgress


def printed(capsys, **options):
    model = small_model(get_backend("numpy"))
    model.fit(*small_data(), batch_size=10, epochs=2, **options)
    return capsys.readouterr().out


def test_nothing_where_there_is_no_terminal(capsys):
    assert printed(capsys) == printed(capsys, verbose=0) == printed(capsys, verbose=False) == ""


@pytest.mark.parametrize("verbose", [1, 2, True])
def test_a_line_an_epoch(capsys, verbose):
    lines = printed(capsys, verbose=verbose, validation_split=0.2).splitlines()
    assert [line[:10] for line in lines] == ["epoch 1/2 ", "epoch 2/2 "]
    assert all(words in lines[0] for words in (" loss ", " acc ", " test loss ", " test acc ", " s"))


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "epoch 2/2" in printed(capsys)
    assert printed(capsys, verbose=0) == ""


def test_one_that_is_there_is_enough(capsys):
    assert len(printed(capsys, verbose=2, callbacks=[PlainProgress()]).splitlines()) == 2


@pytest.mark.parametrize("verbose", [3, "yes", None, -1])
def test_refused(verbose):
    with pytest.raises(InputError, match=r"verbose is .*expected 'auto', 0, 1 or 2"):
        small_model(get_backend("numpy")).fit(*small_data(), verbose=verbose)


def test_metrics_of_your_own_have_their_names(capsys):
    model = small_model(get_backend("numpy"))

    def highest(y, outputs):
        return outputs.max(1)

    model.compile(metrics=[highest, "mae"])
    model.fit(*small_data(), batch_size=10, verbose=2)
    line = capsys.readouterr().out
    assert " highest 0." in line
    assert " error 0." in line
