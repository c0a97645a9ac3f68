"""Every override of every backend against its reference; and moments below the floor, fused or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from helpers import BACKENDS, others_slow
from host_cuda import CUPY_ON_NUMPY, find
from kernel_cases import STEP, Numbers, cases, parameters, settings_of
from kernel_checks import assert_equals_reference

from backends import BackendUnavailable, get_backend
from backends.dispatch import find_override, kernel_keys, usable_overrides
from backends.reference import KERNELS, kernel
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR
from backends.torch.backend import TorchBackend


def overrides() -> Iterator[Any]:
    """(backend, dtype, kernel, variant) for every override; one entry for each backend that cannot run."""
    for backend_id in (*BACKENDS, CUPY_ON_NUMPY):
        for dtype in ("float32", "float64"):
            try:
                keys = find(lambda i, d: get_backend(*_split(i), d), backend_id, dtype).overridden_kernels
            except BackendUnavailable:
                yield pytest.param(backend_id, dtype, None, "", id=f"{backend_id}-{dtype}")
                continue
            for name, kind in keys:
                variants = ("plain", "strided", "turned", "special", "alias")
                for variant in variants if KERNELS[name].aliases else variants[:-1]:
                    label = "-".join((backend_id, dtype, name, *filter(None, (kind,)), variant))
                    marks = [] if is_quick(backend_id, dtype, variant) else [pytest.mark.slow]
                    yield pytest.param(backend_id, dtype, (name, kind), variant, id=label, marks=marks)


def is_quick(backend_id: str, dtype: str, variant: str) -> bool:
    """Return whether the short run includes this: one dtype has the variants, and numba compiles its loops
    once more, from the same source, for each layout."""
    layouts = ("strided", "turned")
    return variant == "plain" or (dtype == "float32" and not (backend_id == "numba" and variant in layouts))


def _split(backend_id: str) -> tuple[str, str | None]:
    name, _, device = backend_id.partition(":")
    return name, device or None


@pytest.mark.parametrize(("backend_id", "dtype", "key", "variant"), list(overrides()))
def test_override_equals_reference(make_backend, backend_id, dtype, key, variant, monkeypatch):
    if backend_id == CUPY_ON_NUMPY:
        if host_cuda.COMPILER is None:
            pytest.skip("no C++ compiler")
        host_cuda.install(monkeypatch)
    backend = find(make_backend, backend_id, dtype)
    assert key in backend.overridden_kernels
    assert_equals_reference(backend, *key, variant)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_torch_overrides_per_device_type(make_backend, device):
    """Run the overrides of other devices on CPU tensors: this tests their arithmetic."""
    backend, found = make_backend("torch"), usable_overrides(TorchBackend.OVERRIDES, device)
    # torch's fused code for CUDA reads its scalars as float32.
    steps = [name for name in KERNELS if parameters(name) == STEP]
    assert [name for name in steps if find_override(found, "float64", name, None)] == [
        "sgd",
        "adagrad",
        "rmsprop",
    ]
    for key in kernel_keys():
        if chosen := find_override(found, "float32", *key):
            assert_equals_reference(backend, *key, function=chosen.function)


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_has_cases(name):
    for kind in KERNELS[name].kinds:
        case = next(cases(name, Numbers(1, "float32", False), kind))
        assert list(case) == parameters(name)
        assert set(KERNELS[name].writes) <= set(case)


def test_missing_cases_name_the_file(monkeypatch):
    @kernel(writes=("y",))
    def warp(xp, x, y):
        y[...] = x

    monkeypatch.setattr(KERNELS, "_entries", dict(KERNELS.items()))
    KERNELS.add("warp", warp.declaration)
    with pytest.raises(LookupError, match=r"'warp' has no cases; write .* warp_cases.*kernel_cases\.py"):
        cases("warp", Numbers(1, "float32", False), None)


# Optimizers that use every slot: (name, settings, whether each slot can be negative).
def moments() -> Iterator[Any]:
    for name in KERNELS:
        for settings, n in settings_of(name).items() if parameters(name) == STEP else ():
            slots, control = np.zeros((n, 1)), np.asarray([0.1, 0.0, 0.0, 0.0])
            KERNELS[name].function(npx, np.zeros(1), -np.ones(1), tuple(slots), control, settings)
            if slots.all():
                yield pytest.param(name, settings, (slots < 0)[:, 0], id=f"{name}-{settings}")


@pytest.mark.parametrize("dtype", others_slow(["float32", "float64"], ["float32"]))
@pytest.mark.parametrize("backend_id", BACKENDS)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("name", "settings", "signed"), list(moments()))
def test_moments_below_the_floor_become_zero_and_nan_stays(
    make_backend, backend_id, dtype, fused, name, settings, signed
):
    backend = make_backend(backend_id, dtype, fused)
    moment = np.asarray([MOMENT_FLOOR / 10, -MOMENT_FLOOR / 10, np.nan, 1.0], dtype=dtype)
    slots = [moment if sign else np.abs(moment) for sign in signed]
    for updates, flushed in ((FLUSH_EVERY - 2, False), (FLUSH_EVERY - 1, True)):
        start = np.asarray([0.1, 0.1, 0.1, updates], dtype=dtype)
        zeros = np.zeros(4, dtype=dtype)
        p, g, control, *states = (backend.from_host(a.copy()) for a in (zeros, zeros, start, *slots))
        backend.kernel(name)(p, g, tuple(states), control, settings)
        for state in states:
            after = backend.to_host(state)
            if backend_id != "torch:cuda":  # denormal numbers are fast there, so none are flushed
                assert (after[:2] == 0.0).tolist() == [flushed, flushed]
            assert np.isnan(after[2])
            assert 0.4 < after[3] <= 1.0
        assert np.isnan(backend.to_host(p)[2])
