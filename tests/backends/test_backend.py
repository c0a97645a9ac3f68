"""Backend: description, arrays and their check, captured steps, kernel dispatch."""

from __future__ import annotations

import dataclasses
import types

import array_api_compat.numpy as npx
import numpy as np
import pytest
from helpers import input_error, same_bits

from backends import get_backend
from backends.dispatch import FLOAT_DTYPES, Override, kernel_keys, overrides_in, usable_overrides
from backends.numpy.backend import NumpyBackend
from backends.reference import ACTIVATIONS


def test_describe(backend):
    facts = backend.describe()
    common = {"backend", "device", "dtype", "numpy", "array_api", "fused_kernels", "threads"}
    assert common | {"denormals_flushed"} <= facts.keys()
    assert (facts["backend"], facts["dtype"]) == (backend.name, "float32")
    assert facts["fused_kernels"] == len(backend.overridden_kernels)
    assert facts["device"] == str(backend.device)
    assert facts["array_api"].startswith("20")
    if backend.device_type == "cpu":
        assert facts["denormals_flushed"] is False


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


def test_from_host_converts_dtypes(backend):
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
def test_check_rejects_foreign_arrays(taker, giver):
    taker, giver = get_backend(*taker), get_backend(*giver)
    array = giver.zeros(2)
    assert not taker.owns(array)
    expected = f"images is a .*expected an array of the backend '{taker.name}'.*from_host"
    with input_error(expected) as caught:
        taker.check("images", array)
    if taker.name == giver.name:
        assert str(giver.device) in str(caught.value)
    with input_error(r"images is a builtins\.list"):
        taker.check("images", [1.0])


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [1, 1001, (), (0, 3), (7, 11)])
@pytest.mark.parametrize("dtype", [None, "uint8", "int64"])
def test_zeros_are_aligned(name, shape, dtype):
    backend = get_backend(name)
    # Several arrays: a single one may be aligned by chance.
    arrays = [backend.zeros(shape, dtype and getattr(backend.xp, dtype)) for _ in range(8)]
    for array in arrays:
        host = backend.to_host(array)
        assert host.shape == np.zeros(shape).shape
        assert not host.any()
        assert host.dtype == (dtype or "float32")
        if host.size:
            assert host.ctypes.data % 64 == 0


def test_a_view_shares_memory_or_raises(backend):
    array = backend.zeros((3, 4))
    flat = backend.view(array, (-1,))
    flat[...] = 2.0
    assert backend.to_host(array).tolist() == [[2.0] * 4] * 3
    with pytest.raises(ValueError, match=r"."):
        backend.view(array.T, (-1,))


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
    # A replay would not write to a replaced buffer.
    assert total is buffers[0]
    assert position is buffers[1]
    assert backend.to_host(total).tolist() == [10.0, 10.0]


# --------------------------------------------------------------------------- dispatcher


def test_fused_false_binds_references_only(backend, make_backend):
    plain = dataclasses.replace(backend, fused=False)
    assert plain.overridden_kernels == ()
    assert plain.describe()["fused_kernels"] == 0


def test_overrides_apply_only_within_their_limits():
    def fast(xp, *args):
        return None

    class Fast(NumpyBackend):
        OVERRIDES = ()

    def bound(dtype, fused=True, **limits):
        Fast.OVERRIDES = (Override("activation", fast, **limits),)
        backend = Fast("fast", npx, "cpu", dtype, fused)
        found = {key for key in kernel_keys() if backend.kernel(*key).func is fast}
        assert found == set(backend.overridden_kernels)
        return {kind for _, kind in found}

    assert bound("float32", dtypes=("float32",), kinds=("relu",)) == {"relu"}
    assert bound("float64", dtypes=("float32",)) == set()
    assert bound("float32", fused=False) == set()
    assert bound("float32", devices=("cuda",)) == set()
    assert bound("float32", available=lambda: False) == set()
    assert bound("float64") == set(ACTIVATIONS)


def test_overrides_in_a_module():
    module = types.ModuleType("fast")
    exec(
        "from backends.dispatch import override\n"
        "def sgd(xp, *rest): ...\n"
        "def helper(): ...\n"
        "@override('adam', devices=('cpu',))\n"
        "@override('adam', dtypes=('float32',))\n"
        "def quick(xp, *rest): ...\n"
        "def adam(xp, *rest): ...\n",
        vars(module) | {"__name__": "fast"},
        vars(module),
    )
    found = [(o.kernel, o.function.__name__, o.devices, o.dtypes) for o in overrides_in(module)]
    assert found == [
        ("sgd", "sgd", None, FLOAT_DTYPES),
        ("adam", "quick", ("cpu",), FLOAT_DTYPES),
        ("adam", "quick", None, ("float32",)),
        ("adam", "adam", None, FLOAT_DTYPES),
    ]


def test_unknown_kernels():
    with pytest.raises(KeyError, match=r"unknown kernels \['warp'\]"):
        usable_overrides((Override("warp", print),), "cpu")
    backend = get_backend("numpy")
    for key in (("warp",), ("dense", "gelu"), ("activation",), ("sgd", "relu")):
        with pytest.raises(KeyError):
            backend.kernel(*key)


def test_with_wrapper_replaces_kernels_of_a_copy(backend):
    asked = []

    def wrap(name, kind, kernel):
        asked.append((name, kind))
        return "replaced" if name == "sgd" else kernel

    other = backend.with_wrapper(lambda name, kind, kernel: kernel).with_wrapper(wrap)
    assert other.kernel("sgd") == "replaced"
    assert other.kernel("dense", "relu").args == backend.kernel("dense", "relu").args
    assert asked == [("sgd", None), ("dense", "relu")]
    assert backend.kernel("sgd") is backend.kernel("sgd") != "replaced"


def test_frozen(backend):
    for attribute in ("name", "kernel", "wrap"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(backend, attribute, "other")
