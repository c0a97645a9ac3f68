"""The options of each command and their defaults."""

import importlib
import sys
from pathlib import Path

import pytest
from helpers import assert_listed

BACKEND = {"device": None, "precision": "float32", "graphs": False, "threads": None, "require_backend": False}
NUMPY = {"backend": "numpy", **BACKEND}
AUTO = {"backend": "auto", "dtype": "float32", **BACKEND}
DATA = {"dataset": "mnist", "data_dir": None}
RUN = {"json": False, "allow_nonfinite": False}
# Command -> its required arguments, and its options.
DEFAULTS = {
    "train": ("", {
        **DATA, **AUTO, "preset": None, "hidden": [500, 500], "activation": "relu",
        "loss": "categorical_crossentropy", "optimizer": "adam", "learning_rate": None, "schedule": "linear",
        "warmup": 0, "batch_size": 100, "epochs": 10, "seed": 0, "limit": None, "hold_out": 0, "blocks": 1,
        "worker_timeout": 120.0, "run_dir": None, "resume": None, "checkpoint_every": None, "size": None,
        "grey": False, "skip_unreadable": False,
        "keep": 3, "quiet": False,
    }),
    "evaluate": ("a b", {"run": [Path("a"), Path("b")], **RUN, **NUMPY, "dataset": None, "data_dir": None,
                         "calibration": None, "metrics": None, "skip_unreadable": False}),
    "predict": ("a b c", {"run": Path("a"), "images": [Path("b"), Path("c")], **RUN, **NUMPY,
                          "deskew": False, "folder": None}),
    "draw": ("a", {"folder": None, "run": Path("a"), "allow_nonfinite": False, **NUMPY,
                   "host": "127.0.0.1", "port": 8000}),
    "export": ("a b", {"folder": None, "run": Path("a"), "file": Path("b"), "allow_nonfinite": False,
                       "overwrite": False, "input": None}),
    "doctor": ("", {}),
    "agree": ("", {**DATA, "backends": None, "levels": None, "quick": False, "seed": 0,
                   "precision": "float32", "mutant": None, "my_layer": None, "like": None, "bits": False,
                   "json": False, "epochs": 10, "seeds": 5}),
}  # fmt: skip


def module_of(command):
    return importlib.import_module(f"dnn.commands.{command}")


@pytest.fixture
def options(monkeypatch):
    """Return a function (command, words) -> options that its ``parse`` returns."""

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


def test_train_distinguishes_given_options_from_defaults(options):
    options("train", "--epochs 10 --threads 13")
    asked = module_of("train").parse()
    assert asked.chosen == {"epochs", "threads"}
    assert asked.options.threads == 13
