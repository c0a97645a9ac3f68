"""Ctrl-C, and a full memory, before any line of a call: nothing hangs and no later number changes.

After each exception no claim is held, the libraries have their numbers of threads, no temporary file is left,
and the model can be used: trained from its start again, it gets the bits of an undisturbed training.
"""

import os
import random
from copy import copy
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from helpers import Kept, others_slow, same_bits, small_data, weights
from interruption import in_own_thread, interrupt, line_numbers

from backends import get_backend
from backends.numpy.blas import numpy_blas
from dnn import BatchNormalization, Dense, Dropout, Sequential, load_model
from dnn.callbacks import (
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
    Score,
    TrainingCheckpoint,
)
from dnn.callbacks.training_checkpoint import latest_state, state_files
from dnn.interop.sklearn import DNNClassifier
from dnn.interop.torch import to_torch
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.lbfgs.state import State
from dnn.trainings import trainings

X, LABELS = small_data(24)
BATCHES = [(X[i : i + 6], LABELS[i : i + 6]) for i in range(0, 24, 6)]
QUICK_LINES = 3  # of each call
SOME_LINES = 100
ALL = 10**9
SLOW_CALLS = {"callbacks": 300}
"""Calls whose lines take long, and the largest number of lines that are tried."""
THREADS = 2
ITERATIONS = 4  # of L-BFGS


def dense_layers():
    return [Dense(8, "relu"), Dense(3, "softmax")]


def various_layers():
    frozen = Dense(6, trainable=False)
    return [frozen, Dense(8, "relu"), Dropout(0.3), BatchNormalization(), Dense(3, "softmax")]


FITS = {
    "planned": (dense_layers, {"x": X, "y": LABELS, "batch_size": 6}),
    "layers": (various_layers, {"x": X, "y": LABELS, "batch_size": 6, "validation_split": 0.25}),
    "blocks": (various_layers, {"x": X, "y": LABELS, "batch_size": 6, "blocks": 2}),
    "stream": (various_layers, {"x": BATCHES}),
}


class Case:
    """A compiled model, its training, and what the calls need."""

    def __init__(self, backend, form, folder):
        make_layers, self.data = FITS[form]
        self.name = backend
        self.model = Sequential(make_layers(), input_shape=(6,), backend=get_backend(backend), seed=1)
        self.model.compile()
        self.start = self.model.parameters.to_host()
        self.path = folder / "model.safetensors"
        self.model.save(self.path)
        kept = Kept(every=1)
        self.fit(callbacks=[kept])
        self.state = kept.states[1]
        self.restart(folder)

    def restart(self, folder):
        """Undo all training; training states go to the folder from now on."""
        self.model.parameters.load(self.start)
        self.model.epochs_done = 0
        self.model.compile()
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.minimum = State(self.model.backend.xp.asarray(self.model.parameters.vector, copy=True))

    def fit(self, **settings):
        self.model.fit(**self.data, epochs=2, **settings)

    def minimise(self):
        """Make the iterations of L-BFGS that its state lacks."""
        if left := ITERATIONS - max(0, self.minimum.iterations):
            settings = LBFGS(max_iterations=left)
            fit_lbfgs(self.model, X, LABELS, settings=settings, state=self.minimum)

    def finish(self, name):
        """Train to the end, after a call that was interrupted."""
        if name == "lbfgs":
            self.minimise()
        elif state_files(self.folder):
            self.fit(resume=latest_state(self.folder))
        else:
            if name in ("fit", "callbacks", "checkpoint", "resume", "train_on_batch", "compile"):
                self.restart(self.folder)
            self.fit()


def fit_with_callbacks(case):
    case.fit(
        callbacks=[
            Score("score", lambda y, outputs: 1.0, X, LABELS),
            CSVLogger(case.folder / "log.csv"),
            ModelCheckpoint(case.folder / "best.safetensors", "loss"),
            EarlyStopping("loss", patience=1, restore_best_weights=True),
            ReduceLROnPlateau("loss"),
        ]
    )


CALLS = {
    "fit": Case.fit,
    "callbacks": fit_with_callbacks,
    "checkpoint": lambda case: case.fit(callbacks=[TrainingCheckpoint(case.folder, every=1)]),
    "resume": lambda case: case.fit(resume=case.state),
    "train_on_batch": lambda case: case.model.train_on_batch(X, LABELS),
    "lbfgs": Case.minimise,
    "compile": lambda case: case.model.compile("mse", "sgd", l2=0.1),
    "predict": lambda case: case.model.predict(X, batch_size=10),
    "evaluate": lambda case: case.model.evaluate(X, LABELS, batch_size=10),
    "save": lambda case: case.model.save(case.path),
    "load": lambda case: load_model(case.path, case.model.backend),
    "copy": lambda case: copy(case.model),
    "set_threads": lambda case: case.model.backend.set_threads(THREADS),
    "to_torch": lambda case: to_torch(case.model),
    "estimator": lambda case: DNNClassifier((8,), max_iter=2, backend=case.name).fit(X, LABELS),
}
CASES = [(name, "planned") for name in CALLS] + [("fit", form) for form in FITS if form != "planned"]


@cache
def undisturbed(backend, form, name):
    """Return the weights after the training that ``finish`` makes."""
    with TemporaryDirectory() as folder:
        case = Case(backend, form, Path(folder))
        case.finish(name)
        return weights(case.model)


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Let the libraries have two threads, so that sections change their number; write files quickly."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    blas = numpy_blas().threads
    before = blas.outside
    blas._set(THREADS)
    torch.set_num_threads(THREADS)
    yield blas
    blas._set(before)


@pytest.mark.filterwarnings("ignore:training ended after max_iter")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of files that Python closes
@pytest.mark.parametrize(
    "exceptions",
    others_slow(
        [(KeyboardInterrupt, QUICK_LINES), (KeyboardInterrupt, ALL), (MemoryError, SOME_LINES)],
        [(KeyboardInterrupt, QUICK_LINES)],
    ),
    ids="{0[0].__name__}-{0[1]}".format,
)
@pytest.mark.parametrize(("name", "form"), CASES)
@pytest.mark.parametrize("backend_name", ["numpy", "numba", "torch"])
@in_own_thread
def test_an_exception_at_any_line_leaves_nothing_behind(
    backend_name, name, form, exceptions, threads, tmp_path
):
    pytest.importorskip(backend_name)
    error, n_lines = exceptions
    call = CALLS[name]
    case = Case(backend_name, form, tmp_path)
    call(case)  # what is imported or compiled once
    case.restart(tmp_path / "count")
    lines = line_numbers(partial(call, case))
    tried = random.Random(0).sample(lines, min(n_lines, SLOW_CALLS.get(name, ALL), len(lines)))
    print(f"{backend_name}, {name}, {form}: {len(tried)} of {len(lines)} lines")
    for n in tried:
        case.restart(tmp_path / str(n))
        where = interrupt(partial(call, case), n, error)
        what = f"{error.__name__} at line {n}, {where}"
        assert trainings().living() == threads._claims.living() == [], what
        assert threads.outside == threads._get() == torch.get_num_threads() == THREADS, what
        assert not [*tmp_path.rglob(".*")], what
        values = case.model.parameters.to_host()
        assert all(same_bits(values[name], case.start[name]) for name in case.model.frozen_names), what
        case.finish(name)
        assert same_bits(weights(case.model), undisturbed(backend_name, form, name)), what
