"""Every override of every backend against its reference; and moments below the floor, fused or not."""

from pkgutil import resolve_name

import host_cuda
import numpy as np
import pytest
from helpers import BACKENDS, both_dtypes, float64_is_slow
from host_cuda import CUPY_ON_NUMPY, find
from kernel_checks import REFERENCE, assert_equals_reference

from backends import BackendUnavailable, get_backend
from backends.reference import Kernels, declarations, overrides
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR
from backends.torch import optimizers
from backends.torch.kernels import TorchCpuKernels, TorchKernels
from dnn.agreement.cases import optimizer_variants

DECLARED = declarations(Kernels)


def checks():
    """(backend, dtype, kernel, variant) for every override; one entry for each backend that cannot run."""
    for backend_id in (*BACKENDS, CUPY_ON_NUMPY):
        for dtype in ("float32", "float64"):
            try:
                backend = find(lambda i, d: get_backend(*_split(i), d), backend_id, dtype)
            except BackendUnavailable:
                yield pytest.param(backend_id, dtype, None, "", id=f"{backend_id}-{dtype}")
                continue
            for name in overrides(type(backend.kernels)):
                for variant in ("plain", "strided", "turned"):
                    label = "-".join((backend_id, dtype, name, variant))
                    marks = [] if is_quick(backend_id, dtype, variant) else [pytest.mark.slow]
                    yield pytest.param(backend_id, dtype, name, variant, id=label, marks=marks)


def is_quick(backend_id, dtype, variant):
    """Return whether the short run includes this: one dtype has the variants, and numba compiles its loops
    once more, from the same source, for each layout."""
    layouts = ("strided", "turned")
    return variant == "plain" or (dtype == "float32" and not (backend_id == "numba" and variant in layouts))


def _split(backend_id):
    name, _, device = backend_id.partition(":")
    return name, device or None


@pytest.mark.parametrize(("backend_id", "dtype", "name", "variant"), list(checks()))
def test_override_equals_reference(make_backend, backend_id, dtype, name, variant, monkeypatch):
    if backend_id == CUPY_ON_NUMPY:
        host_cuda.install(monkeypatch)
    backend = find(make_backend, backend_id, dtype)
    assert name in overrides(type(backend.kernels))
    assert_equals_reference(backend, name, variant)


@both_dtypes
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_torchs_kernels_for_other_devices(make_backend, device, dtype, monkeypatch):
    """Run on CPU tensors, which tests their arithmetic. In float64 Adam on CUDA is the reference's."""
    backend = make_backend("torch", dtype)
    monkeypatch.setitem(optimizers.FUSED_DTYPES, "cpu", optimizers.FUSED_DTYPES.get(device, ()))
    for name in overrides(TorchKernels):
        if getattr(TorchKernels, name) is not getattr(TorchCpuKernels, name) or name == "adam":
            assert_equals_reference(backend, name, kernel_methods=TorchKernels(backend.xp))


@pytest.mark.parametrize("library", ["numpy.kernels.Numpy", "torch.kernels.Torch", "cupy.kernels.Cupy"])
def test_the_parts_of_a_library_define_different_kernels(library):
    """Otherwise one would hide the other."""
    kernels = resolve_name(f"backends.{library}Kernels")
    parts = [base for base in kernels.__bases__ if base.__module__.startswith(kernels.__module__[:13])]
    defined = [name for part in parts for name in vars(part) if name in DECLARED]
    assert len(defined) == len(set(defined)) > 0


# Optimizers that use every slot: (name, settings, whether each slot can be negative).
def moments():
    variants = ((o.bind(REFERENCE), o.settings(), len(o.slot_names)) for _, o in optimizer_variants())
    for step, settings, n in dict.fromkeys(variants):
        slots, control = np.zeros((n, 1)), np.asarray([0.1, 0.0, 0.0, 0.0])
        step(np.zeros(1), -np.ones(1), tuple(slots), control, settings)
        if slots.all():
            name = step.__name__
            yield pytest.param(name, settings, (slots < 0)[:, 0], id=f"{name}-{n}-{settings}")


@float64_is_slow
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
        getattr(backend.kernels, name)(p, g, tuple(states), control, settings)
        for state in states:
            after = backend.to_host(state)
            if backend_id != "torch:cuda":  # denormal numbers are fast there, so none are flushed
                assert (after[:2] == 0.0).tolist() == [flushed, flushed]
            assert np.isnan(after[2])
            assert 0.4 < after[3] <= 1.0
        assert np.isnan(backend.to_host(p)[2])
