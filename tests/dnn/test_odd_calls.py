"""Calls of public functions and classes with one to three odd arguments.

A call succeeds and keeps the given values, or one of our checks rejects it with one sentence and nothing
changes. No exception comes from inside a library, and no call hangs. ``examples_of_calls`` is the table of
calls, ``odd_objects`` the list of values. 12 calls for each entry, times DNN_HOSTILE, from a fixed seed.
"""

import datetime
import decimal
import inspect
import json
import random
import shutil
import sys
import traceback
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import NUMPY
from hostile import EXAMPLE_FACTOR, TRIP_VALUES, attempt

import dnn
from backends import BackendUnavailable, InputError, get_backend
from dnn import agreement, callbacks, checkpoints, datasets, lbfgs
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.commands import rewinding, run_folder
from dnn.interop import torch as interop
from dnn.interop.sklearn import DNNClassifier
from dnn.layers import LAYERS
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS
from dnn.optimizers.schedules import SCHEDULES

CALLS_FOR_EACH = 12
REFUSALS = (InputError, BackendUnavailable, interop.NoTwin)
CALLERS_FUNCTIONS = ("print_fn", "watch", "function", "open_backend")
CLASSES = [
    *LAYERS.values(), *OPTIMIZERS.values(), *SCHEDULES.values(), *LOSSES.values(), dnn.LBFGS,
    dnn.EarlyStopping,
]  # fmt: skip
WINDOWS = ("kernel_size", "pool_size", "strides", "padding", "dilation")  # one number stands for a pair


class CallersError(RuntimeError):
    """Raised by an object that the caller passed."""


class Broken:
    """All methods of this object raise CallersError."""

    def __getattr__(self, name):
        raise CallersError

    def __len__(self):
        raise CallersError

    def __iter__(self):
        raise CallersError

    def __array__(self, *_, **__):
        raise CallersError


class LongRepr:
    """The repr of this object has a hundred lines."""

    def __repr__(self):
        return "line\n" * 100


def recursive_list():
    """Return a list that contains itself."""
    inner = []
    inner.append(inner)
    return inner


def model(name="numpy", compiled=True):
    layers = [dnn.Dense(5, "relu"), dnn.Dense(3, "softmax")]
    made = dnn.Sequential(layers, input_shape=(4,), backend=get_backend(name), seed=1)
    if compiled:
        made.compile()
    return made


X = np.random.default_rng(0).random((12, 4), dtype=np.float32)
Y = np.arange(12) % 3


def odd_objects():
    """Return new odd objects. Each function gets its own, because calls exhaust or change some of them."""
    return [
        *TRIP_VALUES, False, 1, 3, 1.5, -0.0, 1e308, -(10**400), 2**63, 2**70,
        3 + 4j, Fraction(1, 3), decimal.Decimal("0.5"), datetime.date(2020, 1, 1), "", "a\nb", "a\0b",
        "\ud800", "n" * 300, ".", "numpy", b"x", bytearray(b"x"),
        (), set(), [1, 2], ["x"], {"x": 1}, {1: 2.0}, {0: "x"}, [[1, 2], [3]], (X, Y), (X,),
        recursive_list(),
        range(3), iter([1, 2]), (i for i in range(3)), object(), object, print, lambda: None,
        lambda *_, **__: None, Broken(), Broken, LongRepr(), NotImplemented, ..., Path("nowhere"),
        Path("a\0b"), sys,
        np.float64(0.5), np.int8(3), np.bool_(True), np.array(3), np.zeros(0), np.zeros((12, 4)),
        np.zeros((12, 3), "f4"), np.zeros((2, 2, 2)), np.full((12, 4), np.nan), np.array([None, 1]),
        np.array(["a", "b"]), np.zeros(12, "i8"), np.full(12, 2**62), np.zeros(12, "c8"), np.zeros(12,
        "M8[s]"),
        np.full(12, -1.0), np.ma.masked_array(X), torch.zeros(12, 4), torch.zeros(12, 3, requires_grad=True),
        torch.zeros(12, dtype=torch.int64), torch.zeros(3, device="meta"), np.float32, torch.float32, np,
        model(),
        model(compiled=False), dnn.Dense(3), dnn.Dense, dnn.Adam(), dnn.Adam, NUMPY,
        get_backend("torch"), dnn.Callback(), dnn.LinearDecay(0.1, 5), dnn.LBFGS(), dnn.History(),
    ]  # fmt: skip


def data_file(name):
    """Return the path of a valid file in the working folder; the first call writes all of them."""
    path = Path("files") / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        trained, kept = model(), []
        states = callbacks.TrainingCheckpoint(path.parent, every=1)
        trained.fit(X, Y, epochs=2, batch_size=6, callbacks=[states])
        trained.save(path.parent / "model")
        shutil.copy(callbacks.training_checkpoint.state_files(path.parent)[-1], path.parent / "training")
        dnn.fit_lbfgs(trained, X, Y, settings=dnn.LBFGS(max_iterations=2), watch=kept.append)
        lbfgs.save_state(kept[-1], path.parent / "lbfgs", trained.backend)
        (path.parent / "table.csv").write_text("a,b,c\n1,2,x\n3,4,y\n")
        (path.parent / "config.json").write_text("{}")
    return path


def lbfgs_state():
    return lbfgs.load_state(data_file("lbfgs"), NUMPY)


def examples_of_calls():
    """Return name -> (function, arguments) of calls that succeed."""
    m, b = model(), NUMPY
    bowl = lambda x: (float(x @ x), 2 * x)  # noqa: E731
    states = callbacks.TrainingCheckpoint(data_file("model").parent)
    state = lambda: read_state(data_file("training"))  # noqa: E731
    data = {"x": X, "y": Y}
    fit = {**data, "batch_size": 5, "epochs": 1, "verbose": 0, "shuffle": True, "callbacks": (),
           "resume": None, "validation_data": (X, Y), "class_weight": {0: 1.0, 1: 1.0, 2: 2.0},
           "sample_weight": np.ones(12)}  # fmt: skip
    trained = {"batch_size": 6, "epochs": 2, "resume": state()}
    table = {
        "get_backend": (open_backend, {"name": "numpy", "device": None, "dtype": "float32", "fused": True,
                                      "precision": "float32", "graphs": False}),
        "Sequential": (predict_with, {"layers": [dnn.Dense(3)], "input_shape": (4,), "backend": b,
                                        "seed": 0}),
        "compile": (compile_and_fit, {"loss": "mse", "optimizer": "adam", "metrics": ["accuracy"], "l1": 0.0,
                                "l2": 0.0}),
        "fit": (unchanged_if_refused(m, m.fit), fit),
        "fit, torch": (model("torch").fit, fit),
        "fit, split": (m.fit, {**data, "validation_split": 0.25, "steps_per_epoch": 1, "batch_size": 3}),
        "fit, resumed": (m.fit, {**data, **trained}),
        "evaluate": (m.evaluate, {**data, "batch_size": 5, "sample_weight": np.ones(12)}),
        "predict": (m.predict, {"x": X, "batch_size": 5}),
        "predict, torch": (model("torch").predict, {"x": X, "batch_size": 5}),
        "summary": (m.summary, {"print_fn": lambda line: None}),
        "save": (m.save, {"path": "made"}),
        "save_model": (checkpoints.save_model, {"model": m, "path": "made"}),
        "load_model": (checkpoints.load_model, {"path": data_file("model"), "backend": b,
                                                "allow_nonfinite": False}),
        "load_weights": (checkpoints.load_weights, {"model": m, "path": data_file("model")}),
        "dtype_of": (checkpoints.dtype_of, {"path": data_file("model")}),
        "read_state": (read_state, {"path": data_file("training")}),
        "write_state": (write_state, {"state": state(), "path": Path("made")}),
        "latest_state": (callbacks.latest_state, {"folder": Path("files")}),
        "TrainingCheckpoint": (callbacks.TrainingCheckpoint, {"folder": Path("files"), "every": 3,
                                                              "max_to_keep": 3}),
        "StopOnSignal": (callbacks.StopOnSignal, {"checkpoints": states}),
        "progress_for_stdout": (callbacks.progress_for_stdout, {"headline": "x"}),
        "CSVLogger": (train_with(dnn.CSVLogger), {"filename": "made", "append": True}),
        "JSONLogger": (train_with(dnn.JSONLogger), {"filename": "made", "append": False}),
        "ModelCheckpoint": (train_with(dnn.ModelCheckpoint), {"filepath": "made", "monitor": "loss",
                                                          "mode": "auto",
                                                          "save_best_only": True}),
        "EarlyStopping": (train_with(dnn.EarlyStopping), {"monitor": "loss", "min_delta": 0.1, "patience": 1,
                                                      "mode": "min", "restore_best_weights": True}),
        "fit_lbfgs": (dnn.fit_lbfgs, {"model": m, **data, "settings": dnn.LBFGS(max_iterations=2),
                                      "chunk_size": 5, "state": None, "watch": None}),
        "minimise": (lbfgs.minimise, {"function": bowl, "start": np.ones(3, "f4"), "backend": b,
                                      "settings": dnn.LBFGS(max_iterations=3), "watch": None}),
        "save_state": (lbfgs.save_state, {"state": lbfgs_state(), "path": "made", "backend": b}),
        "load_state": (lbfgs.load_state, {"path": data_file("lbfgs"), "backend": b}),
        "load_dataset": (datasets.load_dataset, {"name": "digits", "data_dir": ".", "download": False}),
        "load_csv": (datasets.load_csv, {"path": data_file("table.csv"), "target": "c", "delimiter": ","}),
        "load_image_folder": (datasets.load_image_folder, {"path": "nowhere", "size": (8, 8), "grey": True,
                                                           "flat": False}),
        "load_digit_image": (datasets.load_digit_image, {"path": "nowhere", "image_shape": (28, 28)}),
        "RunFolder": (run_folder.RunFolder, {"path": "run", "resume": False, "config": None}),
        "load_run": (run_folder.load_run, {"path": "files", "open_backend": get_backend,
                                           "allow_nonfinite": False}),
        "fit_with_rewinding": (rewinding.fit_with_rewinding, {"model": m, **data, "states": states,
                                                              "callbacks": (), "max_halvings": 2, **trained}),
        "to_torch": (interop.to_torch, {"model": m, "device": None, "logits": True}),
        "from_torch": (interop.from_torch, {"module": interop.to_torch(m), "backend": b, "input_shape": (4,),
                                            "output_activation": "softmax", "seed": 0}),
        "fit, twin": (interop.fit, {"module": interop.to_torch(m), **data, "epochs": 1, "loss": "mse"}),
        "reserve": (model().reserve, {"batch": 3, "training": True}),
        "minimise, returned": (minimise_returned, {"value": 1.0, "gradient": np.ones(3, "f4")}),
        "gradcheck": (agreement.gradcheck, {"part": dnn.Dense(3), "input_shape": (4,)}),
        "get_contender": (agreement.get_contender, {"name": "numpy"}),
        "DNNClassifier": (lambda **s: DNNClassifier(**s, max_iter=1).fit(X, Y), {
            "verbose": False, "backend": "numpy", "dtype": None, "n_iter_no_change": 3, "warm_start": True,
            "hidden_layer_sizes": (3,)}),
        "torch_loss": (interop.torch_loss, {"loss": "mse"}),
        "torch_optimizer": (interop.torch_optimizer, {"optimizer": "adam", "module": interop.to_torch(m)}),
    }  # fmt: skip
    for name in ("units", "activation", "name", "trainable"):
        table[f"layer.{name}"] = (assign_and_train(lambda m: m.layers[0], name), {"value": True})
    for name in MODEL_ATTRIBUTES:
        table[f"model.{name}"] = (assign_and_train(lambda m: m, name), {"value": getattr(m, name)})
    return table


MODEL_ATTRIBUTES = ("loss", "optimizer", "layers", "backend", "seed", "epochs_done", "stop_training",
                    "metrics", "penalty", "input_shape", "outputs", "parameters",
                    "optimizer_state")  # fmt: skip


def train_with(kind):
    """Return a function that trains with a callback of this class, made from its arguments."""
    return lambda **settings: model().fit(X, Y, epochs=2, callbacks=[kind(**settings)])


def minimise_returned(value, gradient):
    lbfgs.minimise(lambda x: (value, gradient), np.ones(3, "f4"), backend=get_backend("numpy"))


def assign_and_train(of, name):
    """Return a function that sets an attribute, trains, and checks that the saved model predicts the same."""

    def call(value):
        m = model()
        setattr(of(m), name, value)
        m.fit(X, Y)
        m.save("made")
        again = checkpoints.load_model("made", NUMPY)
        np.testing.assert_array_equal(again.predict(X), m.predict(X))

    return call


def unchanged_if_refused(m, call):
    """Return ``call`` with a check: if it rejects its arguments, the model keeps its loss and weights."""

    def check(**arguments):
        loss, values = m.loss, m.parameters.values.copy()
        try:
            call(**arguments)
        except REFUSALS:
            assert m.loss is loss
            np.testing.assert_array_equal(m.parameters.values, values)
            raise

    return check


def compile_and_fit(**settings):
    m = model()
    unchanged_if_refused(m, m.compile)(**settings)
    with np.errstate(all="ignore"):  # numbers that are allowed and far too large
        m.fit(X, Y)


def open_backend(**settings):
    backend = get_backend(**settings)
    assert settings["name"] in (backend.name, "auto")
    assert (backend.dtype_name, backend.precision) == (settings["dtype"], settings["precision"])
    assert backend.to_host(backend.zeros(3)).tolist() == [0, 0, 0]


def predict_with(**settings):
    m = dnn.Sequential(**settings)
    assert m.input_shape == tuple(settings["input_shape"])
    x = np.ones((2, *m.input_shape), m.backend.dtype_name)
    assert m.predict(x).shape == (2, m.outputs)


def settings_of(cls):
    """Return valid settings of a class: the defaults, overridden by its first example."""
    parameters = inspect.signature(cls).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **getattr(cls, "examples", ({},))[0]}


def same(kept, asked):
    if isinstance(kept, dict) and isinstance(asked, (list, tuple)):
        kept = kept["layers"]  # a list of layers becomes a Block
    if isinstance(kept, dict) and isinstance(asked, dict):
        # ``kept`` also contains defaults.
        return all(same(kept[name], value) for name, value in asked.items())
    if isinstance(kept, (list, tuple)) and isinstance(asked, (list, tuple)):
        return len(kept) == len(asked) and all(map(same, kept, asked))
    return kept == asked


def create_and_check(cls):
    """Return a function that creates an object and checks its settings, and a copy from its config."""

    def call(**settings):
        thing = cls(**settings)
        config = thing.config() if hasattr(thing, "config") else thing.__dict__
        json.dumps(config, default=str).encode()
        if cls in LAYERS.values():
            assert cls(**config).config() == config
        if cls in SCHEDULES.values():
            with np.errstate(all="ignore"):
                rates = thing.rates()
            assert rates.dtype == np.float64
            assert rates.shape[0] > thing.warmup
        for name, asked in settings.items():
            if name not in WINDOWS and asked not in (None, ""):
                wanted = asked.config() if isinstance(asked, dnn.LinearDecay) else asked
                assert same(config.get(name, wanted), wanted), name

    return call


def examples_of_classes():
    """Return class name -> (function that creates an object and checks it, valid settings)."""
    table = {cls.__name__: (create_and_check(cls), settings_of(cls)) for cls in CLASSES}
    return {name: (call, settings) for name, (call, settings) in table.items() if settings}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("table", [examples_of_calls, examples_of_classes])
def test_odd_calls(table, tmp_path, monkeypatch, capsys):
    """All runs make the same calls. A failure shows the index of each odd argument in ``odd_objects``."""
    monkeypatch.chdir(tmp_path)
    chance, found = random.Random(13), []
    for name in sorted(table()):
        call, arguments = table()[name]
        values = odd_objects()
        for _ in range(CALLS_FOR_EACH * EXAMPLE_FACTOR):
            odd = chance.sample(sorted(arguments), min(len(arguments), chance.choice([1, 1, 2, 3])))
            places = {argument: chance.randrange(len(values)) for argument in odd}
            tried = {**arguments, **{argument: values[i] for argument, i in places.items()}}
            try:
                attempt(call, **tried, refusals=REFUSALS)
            except CallersError:
                pass
            except BaseException as error:
                callers = any(callable(tried[name]) for name in CALLERS_FUNCTIONS if name in odd)
                if not callers and not (name == "write_state" and isinstance(error, OSError)):
                    found.append((name, places, traceback.format_exception(error)[-2:]))
    said = "\n".join(map(repr, found))
    assert not found, said.encode("utf-8", "backslashreplace").decode()
