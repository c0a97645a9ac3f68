"""The options of each command: their defaults, and the values given on the command line."""

import importlib
import sys
from pathlib import Path

import pytest
from command_lines import SCRIPTS
from helpers import assert_listed

from dnn.__main__ import COMMANDS

BACKEND = {"device": None, "precision": "float32", "graphs": False, "threads": None, "require_backend": False}
NUMPY = {"backend": "numpy", **BACKEND}
AUTO = {"backend": "auto", "dtype": "float32", **BACKEND}
DATA = {"dataset": "mnist", "data_dir": None}
RUN = {"json": False, "allow_nonfinite": False}
EXAMPLE = {"seed": 0, "seeds": 3, **AUTO}
# Command -> its required arguments, and its options.
DEFAULTS = {
    "train": ("", {
        **DATA, **AUTO, "preset": None, "hidden": [500, 500], "activation": "relu",
        "loss": "categorical_crossentropy", "optimizer": "adam", "learning_rate": None,
        "batch_size": 100, "epochs": 10, "seed": 0, "limit": None, "hold_out": 0, "blocks": 1,
        "worker_timeout": 120.0, "run_dir": None, "resume": None, "checkpoint_every": None,
        "keep": 3, "quiet": False,
    }),
    "evaluate": ("a b", {"run": [Path("a"), Path("b")], **RUN, **NUMPY, "dataset": None, "data_dir": None,
                         "calibration": None}),
    "predict": ("a b c", {"run": Path("a"), "images": [Path("b"), Path("c")], **RUN, **NUMPY,
                          "sure_from": None, "deskew": False}),
    "draw": ("a", {"run": Path("a"), "allow_nonfinite": False, **NUMPY, "host": "127.0.0.1", "port": 8000,
                   "keep": None, "deskew": False}),
    "export": ("a b", {"run": Path("a"), "file": Path("b"), **RUN, "overwrite": False, "input": None,
                       "logits": False, "rounded": False, "class_names": None}),
    "doctor": ("", {}),
    "agree": ("", {**DATA, "backends": None, "levels": None, "quick": False, "seed": 0,
                   "precision": "float32", "mutant": None, "my_layer": None, "bits": False, "json": False,
                   "epochs": 10, "seeds": 5, "limit": None}),
    "find_anomalies": ("", {**EXAMPLE, "epochs": 100, "normal": [0, 1, 2, 3, 4], "bottleneck": 8,
                            "dataset": "digits", "data_dir": None, "limit": 10_000}),
    "predict_disease": ("", {**EXAMPLE, "epochs": 40, "folds": 10}),
}  # fmt: skip
# (command, arguments, options).
GIVEN_OPTIONS = [
    ("train", "--preset p --hidden 3 4 --activation tanh --loss l --optimizer sgd --learning-rate 2 "
     "--batch-size 6 --epochs 7 --seed 8 --limit 9 --hold-out 10 --blocks 2 "
     "--worker-timeout 3 --run-dir r --resume q --checkpoint-every 11 --keep 12 --quiet "
     "--dataset d --data-dir e --backend b --device c --dtype float64 --precision tf32 --graphs --threads 13 "
     "--require-backend",
     {"preset": "p", "hidden": [3, 4], "activation": "tanh", "loss": "l", "optimizer": "sgd",
      "learning_rate": 2.0, "batch_size": 6, "epochs": 7, "seed": 8, "limit": 9,
      "hold_out": 10, "blocks": 2, "worker_timeout": 3.0, "run_dir": "r", "resume": "q",
      "checkpoint_every": 11, "keep": 12, "quiet": True, "dataset": "d", "data_dir": "e",
      "backend": "b", "device": "c", "dtype": "float64", "precision": "tf32", "graphs": True, "threads": 13,
      "require_backend": True}),
    ("train", "--hidden", {"hidden": []}),
    ("export", "a b --overwrite --input uint8 --logits --rounded --class-names x,y",
     {"overwrite": True, "input": "uint8", "logits": True, "rounded": True, "class_names": "x,y"}),
]  # fmt: skip


def module_of(command):
    return importlib.import_module(f"dnn.commands.{command}" if command in COMMANDS else command)


@pytest.fixture
def options(monkeypatch):
    """Return a function (command, words) -> options that its ``parse`` returns."""
    monkeypatch.syspath_prepend(str(SCRIPTS / "examples"))

    def of(command, words):
        monkeypatch.setattr(sys, "argv", [f"{command}.py", *words.split()])
        found = module_of(command).parse()
        return vars(found.options if command == "train" else found)

    return of


@pytest.mark.parametrize("command", DEFAULTS)
def test_option_defaults(command, options):
    words, expected = DEFAULTS[command]
    found = options(command, words)
    assert_listed(f"{command} of DEFAULTS in tests/scripts/test_options.py", expected, found)
    assert found == expected
    assert list(map(type, map(found.get, expected))) == list(map(type, expected.values()))


@pytest.mark.parametrize(("command", "words", "expected"), GIVEN_OPTIONS)
def test_given_options(command, words, expected, options):
    found = options(command, words)
    assert found == found | expected


def test_train_distinguishes_given_options_from_defaults(options):
    options("train", "--epochs 10 --quiet")
    asked = module_of("train").parse()
    assert asked.chosen == {"epochs", "quiet"}
    assert asked.defaults == DEFAULTS["train"][1]
