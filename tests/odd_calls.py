"""Valid calls: name -> (function, arguments). test_odd_calls.py replaces their arguments by odd values."""

import shutil
from pathlib import Path

import numpy as np
from helpers import NUMPY

import dnn
from backends import BackendUnavailable, InputError, get_backend
from dnn import agreement, callbacks, checkpoints, datasets, lbfgs
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.interop import torch as interop
from dnn.interop.sklearn import DNNClassifier

REFUSALS = (InputError, BackendUnavailable, interop.NoTwin)


def model(name="numpy", compiled=True):
    layers = [dnn.Dense(5, "relu"), dnn.Dense(3, "softmax")]
    made = dnn.Sequential(layers, input_shape=(4,), backend=get_backend(name), seed=1)
    if compiled:
        made.compile()
    return made


X = np.random.default_rng(0).random((12, 4), dtype=np.float32)
Y = np.arange(12) % 3
DATA = {"x": X, "y": Y}
FIT = {**DATA, "batch_size": 5, "epochs": 1, "verbose": 0, "shuffle": True, "callbacks": (),
       "resume": None, "validation_data": (X, Y), "class_weight": {0: 1.0, 1: 1.0, 2: 2.0},
       "sample_weight": np.ones(12)}  # fmt: skip
MODEL_ATTRIBUTES = ("loss", "optimizer", "layers", "backend", "seed", "epochs_done", "stop_training",
                    "metrics", "penalty", "input_shape", "outputs", "parameters",
                    "optimizer_state")  # fmt: skip


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
        (path.parent / "config.json").write_text("{}")
    return path


def trained_further():
    """Return arguments that continue the training of ``data_file``."""
    return {"batch_size": 6, "epochs": 2, "resume": read_state(data_file("training"))}


def bowl(x):
    """Return |x|^2 and its gradient."""
    return float(x @ x), 2 * x


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
        loss, values = m.loss, m.parameters.vector.copy()
        try:
            call(**arguments)
        except REFUSALS:
            assert m.loss is loss
            np.testing.assert_array_equal(m.parameters.vector, values)
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


def model_calls():
    m, b = model(), NUMPY
    return {
        "get_backend": (open_backend, {"name": "numpy", "device": None, "dtype": "float32", "fused": True,
                                      "precision": "float32", "graphs": False, "cpu_first": "numba"}),
        "Sequential": (predict_with, {"layers": [dnn.Dense(3)], "input_shape": (4,), "backend": b,
                                        "seed": 0}),
        "compile": (compile_and_fit, {"loss": "mse", "optimizer": "adam", "metrics": ["accuracy"], "l1": 0.0,
                                "l2": 0.0}),
        "fit": (unchanged_if_refused(m, m.fit), FIT),
        "fit, torch": (model("torch").fit, FIT),
        "fit, split": (m.fit, {**DATA, "validation_split": 0.25, "steps_per_epoch": 1, "batch_size": 3}),
        "fit, resumed": (m.fit, {**DATA, **trained_further()}),
        "evaluate": (m.evaluate, {**DATA, "batch_size": 5, "sample_weight": np.ones(12)}),
        "predict": (m.predict, {"x": X, "batch_size": 5}),
        "predict, torch": (model("torch").predict, {"x": X, "batch_size": 5}),
        "summary": (m.summary, {"print_fn": lambda line: None}),
        "reserve": (model().reserve, {"batch_size": 3, "training": True}),
    }  # fmt: skip


def file_calls():
    m, b = model(), NUMPY
    return {
        "save": (m.save, {"path": "made"}),
        "save_model": (checkpoints.save_model, {"model": m, "path": "made"}),
        "load_model": (checkpoints.load_model, {"path": data_file("model"), "backend": b,
                                                "allow_nonfinite": False}),
        "load_weights": (checkpoints.load_weights, {"model": m, "path": data_file("model")}),
        "read_state": (read_state, {"path": data_file("training")}),
        "write_state": (write_state, {"state": read_state(data_file("training")), "path": Path("made")}),
        "latest_state": (callbacks.latest_state, {"folder": Path("files")}),
        "load_dataset": (datasets.load_dataset, {"name": "digits", "data_dir": ".", "download": False}),
        "load_image_folder": (datasets.load_image_folder, {"path": "nowhere", "size": (8, 8), "grey": True}),
        "load_image": (datasets.load_image, {"path": "nowhere", "size": (8, 8), "grey": True}),
        "load_digit_image": (datasets.load_digit_image, {"path": "nowhere", "image_shape": (28, 28)}),
    }  # fmt: skip


def callback_calls():
    states = callbacks.TrainingCheckpoint(data_file("model").parent)
    return {
        "TrainingCheckpoint": (callbacks.TrainingCheckpoint, {"folder": Path("files"), "every": 3,
                                                              "max_to_keep": 3}),
        "StopOnSignal": (callbacks.StopOnSignal, {"checkpoints": states}),
        "progress_for_stdout": (callbacks.progress_for_stdout, {"headline": "x"}),
        "CSVLogger": (train_with(dnn.CSVLogger), {"filename": "made"}),
        "JSONLogger": (train_with(dnn.JSONLogger), {"filename": "made"}),
        "ModelCheckpoint": (train_with(dnn.ModelCheckpoint), {"filepath": "made", "monitor": "loss",
                                                          "mode": "auto",
                                                          "save_best_only": True}),
        "EarlyStopping": (train_with(dnn.EarlyStopping), {"monitor": "loss", "min_delta": 0.1, "patience": 1,
                                                      "mode": "min", "restore_best_weights": True}),
    }  # fmt: skip


def lbfgs_calls():
    m, b = model(), NUMPY
    state = lbfgs.load_state(data_file("lbfgs"), b)
    return {
        "fit_lbfgs": (dnn.fit_lbfgs, {"model": m, **DATA, "settings": dnn.LBFGS(max_iterations=2),
                                      "chunk_size": 5, "state": None, "watch": None}),
        "minimise": (lbfgs.minimise, {"function": bowl, "start": np.ones(3, "f4"), "backend": b,
                                      "settings": dnn.LBFGS(max_iterations=3), "watch": None}),
        "minimise, returned": (minimise_returned, {"value": 1.0, "gradient": np.ones(3, "f4")}),
        "save_state": (lbfgs.save_state, {"state": state, "path": "made", "backend": b}),
        "load_state": (lbfgs.load_state, {"path": data_file("lbfgs"), "backend": b}),
    }  # fmt: skip


def interop_calls():
    m, b = model(), NUMPY
    return {
        "to_torch": (interop.to_torch, {"model": m, "device": None, "logits": True}),
        "from_torch": (interop.from_torch, {"module": interop.to_torch(m), "backend": b, "input_shape": (4,),
                                            "output_activation": "softmax", "seed": 0}),
        "torch_loss": (interop.torch_loss, {"loss": "mse"}),
        "torch_optimizer": (interop.torch_optimizer, {"optimizer": "adam", "module": interop.to_torch(m)}),
        "gradcheck": (agreement.gradcheck, {"part": dnn.Dense(3), "input_shape": (4,)}),
        "gradcheck of a function": (agreement.gradcheck, {
            "part": lambda dy, y: dy * y, "forward": np.exp, "x": X, "seed": 1}),
        "compare_gradients": (agreement.compare_gradients, {"gradients": {"W": X}, "expected": {"W": X}}),
        "get_contender": (agreement.get_contender, {"name": "numpy"}),
        "DNNClassifier": (lambda **s: DNNClassifier(**s, max_iter=1).fit(X, Y), {
            "verbose": False, "backend": "numpy", "dtype": None, "n_iter_no_change": 3, "warm_start": True,
            "hidden_layer_sizes": (3,)}),
    }  # fmt: skip


def attribute_calls():
    m = model()
    table = {}
    for name in ("units", "activation", "name", "trainable"):
        table[f"layer.{name}"] = (assign_and_train(lambda m: m.layers[0], name), {"value": True})
    for name in MODEL_ATTRIBUTES:
        table[f"model.{name}"] = (assign_and_train(lambda m: m, name), {"value": getattr(m, name)})
    return table


def examples_of_calls():
    """Return name -> (function, arguments) of calls that succeed."""
    return {
        **model_calls(), **file_calls(), **callback_calls(), **lbfgs_calls(), **interop_calls(),
        **attribute_calls(),
    }  # fmt: skip
