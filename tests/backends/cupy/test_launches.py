"""Kernels with pointers do not know dtypes: launches with wrong arrays are rejected."""

from __future__ import annotations

import sys
import types

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from helpers import assert_close, build_network

from backends.cupy import compilation, sources
from backends.cupy.kernels import CupyKernels
from dnn import Dense
from dnn.losses import CategoricalCrossentropy

KERNELS = sources.kernels()
PLACES = [(name, i) for name, kinds in KERNELS.items() for i in range(len(kinds))]


def arguments_of(name, real="float32", pixel="uint8"):
    """Return valid arguments of a kernel."""
    dtypes = {"REAL*": real, "PIXEL*": pixel, "long long*": "int64"}
    return [2**31 - 1 if kind == "int" else np.zeros((3, 4), dtypes[kind]) for kind in KERNELS[name]]


@pytest.fixture
def launches(monkeypatch):
    """(name, (real, pixel), arguments) of each launch."""
    calls = []

    def raw_kernel(name, *types):
        return lambda grid, block, arguments: calls.append((name, types, arguments))

    monkeypatch.setattr(compilation, "raw_kernel", raw_kernel)
    return calls


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("picks_bytes", [False, True])
def test_passes_on_correct_arguments(launches, name, real, picks_bytes):
    given = arguments_of(name, real, "uint8" if picks_bytes else real)
    compilation.launch(name, (1,), (32, 4), *given)
    ((_, types, passed),) = launches
    real = sources.CTYPES[real]
    assert types == (real, "unsigned char" if picks_bytes and "PIXEL*" in KERNELS[name] else real)
    for there, here in zip(passed, given, strict=True):
        assert there is here or (type(there) is np.int32 and there == here)


@pytest.mark.parametrize(("name", "which"), PLACES)
def test_rejects_wrong_arguments(launches, name, which):
    right = arguments_of(name)
    if KERNELS[name][which] == "int":
        wrong = [2**31, -1, 2.0, np.zeros(1, np.int32)]
    else:
        wrong = [right[which].astype(np.float16), np.zeros((3, 8), right[which].dtype)[:, ::2]]
        if KERNELS[name].count("REAL*") > 1 and KERNELS[name][which] == "REAL*":
            wrong.append(right[which].astype(np.float64))
        if KERNELS[name][which] == "PIXEL*":
            wrong.append(right[which].astype(np.float64))
    for argument in wrong:
        with pytest.raises(TypeError, match=f"{name} got .*, expected "):
            compilation.launch(name, (1,), (32, 4), *right[:which], argument, *right[which + 1 :])
    assert launches == []


def test_looks_up_each_kernel_once(monkeypatch):
    looked_up, texts = [], []

    class RawModule:
        def __init__(self, code):
            texts.append(code)

        def get_function(self, name):
            looked_up.append(name)
            return lambda grid, block, arguments: None

    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(RawModule=RawModule))
    compilation.raw_kernel.cache_clear()
    for _ in range(3):
        for name in KERNELS:
            compilation.launch(name, (1,), (32, 4), *arguments_of(name))
    assert looked_up == list(KERNELS)
    assert len(texts) == len(KERNELS)
    compilation.raw_kernel.cache_clear()


@pytest.mark.skipif(host_cuda.COMPILER is None, reason="no C++ compiler")
def test_strided_results_use_no_kernel_with_pointers(monkeypatch):
    launches, made, rng = [], [], np.random.default_rng(3)
    host_cuda.install(monkeypatch)
    monkeypatch.setattr(
        compilation, "raw_kernel", lambda *what: launches.append(what[0]) or host_cuda.raw(*what)
    )
    logits = rng.random((4, 3), np.float32)
    for step in (1, 2):
        losses, dlogits = (np.zeros(3 * n, np.float32)[::step][:n] for n in (4, 12))
        dlogits = dlogits.reshape(4, 3)
        CupyKernels(npx).softmax_cross_entropy(logits, np.arange(4) % 3, losses, dlogits)
        made.append((losses, dlogits))
    assert launches == ["softmax_cross_entropy"]
    for dense_array, gaps in zip(*made, strict=True):
        assert_close(gaps, dense_array, 1e-6)


@pytest.mark.skipif(host_cuda.COMPILER is None, reason="no C++ compiler")
def test_label_smoothing_with_a_numpy_float(monkeypatch):
    """0.1 as numpy.float64 once made float64 targets, which the kernel read as float32."""
    host_cuda.install(monkeypatch)
    x, y = np.linspace(0, 1, 60, dtype=np.float32).reshape(20, 3), np.arange(20) % 3
    losses = []
    for amount in (0.1, np.float64(0.1)):
        backend = host_cuda.CupyOverridesOnNumpy("cupy", npx, "cpu", "float32")
        model = build_network([Dense(3, "softmax")], (3,), backend, 1)
        model.compile(CategoricalCrossentropy(label_smoothing=amount), "sgd")
        losses.append(model.fit(x, y, epochs=2, batch_size=8).history["loss"])
    assert losses[0] == losses[1]
