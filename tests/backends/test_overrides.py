"""Every override of every backend against its reference; and moments below the floor, fused or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from helpers import BACKENDS, assert_close, assert_ulp, same_bits
from kernel_cases import ALIASES, CASES, WRITES, Case, Numbers

from backends import Backend, BackendUnavailable, get_backend
from backends.cupy import backend as cupy_backend
from backends.cupy.backend import CupyBackend
from backends.dispatch import bind
from backends.numpy.backend import NumpyBackend
from backends.reference import FLUSH_EVERY, KERNELS, MOMENT_FLOOR
from backends.torch.optimizers import optimizer_overrides

CUPY_ON_NUMPY = "cupy-on-numpy"


class CupyOverridesOnNumpy(NumpyBackend):
    """The CuPy overrides over NumPy arrays, with their CUDA kernels compiled for the host."""

    OVERRIDES = CupyBackend.OVERRIDES


def find(make_backend: Callable[..., Backend], backend_id: str, dtype: str) -> Backend:
    if backend_id == CUPY_ON_NUMPY:
        return CupyOverridesOnNumpy("cupy", npx, "cpu", dtype)
    return make_backend(backend_id, dtype)


def ulp_bound(name: str, kind: str | None) -> float | None:
    """ULP allowed for each element, where the two do the same few roundings; None: eta instead."""
    if name in ("gather_rows", "threefry", "clip_value", "max_pool2d") or (
        name in ("activation", "activation_backward") and kind in ("linear", "relu")
    ):
        return 0  # copies, choices, and one rounding
    return None


def eta_bound(case: Case, dtype: str) -> float:
    """A dozen roundings (exp, tanh and division take up to 4 ULP in vectorised libraries; a
    cancellation may double them), and for a sum of K products in another order sqrt(K) more."""
    longest = max((max(a.shape, default=1) for a in case.values() if hasattr(a, "shape")), default=1)
    return (12.0 + 2.0 * min(longest, 100) ** 0.5) * float(np.finfo(dtype).eps)


def overrides() -> Iterator[Any]:
    """(backend, dtype, kernel, variant) for every override; one entry for what cannot run here."""
    for backend_id in (*BACKENDS, CUPY_ON_NUMPY):
        for dtype in ("float32", "float64"):
            try:
                keys = find(lambda i, d: get_backend(*_split(i), d), backend_id, dtype).overridden
            except BackendUnavailable:
                yield pytest.param(backend_id, dtype, None, "", id=f"{backend_id}-{dtype}")
                continue
            for name, kind in keys:
                for variant in ("plain", "strided", "special", *(["alias"] if name in ALIASES else [])):
                    label = "-".join((backend_id, dtype, name, *filter(None, (kind,)), variant))
                    yield pytest.param(backend_id, dtype, (name, kind), variant, id=label)


def _split(backend_id: str) -> tuple[str, str | None]:
    name, _, device = backend_id.partition(":")
    return name, device or None


def on_device(backend: Backend, name: str, case: Case, variant: str) -> Case:
    """The case's arrays as new arrays of the backend."""
    args: Case = {}
    for argument, value in case.items():
        args[argument] = value
        if isinstance(value, np.ndarray):
            if variant == "strided" and argument not in WRITES[name]:
                # Every second column of a wider array.
                wide = np.repeat(value, 2, axis=-1) if value.ndim else value
                args[argument] = backend.from_host(wide)[..., ::2]
            else:
                args[argument] = backend.from_host(value.copy())
    if variant == "alias":
        for read, written in ALIASES[name]:
            args[written] = args[read]
    return args


@pytest.mark.parametrize(("backend_id", "dtype", "key", "variant"), list(overrides()))
def test_override_equals_reference(make_backend, backend_id, dtype, key, variant, monkeypatch):
    if backend_id == CUPY_ON_NUMPY:
        if host_cuda.COMPILER is None:
            pytest.skip("no C++ compiler")
        monkeypatch.setattr(cupy_backend, "elementwise", host_cuda.Elementwise)
        monkeypatch.setattr(cupy_backend, "_rows", host_cuda.rows)
    backend = find(make_backend, backend_id, dtype)
    assert key in backend.overridden
    name, kind = key
    standard = bind(backend.xp, KERNELS[name][0], kind)
    # Only one update from an infinite gradient: torch writes m + (1 - beta1) (g - m), which in the next
    # is NaN where the reference has inf. p is NaN in both from the first on.
    steps = 3 if "control" in WRITES[name] and variant != "special" else 1
    bound = ulp_bound(name, kind)
    for case in CASES[name](Numbers(5, dtype, variant == "special"), kind):
        got, want = (on_device(backend, name, case, variant) for _ in range(2))
        # NumPy warns of each NaN that it makes; here they are wanted.
        with np.errstate(all="ignore"):
            for _ in range(steps):
                assert backend.kernel(name, kind)(*got.values()) is None
                standard(*want.values())
        written = set(WRITES[name])
        if variant == "alias":
            written |= {read for read, _ in ALIASES[name]}
        for argument, before in case.items():
            if not isinstance(before, np.ndarray):
                continue
            shapes = {k: v.shape for k, v in case.items() if isinstance(v, np.ndarray)}
            what = f"{name}({kind}) {argument} for {shapes}"
            after, desired = (backend.to_host(a[argument]) for a in (got, want))
            if argument not in written:
                assert same_bits(np.ascontiguousarray(after), before), f"{what} was written"
            elif bound is None:
                assert_close(after, desired, eta_bound(case, dtype), what)
            else:
                assert_ulp(after, desired, bound, what)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_what_torch_runs_on_other_devices(make_backend, device):
    """Their overrides on CPU tensors: the arithmetic, if not the device."""
    backend, found = make_backend("torch"), optimizer_overrides(device)
    # torch's fused code for CUDA reads its scalars as float32.
    assert {name for name, o in found.items() if o.at("float64", None) is None} == {"adam", "adamw"}
    for name, override in found.items():
        for case in CASES[name](Numbers(5, "float32", False), None):
            got, want = (on_device(backend, name, case, "plain") for _ in range(2))
            override.function(backend.xp, *got.values())
            KERNELS[name][0](backend.xp, *want.values())
            for argument in WRITES[name]:
                bound = eta_bound(case, "float32")
                assert_close(got[argument].numpy(), want[argument].numpy(), bound, f"{name} {argument}")


def test_cases_cover_all_kernels():
    assert CASES.keys() == KERNELS.keys() == WRITES.keys()


# Name -> the sign of its slots (those of squares have none), and its settings.
MOMENTS = {
    "sgd": (["signed"], (0.9, False)),
    "adagrad": (["square"], (1e-10,)),
    "rmsprop": (["square", "signed"], (0.9, 1e-8, 0.9)),
    "adam": (["signed", "square"], (0.9, 0.999, 1e-8)),
    "adamw": (["signed", "square"], (0.9, 0.999, 1e-8, 0.1)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend_id", BACKENDS)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", MOMENTS)
def test_moments_below_the_floor_become_zero_and_nan_stays(make_backend, backend_id, dtype, fused, name):
    backend = make_backend(backend_id, dtype, fused)
    moment = np.asarray([MOMENT_FLOOR / 10, -MOMENT_FLOOR / 10, np.nan, 1.0], dtype=dtype)
    signs, settings = MOMENTS[name]
    slots = [moment if sign == "signed" else np.abs(moment) for sign in signs]
    for updates, flushed in ((FLUSH_EVERY - 2, False), (FLUSH_EVERY - 1, True)):
        start = np.asarray([0.1, 0.1, 0.1, updates], dtype=dtype)
        zeros = np.zeros(4, dtype=dtype)
        p, g, *states, control = (backend.from_host(a.copy()) for a in (zeros, zeros, *slots, start))
        backend.kernel(name)(p, g, *states, control, *settings)
        for state in states:
            after = backend.to_host(state)
            assert (after[:2] == 0.0).tolist() == [flushed, flushed]
            assert np.isnan(after[2])
            assert 0.8 < after[3] <= 1.0
        assert np.isnan(backend.to_host(p)[2])
