"""A backend with its own kernel and a callback, added by a user's module."""

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import small_data, small_model

from backends import get_backend, registry

BACKEND = """
import sys

import array_api_compat.numpy as xp
import numpy as np

from backends.dispatch import override, overrides_in
from backends.numpy.backend import NumpyBackend

CALLS = []


@override(dtypes=("float32",), kinds=("relu",))
def dense(xp, kind, x, W, b, y):
    CALLS.append(kind)
    np.maximum(x @ W + b, 0, out=y)


class Mine(NumpyBackend):
    OVERRIDES = (*overrides_in(sys.modules[__name__]), *NumpyBackend.OVERRIDES)


def make(device, dtype, fused):
    return Mine("mine", xp, "cpu", dtype, fused)
"""
CALLBACK = """
from dnn import Callback


class Count(Callback):
    every = 1
    updates = 0

    def on_progress(self, progress):
        self.updates += 1

    def on_epoch_end(self, epoch, logs):
        logs["updates"] = self.updates
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function (text, name) that writes a module with this text and imports it."""

    def load(text, name):
        (tmp_path / f"{name}.py").write_text(text)
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        made = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, made)
        spec.loader.exec_module(made)
        return made

    return load


def test_a_backend_with_a_kernel_of_its_own(module, monkeypatch):
    mine = module(BACKEND, "my_backend")
    point = SimpleNamespace(name="mine", load=lambda: mine.make)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    ours, theirs = (small_model(get_backend(name)) for name in ("mine", "numpy"))
    for model in (ours, theirs):
        model.fit(*small_data(), batch_size=10, epochs=2)
    assert set(mine.CALLS) == {"relu"}  # softmax falls back to NumPy's
    found, wanted = (model.parameters.to_host()["dense_1.W"] for model in (ours, theirs))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_callback(module):
    count = module(CALLBACK, "my_callback").Count()
    history = small_model().fit(*small_data(), batch_size=10, epochs=2, callbacks=[count])
    assert history.history["updates"] == [5, 10]
