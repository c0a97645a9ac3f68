"""get_backend, data movement, the door, the dispatcher, and what third parties register."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
import types

import array_api_compat.numpy as npx
import numpy as np
import pytest
import torch
from helpers import same_bits

from backends import (
    BackendUnavailable,
    InputError,
    available_backends,
    backend_names,
    get_backend,
    registry,
)
from backends.dispatch import Override, bind_kernels, kernel_keys
from backends.numpy_backend import NumpyBackend
from backends.reference import ACTIVATIONS

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="tests a machine without CUDA")

# --------------------------------------------------------------------------- get_backend


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("jax", {}, "backend is 'jax', expected one of auto, numpy, numba, cupy, torch, strict"),
        ("nunpy", {}, "did you mean 'numpy'"),
        ("numpy", {"dtype": "float16"}, "dtype is 'float16', expected one of float32, float64"),
        ("auto", {"dtype": "int8"}, "dtype is 'int8'"),
        ("numpy", {"device": "cuda"}, "device is 'cuda', expected 'cpu'"),
        ("strict", {"device": "cuda"}, "device is 'cuda', expected one of CPU_DEVICE, device1"),
        ("strict", {"device": "no_float64", "dtype": "float64"}, "expected 'float32'"),
        ("torch", {"device": "gpu"}, "device is 'gpu', expected 'cpu', 'cuda'"),
        ("torch", {"device": "meta"}, "device is 'meta', expected 'cpu', 'cuda'"),
        ("torch", {"device": "cpu:3"}, "device is 'cpu:3', expected 'cpu'"),
        ("torch", {"device": 1.5}, "device is 1.5"),
    ],
)
def test_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        get_backend(name, **options)


@pytest.mark.parametrize(
    ("name", "device", "shown"),
    [
        ("numpy", "cpu", "cpu"),
        ("torch", None, "cpu"),
        ("torch", "cpu:0", "cpu"),
        ("torch", torch.device("cpu"), "cpu"),
        ("strict", "cpu", "CPU_DEVICE"),
        ("strict", "device2", "device2"),
        ("strict", "no_float64", "no_float64"),
    ],
)
def test_devices(name, device, shown):
    backend = get_backend(name, device)
    assert shown in str(backend.device)
    assert backend.owns(backend.zeros(3))


def test_the_backends_own_device_is_taken(backend, make_backend):
    again = get_backend(backend.name, backend.device)
    assert again.owns(backend.zeros(1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(dtype):
    for name in ("numpy", "torch", "strict"):
        backend = get_backend(name, dtype=dtype)
        assert backend.dtype == getattr(backend.xp, dtype) == backend.zeros(1).dtype


@NO_GPU
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")])
def test_torch_cuda_without_a_gpu(device):
    with pytest.raises(BackendUnavailable, match=r"needs a CUDA device.*--device cpu"):
        get_backend("torch", device)


@NO_GPU
def test_auto_without_a_gpu_is_numpy_compiled_where_numba_is_installed():
    cpu = "numba" if importlib.util.find_spec("numba") else "numpy"
    backend = get_backend("auto", dtype="float64", fused=False)
    assert (backend.name, backend.dtype_name, backend.fused) == (cpu, "float64", False)
    assert get_backend("auto", device="cpu").name == cpu
    with pytest.raises(BackendUnavailable, match="CUDA"):
        get_backend("auto", device="cuda")


def test_available_backends():
    verdicts = available_backends()
    assert tuple(verdicts) == backend_names()
    assert [verdicts[n] for n in ("numpy", "torch", "strict")] == [None, None, None]
    assert all(verdict is None or "cupy" in verdict for verdict in verdicts.values())


def test_describe(backend):
    facts = backend.describe()
    common = {"backend", "device", "dtype", "numpy", "array_api", "fused_kernels", "threads"}
    assert common | {"denormals_flushed"} <= facts.keys()
    assert (facts["backend"], facts["dtype"]) == (backend.name, "float32")
    assert facts["fused_kernels"] == len(backend.overridden)


# --------------------------------------------------------------------------- arrays

BASE = np.arange(12).reshape(3, 4)
LAYOUTS = {
    "plain": lambda a: a,
    "fortran": np.asfortranarray,
    "negative strides": lambda a: a[::-1, ::-1],
    "every second column": lambda a: a[:, ::2],
    "empty": lambda a: a[:0],
    "0-d": lambda a: np.array(a[1, 1]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
@pytest.mark.parametrize("writeable", [True, False])
def test_round_trip(backend, dtype, layout, writeable):
    array = LAYOUTS[layout](BASE.astype(dtype))
    array.flags.writeable = writeable
    there = backend.from_host(array)
    backend.check("x", there)
    back = backend.to_host(there)
    assert isinstance(back, np.ndarray)
    assert same_bits(back, array)


def test_from_host_converts_where_asked(backend):
    there = backend.from_host(np.asarray([0, 7, 255], dtype=np.uint8), dtype=backend.dtype)
    assert there.dtype == backend.dtype
    assert backend.to_host(there).tolist() == [0.0, 7.0, 255.0]


@pytest.mark.parametrize(
    ("taker", "giver"),
    [
        (("numpy", None), ("torch", None)),
        (("numpy", None), ("strict", None)),
        (("torch", None), ("numpy", None)),
        (("strict", None), ("numpy", None)),
        (("strict", "device1"), ("strict", "device2")),
        (("strict", None), ("strict", "device1")),
    ],
)
def test_check_refuses_foreign_arrays(taker, giver):
    taker, giver = get_backend(*taker), get_backend(*giver)
    array = giver.zeros(2)
    assert not taker.owns(array)
    expected = f"images is a .*expected an array of the backend '{taker.name}'.*from_host"
    with pytest.raises(InputError, match=expected) as caught:
        taker.check("images", array)
    if taker.name == giver.name:
        assert str(giver.device) in str(caught.value)
    with pytest.raises(InputError, match=r"images is a builtins\.list"):
        taker.check("images", [1.0])


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [1, 1001, (), (0, 3), (7, 11)])
@pytest.mark.parametrize("dtype", [None, "uint8", "int64"])
def test_zeros_are_aligned(name, shape, dtype):
    backend = get_backend(name)
    # Several at a time: one alone may be aligned by luck.
    arrays = [backend.zeros(shape, dtype and getattr(backend.xp, dtype)) for _ in range(8)]
    for array in arrays:
        host = backend.to_host(array)
        assert host.shape == np.zeros(shape).shape
        assert not host.any()
        assert host.dtype == (dtype or "float32")
        if host.size:
            assert host.ctypes.data % 64 == 0


def test_capture_takes_n_steps(backend):
    count = backend.zeros(1)

    def step() -> None:
        count[...] = count + 1.0

    run = backend.capture(step)
    for n in (1, 0, 3, 60):
        start = float(backend.to_host(count)[0])
        run(n)
        backend.synchronize()
        assert float(backend.to_host(count)[0]) == start + n


def test_capture_of_in_place_updates(backend):
    total, position = backend.zeros(2), backend.zeros(1, dtype=backend.xp.int64)
    buffers = total, position

    def step() -> None:
        nonlocal total, position
        total += backend.xp.astype(position, backend.dtype)
        position += 1

    backend.capture(step)(5)
    backend.synchronize()
    # A replaced buffer would be written by no replay.
    assert total is buffers[0]
    assert position is buffers[1]
    assert backend.to_host(total).tolist() == [10.0, 10.0]


# --------------------------------------------------------------------------- dispatcher


def test_fused_false_binds_references_only(backend, make_backend):
    plain = dataclasses.replace(backend, fused=False)
    assert plain.overridden == ()
    assert plain.describe()["fused_kernels"] == 0


def test_overrides_are_bound_for_their_dtypes_and_kinds_only():
    def fast(xp, *args):
        return None

    def bound(dtype, fused=True, **limits):
        overrides = {"activation": Override(fast, **limits)}
        kernels, names = bind_kernels(npx, dtype, overrides, fused)
        assert set(kernels) == set(kernel_keys())
        assert {k for k, f in kernels.items() if f.func is fast} == set(names)
        return {kind for _, kind in names}

    assert bound("float32", dtypes=("float32",), kinds=("relu",)) == {"relu"}
    assert bound("float64", dtypes=("float32",)) == set()
    assert bound("float32", fused=False) == set()
    assert bound("float64") == set(ACTIVATIONS)


def test_unknown_kernels():
    with pytest.raises(KeyError, match=r"unknown kernels \['warp'\]"):
        bind_kernels(npx, "float32", {"warp": Override(print)}, fused=True)
    backend = get_backend("numpy")
    for key in (("warp",), ("dense", "gelu"), ("activation",), ("sgd", "relu")):
        with pytest.raises(KeyError):
            backend.kernel(*key)


def test_frozen(backend):
    with pytest.raises(dataclasses.FrozenInstanceError):
        backend.name = "other"
    with pytest.raises(TypeError):
        backend._kernels["sgd", None] = print


# --------------------------------------------------------------------------- entry points


def test_registered_backend(monkeypatch):
    def make(device, dtype, fused):
        return NumpyBackend("mine", npx, "cpu", dtype, fused)

    points = [
        types.SimpleNamespace(name="mine", load=lambda: make),
        types.SimpleNamespace(name="numpy", load=lambda: pytest.fail("shadows a built-in name")),
    ]
    asked = []
    monkeypatch.setattr(registry, "entry_points", lambda group: asked.append(group) or points)
    assert backend_names() == ("numpy", "numba", "cupy", "torch", "strict", "mine")
    assert get_backend("mine", dtype="float64").dtype == np.float64
    assert get_backend("numpy").name == "numpy"
    assert available_backends()["mine"] is None
    with pytest.raises(InputError, match="did you mean 'mine'"):
        get_backend("mime")
    assert set(asked) == {"dnn.backends"}


# --------------------------------------------------------------------------- imports


@pytest.mark.parametrize("package", ["dnn", "backends", "backends.cupy_backend"])
def test_import_loads_nothing_heavy(package, request):
    heavy = {"torch", "cupy", "matplotlib", "torchvision", "array_api_strict", "sklearn"}
    code = f"import sys, {package}; print(*({heavy!r} & sys.modules.keys()))"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=request.config.rootpath,
    )
    assert answer.stdout.split() == []


def test_a_view_shares_memory_or_is_refused(backend):
    array = backend.zeros((3, 4))
    flat = backend.view(array, (-1,))
    flat[...] = 2.0
    assert backend.to_host(array).tolist() == [[2.0] * 4] * 3
    with pytest.raises(ValueError, match=r"."):
        backend.view(array.T, (-1,))
