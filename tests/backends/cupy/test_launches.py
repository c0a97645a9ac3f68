"""The calls of ``rows.cu``, whose pointers know no dtype: a wrong array is refused, never read as another."""

from __future__ import annotations

import sys
import types

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest

from backends.cupy import compiled
from backends.cupy.sources import ROW_KERNELS
from dnn import Dense, Sequential
from dnn.losses import CategoricalCrossentropy

SHAPE = (3, 4)


def arrays(name, dtype="float32"):
    """The four arrays of a kernel as it wants them."""
    second = np.zeros(SHAPE[0] if name.endswith("integer") else SHAPE, dtype=ROW_KERNELS[name] or dtype)
    third = np.zeros(SHAPE[0] if name.startswith("softmax") else SHAPE, dtype)
    fourth = np.zeros(SHAPE if name.startswith("softmax") else SHAPE[1], dtype)
    return [np.zeros(SHAPE, dtype), second, third, fourth]


@pytest.fixture
def started(monkeypatch):
    """(name, dtype, arguments) of what was started."""
    calls = []

    def row_kernel(name, dtype):
        return lambda grid, block, arguments: calls.append((name, dtype, arguments))

    monkeypatch.setattr(compiled, "row_kernel", row_kernel)
    return calls


@pytest.mark.parametrize("name", ROW_KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_right_arrays_are_passed_on(started, name, dtype):
    given = arrays(name, dtype)
    compiled.launch(name, (1,), (32, 4), tuple(given))
    ((_, used, (a, b, batch, n, c, d)),) = started
    assert used == dtype
    assert all(there is here for there, here in zip((a, b, c, d), given, strict=True))
    assert (batch, n) == SHAPE
    assert type(batch) is type(n) is np.int32


@pytest.mark.parametrize("name", ROW_KERNELS)
@pytest.mark.parametrize("which", [1, 2, 3])
@pytest.mark.parametrize("change", ["dtype", "layout"])
def test_a_wrong_array_is_refused(started, name, which, change):
    given = arrays(name)
    if change == "dtype":
        given[which] = given[which].astype(np.float64)
    else:
        given[which] = np.zeros((*given[which].shape[:-1], 2 * given[which].shape[-1]), given[which].dtype)[
            ..., ::2
        ]
    with pytest.raises(TypeError, match=f"{name} got an array of .*, expected .*, C-contiguous"):
        compiled.launch(name, (1,), (32, 4), tuple(given))
    assert started == []


def test_a_kernel_is_looked_up_once(monkeypatch):
    looked_up = []

    class RawModule:
        def __init__(self, code, options):
            pass

        def get_function(self, name):
            looked_up.append(name)
            return lambda grid, block, arguments: None

    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(RawModule=RawModule))
    for cached in (compiled.row_kernel, compiled._row_kernels):
        cached.cache_clear()
    for _ in range(3):
        for name in ROW_KERNELS:
            compiled.launch(name, (1,), (32, 4), tuple(arrays(name)))
    assert looked_up == list(ROW_KERNELS)
    for cached in (compiled.row_kernel, compiled._row_kernels):
        cached.cache_clear()


@pytest.mark.skipif(host_cuda.COMPILER is None, reason="no C++ compiler")
def test_label_smoothing_of_numpys_own_float(monkeypatch):
    """0.1 as numpy.float64 once made float64 targets, which the kernel read as float32."""
    host_cuda.install(monkeypatch)
    x, y = np.linspace(0, 1, 60, dtype=np.float32).reshape(20, 3), np.arange(20) % 3
    losses = []
    for amount in (0.1, np.float64(0.1)):
        backend = host_cuda.CupyOverridesOnNumpy("cupy", npx, "cpu", "float32")
        model = Sequential([Dense(3, "softmax")], input_shape=(3,), backend=backend, seed=1)
        model.compile(CategoricalCrossentropy(label_smoothing=amount), "sgd")
        losses.append(model.fit(x, y, epochs=2, batch_size=8).history["loss"])
    assert losses[0] == losses[1]
