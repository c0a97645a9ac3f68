"""Backend: description, arrays and their check, captured steps, kernels."""

import dataclasses

import numpy as np
import pytest
from helpers import input_error, same_bits

from backends import get_backend
from backends.reference import Kernels, declarations, overrides


def test_describe(backend):
    facts = backend.describe()
    common = {"backend", "device", "dtype", "numpy", "array_api", "fused_kernels", "threads"}
    assert common | {"denormals_flushed"} <= facts.keys()
    assert (facts["backend"], facts["dtype"]) == (backend.name, "float32")
    assert facts["fused_kernels"] == len(overrides(type(backend.kernels)))
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
    moved = backend.from_host(array)
    backend.check("x", moved)
    back = backend.to_host(moved)
    assert isinstance(back, np.ndarray)
    assert same_bits(back, array)
    converted = backend.from_host(array, dtype=backend.dtype)
    assert converted.dtype == backend.dtype
    assert np.array_equal(backend.to_host(converted), array)


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


def test_capture_takes_n_steps_in_place(backend):
    count, total = backend.zeros(1, dtype=backend.xp.int64), backend.zeros(2)
    buffers = count, total

    def step():
        nonlocal count, total
        count += 1
        total += backend.xp.astype(count, backend.dtype)

    run = backend.capture(step)
    for n, expected in ((1, 1.0), (0, 1.0), (3, 10.0), (60, 2080.0)):
        run(n)
        backend.synchronize()
        assert backend.to_host(total).tolist() == [expected] * 2
    # A replay would not write to a replaced buffer.
    assert count is buffers[0]
    assert total is buffers[1]


# --------------------------------------------------------------------------- kernels


def test_fused_false_gives_the_references(backend):
    plain = dataclasses.replace(backend, fused=False)
    assert type(plain.kernels) is Kernels
    assert plain.describe()["fused_kernels"] == 0


@pytest.mark.parametrize(
    ("name", "override", "right"),
    [
        ("activaton", lambda self, name, z, y: None, r"activation\(self, name, z, y\)"),
        ("dense", lambda self, x, W: None, r"dense\(self, x, W, b, z\)"),
    ],
)
def test_a_wrong_override_is_an_error(name, override, right):
    with pytest.raises(TypeError, match=rf"Fast.{name}\(self, .* overrides no kernel, expected {right}"):
        type("Fast", (Kernels,), {name: override})


def test_with_wrapper_replaces_kernels_of_a_copy(backend):
    asked = []

    def wrap(name, kernel):
        asked.append(name)
        return "replaced" if name == "activation" else kernel

    other = backend.with_wrapper(lambda name, kernel: kernel).with_wrapper(wrap)
    assert asked == list(declarations(Kernels))
    assert other.kernels.activation == "replaced"
    assert other.kernels.is_wrapped
    assert dataclasses.replace(other, reason="").kernels.is_wrapped
    assert not backend.kernels.is_wrapped
    assert backend.kernels.activation != "replaced"


def test_frozen(backend):
    for attribute in ("name", "kernels", "wrap"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(backend, attribute, "other")
