"""Parts of train.py: presets, options with --resume, messages."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import NUMPY, assert_listed, build_network, input_error

from dnn import SGD, Dense, LinearDecay
from dnn.commands import train, train_options
from dnn.commands.model import build_model
from dnn.commands.presets import PRESETS
from dnn.commands.run import Run, evaluate_held_out, target_lines
from dnn.commands.run_folder import read_config
from dnn.datasets import Dataset
from dnn.layers import Conv2D, Flatten, Rescaling


@pytest.fixture
def parse_words(monkeypatch):
    """Return a function from words to the parsed command line of train.py."""

    def of(words=""):
        monkeypatch.setattr(sys, "argv", ["train.py", *words.split()])
        return train_options.parse()

    return of


def make_data():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (25, 64), dtype=np.uint8), rng.integers(0, 10, 25)
    return Dataset("digits", x, y, x[:5], y[:5], (8, 8), 10)


# ----- models


def test_a_preset_sets_options_that_were_not_given(parse_words):
    options = train_options.apply_preset(parse_words("--preset quick"))
    assert (options.epochs, options.batch_size) == (PRESETS["quick"].epochs, PRESETS["quick"].batch_size)
    assert (options.epochs, options.batch_size) != (10, 100)
    options = train_options.apply_preset(parse_words("--preset quick --epochs 10 --batch-size 100"))
    assert (options.epochs, options.batch_size) == (10, 100)
    with input_error("did you mean 'quick'"):
        train_options.apply_preset(parse_words("--preset quik"))


@pytest.mark.parametrize(
    "words",
    ["--hidden 3", "--activation relu", "--loss mean_squared_error", "--optimizer adam", "--learning-rate 1",
     "--schedule linear", "--warmup 0"],
)  # fmt: skip
def test_rejects_options_that_a_preset_sets(parse_words, words):
    with input_error(f"^{words.split()[0]} was given with --preset"):
        train_options.apply_preset(parse_words(f"--preset quick {words}"))


def test_build_model(parse_words):
    """25 examples are three batches of ten: six updates in two epochs, two of them warm-up."""
    words = "--hidden 4 3 --activation tanh --epochs 2 --batch-size 10 --warmup 2 --seed 5 --optimizer sgd"
    model = build_model(parse_words(words).options, NUMPY, make_data(), 25)
    layers = [Rescaling(1 / 255), Dense(4, "tanh"), Dense(3, "tanh"), Dense(10, "softmax")]
    same = build_network(layers, (64,), seed=5)
    same.compile()
    assert model.config() == same.config()
    np.testing.assert_array_equal(model.parameters.vector, same.parameters.vector)
    assert model.optimizer == SGD(LinearDecay(0.01, 4, warmup=2))
    more = "--learning-rate 0.5 --schedule constant --loss binary_crossentropy --hidden"
    model = build_model(parse_words(more).options, NUMPY, make_data(), 25)
    assert model.optimizer.config()["learning_rate"]["rate"] == 0.5
    assert [layer.config().get("activation") for layer in model.layers] == [None, "sigmoid"]
    options = parse_words("--preset quick --epochs 3").options
    model = build_model(options, NUMPY, make_data(), 250)
    assert model.optimizer == PRESETS["quick"].optimizer(9)  # 250 examples are 2.5 batches of 100
    options.preset = "quik"  # possible in a config.json
    with input_error("did you mean 'quick'"):
        build_model(options, NUMPY, make_data(), 250)


def test_target_lines():
    assert list(target_lines("quick", [1.0, 2.0, 4.0], [0.9, 0.98, 0.984])) == [
        "98.0 % test accuracy: after 3.0 s, epoch 2", "98.5 % test accuracy: not reached",
    ]  # fmt: skip
    for none in (None, "lecture"):
        assert list(target_lines(none, [1.0], [1.0])) == []


def test_no_threshold_for_held_out_images():
    """test_ensemble.py has runs with a threshold."""
    model = SimpleNamespace(predict=lambda x: np.eye(2)[x])
    data = SimpleNamespace(x_train=np.arange(2), y_train=np.asarray([1, 0]))
    assert evaluate_held_out(model, data, 1) == {"held_out_accuracy": 0.0, "sure_from": None}


# ----- resuming


@pytest.mark.parametrize(
    ("default", "fitting", "others"),
    [
        ([500, 500], [[], [1, 2]], [None, 1, "1", [True], [1.0]]),
        (10, [1], [None, True, 1.0]),
        (False, [True], [None, 1, 0]),
        ("mse", ["x"], [None, 1]),
        (None, [None, "best", 1], []),
    ],
)
def test_is_option_value(default, fitting, others):
    for values, expected in ((fitting, True), (others, False)):
        assert all(train_options.is_option_value(value, default) is expected for value in values)


def test_the_table_has_every_option(parse_words):
    where = "OPTIONS in dnn/commands/train_options.py"
    assert_listed(where, train_options.OPTIONS, vars(parse_words().options))


@pytest.fixture
def run(parse_words, tmp_path):
    """Return the folder of a run that was started."""
    config = {**vars(parse_words().options), "dataset": "digits", "hidden": [7], "epochs": 4,
              "backend": "torch", "keep": 9, "quiet": True, "data_dir": "/elsewhere", "run_dir": "x",
              "worker_timeout": 5.0}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def merge_options(parsed):
    """Return the merged options of a command line with --resume."""
    return train_options.merge_options(parsed, read_config(Path(parsed.options.resume)))


def test_resumed_options_are_overridden_by_the_command_line(parse_words, run):
    options = merge_options(parse_words(f"--resume {run} --keep 5"))
    assert (options.keep, options.hidden, options.epochs, options.backend) == (5, [7], 4, "torch")
    assert (options.quiet, options.data_dir, options.run_dir) == (False, None, None)
    assert (options.worker_timeout, options.seed, options.resume) == (120.0, 0, str(run))


ALLOWED = ("--backend b", "--device c", "--require-backend", "--precision p", "--graphs", "--threads 1",
        "--data-dir d", "--quiet", "--checkpoint-every 1", "--keep 1", "--learning-rate 1",
        "--worker-timeout 1")  # fmt: skip
REJECTED = ("--preset p", "--hidden 3", "--activation a", "--loss l", "--optimizer o", "--schedule s",
             "--warmup 1", "--batch-size 1", "--epochs 1", "--seed 1", "--limit 1",
            "--hold-out 1", "--blocks 2", "--run-dir r", "--dtype float64", "--dataset d")  # fmt: skip


@pytest.mark.parametrize("words", ALLOWED)
def test_options_allowed_with_resume(parse_words, run, words):
    parsed = parse_words(f"--resume {run} {words}")
    (name,) = parsed.chosen - {"resume"}
    assert getattr(merge_options(parsed), name) == getattr(parsed.options, name)


@pytest.mark.parametrize("words", REJECTED)
def test_rejects_other_options_with_resume(parse_words, run, words):
    with input_error(f"^{words.split()[0]} was given with --resume"):
        merge_options(parse_words(f"--resume {run} {words}"))


def test_the_rate_of_a_preset_stays(parse_words, run):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "preset": "quick"}))
    with input_error("--learning-rate was given with --resume of a run with --preset"):
        merge_options(parse_words(f"--resume {run} --learning-rate 0.1"))


def test_rejects_runs_that_cannot_be_resumed(parse_words, run):
    config = json.loads((run / "config.json").read_text())
    without = {name: value for name, value in config.items() if name != "warmup"}
    for content, name in (({}, "activation"), (without, "warmup"), ({**config, "dataset": 2}, "dataset")):
        (run / "config.json").write_text(json.dumps(content))
        with input_error(f"no valid '{name}'"):
            merge_options(parse_words(f"--resume {run}"))


# ----- messages


def make_run(**changes):
    layers = [Rescaling(1 / 255), Dense(16, "relu"), Dense(10, "softmax")]
    model = build_network(layers, (64,))
    options = SimpleNamespace(dataset="digits", epochs=3, batch_size=2, resume=None, data_dir=None)
    fields = {"options": options, "data": None, "x": range(5), "y": None, "model": model, "state": None,
              "folder": SimpleNamespace(path="runs/a", prepare=lambda: None), "workers": None}  # fmt: skip
    return Run(**{**fields, **changes})


def test_headline_and_resume_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scripts/train.py"])
    run, state = make_run(), SimpleNamespace(epoch=2, updates=7)
    told = "digits, 5 training examples, 64-16-10, numpy on cpu, run folder runs/a"
    command = f"{sys.executable} scripts/train.py --resume runs/a"
    assert (run.headline, run.updates, run.resume_command) == (told, 9, command)
    run.options.data_dir, run.options.resume = "my data", "runs/a"
    assert run.resume_command == f"{command} --data-dir 'my data'"
    assert run.headline == f"{told}, from the start"
    layers = [Conv2D(2, 3), Flatten(), Dense(10, "softmax")]
    model = build_network(layers, (8, 8, 1))
    run = make_run(state=state, model=model, options=run.options)
    assert " 8x8x1-6x6x2-10, " in run.headline
    assert run.headline.endswith("run folder runs/a, from epoch 2, update 7")


@pytest.mark.parametrize(
    ("size", "device", "preset", "expected"),
    [
        (1, None, None, (None, "numba")), (1, None, "quick", (None, "numba")),
        (1, None, "best", (None, "torch")), (1, None, "cnn", (None, "torch")),
        (2, "cuda", None, ("cuda:1", "numba")), (2, "cpu", None, ("cpu", "numba")),
        (1, "cuda", None, ("cuda", "numba")), (2, "cuda:0", None, ("cuda:0", "numba")),
    ],
)  # fmt: skip
def test_the_backend_fits_the_preset_and_the_local_worker(monkeypatch, size, device, preset, expected):
    monkeypatch.setattr(train, "open_backend", lambda options, cpu_first: (options.device, cpu_first))
    options = SimpleNamespace(device=device, preset=preset)
    assert train.open_own_backend(options, SimpleNamespace(size=size, local_rank=1)) == expected
