"""Kernels with pointers do not know dtypes: launches with wrong arrays are rejected."""

import sys
import types

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from helpers import assert_close

from backends.cupy import compilation, sources
from backends.cupy.kernels import CupyKernels

KERNELS = sources.kernels()


def arguments_of(name, real="float32", pixel="uint8"):
    """Return valid arguments of a kernel."""
    dtypes = {"REAL*": real, "PIXEL*": pixel, "long long*": "int64"}
    return [2**31 - 1 if kind == "int" else np.zeros((3, 4), dtypes[kind]) for kind in KERNELS[name]]


@pytest.fixture
def compiled(monkeypatch):
    """(kernel, its text, its options, the arguments of its launches), in the order of compilation."""
    found = []

    class RawModule:
        def __init__(self, code, options):
            self.made = code, options

        def get_function(self, name):
            launches = []
            found.append((name, *self.made, launches))
            return lambda grid, block, arguments: launches.append(arguments)

    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(RawModule=RawModule))
    compilation.raw_kernel.cache_clear()
    yield found
    compilation.raw_kernel.cache_clear()


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("picks_bytes", [False, True])
def test_compiles_once_and_passes_on_the_arguments(compiled, name, real, picks_bytes):
    arguments = arguments_of(name, real, "uint8" if picks_bytes else real)
    for _ in range(3):
        compilation.bind_launch(name, (1,), (32, 4), *arguments)()
    ((kernel, text, options, launches),) = compiled
    real = sources.CTYPES[real]
    pixel = "unsigned char" if picks_bytes and "PIXEL*" in KERNELS[name] else real
    assert (kernel, text) == (name, sources.module((name,), real, pixel))
    assert options == (("--fmad=false",) if name == "multiply_in_order" else ())
    assert len(launches) == 3
    for passed, argument in zip(launches[0], arguments, strict=True):
        assert passed is argument or (type(passed) is np.int32 and passed == argument)


@pytest.mark.parametrize(
    ("name", "which"), [(name, i) for name in KERNELS for i in range(len(KERNELS[name]))]
)
def test_rejects_wrong_arguments(compiled, name, which):
    right = arguments_of(name)
    if KERNELS[name][which] == "int":
        wrong = [2**31, 2.0, np.zeros(1, np.int32)]
    else:
        wrong = [right[which].astype(np.float16), np.zeros((3, 8), right[which].dtype)[:, ::2]]
    for argument in wrong:
        with pytest.raises((TypeError, OverflowError, KeyError)):
            compilation.bind_launch(name, (1,), (32, 4), *right[:which], argument, *right[which + 1 :])
    assert all(not launches for *_, launches in compiled)


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
