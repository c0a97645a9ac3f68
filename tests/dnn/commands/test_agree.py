"""Options of agree.py."""

import json
import sys

import numpy as np
import pytest
from helpers import input_error

from dnn import Dense, Sequential, agreement
from dnn.agreement import Record
from dnn.commands import agree
from dnn.datasets import Dataset


def record(level="L0", holds=True):
    return Record(level, "a case", "z", "numpy", 1.0, 2.0 if holds else 0.5)


@pytest.fixture
def run_agree(monkeypatch, capsys):
    """Return a function from words to (exit code, output, arguments), with one record per level."""

    def check(contenders, few, levels, sizes, seed):
        asked_for["check"] = [c.name for c in contenders], len(few.x), levels, sizes, seed
        return [record(level, asked_for["holds"]) for level in levels]

    def accuracy(contenders, train, test, epochs, seeds):
        asked_for["L5"] = len(train.x), len(test.x), epochs, seeds
        return [record("L5")]

    def replay(contenders, model, x, y, batch_size, seed):
        asked_for.setdefault("replay", []).append((x.shape, batch_size, model.parameters.count))
        return [record("replay")]

    asked_for = {}
    monkeypatch.setattr(agreement, "replay_level", replay)
    monkeypatch.setattr(agreement, "check", check)
    monkeypatch.setattr(agreement, "accuracy_level", accuracy)

    def of(words, holds=True):
        asked_for.clear()
        asked_for["holds"] = holds
        monkeypatch.setattr(sys, "argv", ["agree.py", "--dataset", "digits", *words.split()])
        code = agree.agree(agree.parse())
        return code, capsys.readouterr().out, asked_for

    return of


def test_agree_options(run_agree, monkeypatch, tmp_path):
    code, printed, found = run_agree("--backends numpy,strict,numpy --seed 3")
    assert found["check"] == (["numpy", "strict"], 1437, list(agreement.LEVELS), agreement.FULL, 3)
    assert (code, printed.splitlines()[0]) == (0, "all 7 comparisons hold")
    assert found["replay"] == [((60000, 784), 100, 648010), ((60000, 784), 100, 171770)]
    model = Sequential([Dense(10, "softmax")], input_shape=(64,), backend="numpy")
    model.compile()
    model.save(tmp_path / "model")
    _, _, found = run_agree(f"--backends numpy --like {tmp_path / 'model'}")
    assert (found["check"][2], found["replay"]) == ([], [((1437, 64), 100, 650)])
    code, printed, found = run_agree("--backends numpy --quick --levels L1,L0", holds=False)
    assert found["check"][2:] == (["L1", "L0"], agreement.QUICK, 0)
    assert (code, "L5" in found) == (1, False)
    words = "--levels L0,L5 --epochs 2 --seeds 4 --backends numpy"
    _, printed, found = run_agree(words)
    assert (found["check"][2], found["L5"]) == (["L0"], (1437, 360, 2, 4))
    monkeypatch.setattr(agreement, "check", lambda *_, **__: [])
    monkeypatch.setattr(agreement, "bits_level", lambda *_, **__: [])
    with input_error("nothing of pytorch is compared; add a backend such as numpy"):
        run_agree("--bits --backends pytorch")


def test_agree_default_backends(run_agree, monkeypatch):
    seen = []
    numpy = agreement.get_contender("numpy", "float32")
    available = [numpy], {"x": "no x"}
    monkeypatch.setattr(agreement, "available_contenders", lambda dtype: seen.append(dtype) or available)
    _, printed, found = run_agree("--levels L0")
    assert (found["check"][0], seen) == (["numpy"], ["float32"])
    assert "not run: x: no x" in printed
    _, printed, found = run_agree("--levels L0 --mutant tf32 --json")
    told = json.loads(printed)
    assert (len(found["check"][0]), len(seen), told["asked"]["mutant"]) == (1, 1, "tf32")
    assert (told["holds"], list(told["backends"]), told["not_run"]) == (True, found["check"][0], {})
    assert len(run_agree("--levels L0 --mutant tf32 --backends numpy")[2]["check"][0]) == 2


def test_agree_uses_at_most_two_thousand_examples(run_agree, monkeypatch):
    x = np.resize(np.arange(256, dtype=np.uint8), (2100, 64))
    large = Dataset("digits", x, np.arange(2100) % 10, x[:5], np.arange(5), (8, 8), 10)
    monkeypatch.setattr("dnn.datasets.load_dataset", lambda *_: large)
    assert run_agree("--levels L0 --backends numpy")[2]["check"][1] == 2000
