"""Targets by name, namespace and device; skips, expected failures, and what is compared before numbers."""

import sys
import types

import array_api_compat.numpy as compat_numpy
import array_api_compat.torch as compat_torch
import array_api_strict as strict
import numpy as np
import pytest
import torch

from array_agreement import Disagreement, InputError, check_agreement
from array_agreement.targets import Target, TargetUnavailable, find_target

X = np.random.default_rng(0).normal(size=(5, 4))


def row_sums(xp, x):
    return xp.sum(x, axis=1) + xp.max(x, axis=1)  # torch's own max returns a pair


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (np, "numpy"),
        (torch, "torch"),
        (compat_torch, "torch"),
        (strict, "strict"),
        ((compat_torch, "cpu"), "torch:cpu"),
        (("torch", torch.device("cpu")), "torch:cpu"),
        (("array_api_strict", "device1"), "array_api_strict:device1"),
        ((strict, strict.Device("device2")), "strict:device2"),
        ("array_api_compat.numpy", "array_api_compat.numpy"),
    ],
    ids=str,
)
def test_accepts_names_namespaces_and_devices(target, name):
    agreement = check_agreement(row_sums, X, backends=[target])
    assert [v.backend for v in agreement.verdicts] == [name]
    assert agreement.verdicts[0].ratio > 0


@pytest.mark.parametrize("place", [{}, {"device": strict.Device("device1")}], ids=["default", "device1"])
def test_accepts_arrays_of_any_library(place):
    for x in (torch.asarray(X, requires_grad=True), strict.asarray(X, **place)):
        agreement = check_agreement(row_sums, x, backends=["numpy", "torch", "strict:device2"])
        assert all(v.ratio > 0 for v in agreement.verdicts)


def test_compares_each_device_of_a_library():
    agreement = check_agreement(row_sums, X, backends=["strict:all"])
    assert {"strict:CPU_DEVICE", "strict:device1"} <= {v.backend for v in agreement.verdicts}
    if "strict:no_float64" in agreement.skipped:  # since array-api-strict 2.5
        assert "float64" in agreement.skipped["strict:no_float64"].partition("cannot run here: ")[2]
    float32 = check_agreement(row_sums, X, backends=["strict:all"], dtype="float32")
    assert "strict:no_float64" not in float32.skipped


@pytest.mark.parametrize(
    "name",
    ["torch:cuda", "torch:mps", "torch:meta", "torch:no_such_device", "jax:no_such_device", "cupy", "dpnp"],
)
def test_skips_what_cannot_run_with_the_reason(name):
    agreement = check_agreement(row_sums, X, backends=["numpy", name])
    assert len(agreement.verdicts) > 1 or len(agreement.skipped[name]) > 10


def test_a_library_that_stores_another_dtype_is_skipped():
    narrow = types.SimpleNamespace(__name__="narrow", asarray=lambda x, **_: np.asarray(x, np.float32))
    with pytest.raises(
        TargetUnavailable, match="narrow cannot run here: it stores float64 arrays as float32"
    ):
        find_target(narrow, [X.dtype])


def test_a_library_that_fails_to_import_is_skipped(tmp_path, monkeypatch):
    (tmp_path / "without_driver.py").write_text("raise ImportError('libcuda.so.1 is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    agreement = check_agreement(row_sums, X, backends=["numpy", "without_driver"])
    assert "libcuda.so.1 is missing" in agreement.skipped["without_driver"]


def test_devices_of_cupy_are_numbers(monkeypatch):
    cupy = types.ModuleType("cupy")
    cupy.cuda = types.SimpleNamespace(Device=lambda i: f"card {i + 0}")  # a text raises TypeError
    namespace = types.ModuleType("array_api_compat.cupy")
    namespace.asarray = lambda x, dtype, device: x
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", namespace)
    assert find_target("cupy:1").device == "card 1"


def test_runs_compiled_functions():
    compiled = []
    compiler = lambda f: compiled.append(f) or f  # noqa: E731
    check_agreement(row_sums, X, backends=[Target("numpy:compiled", compat_numpy, None, compiler)])
    assert compiled


def test_compiles_with_jax():
    pytest.importorskip("jax")
    agreement = check_agreement(row_sums, X, backends=["jax:jit"], dtype="float32")
    assert agreement.verdicts[0].backend == "jax:jit"
    with pytest.raises(Disagreement, match="TracerBoolConversionError"):
        check_agreement(lambda xp, x: 2 * x if bool(xp.all(x > -9)) else x, X, backends=["jax:jit"])


@pytest.mark.parametrize("key", ["strict", "array-api-strict", "array_api_strict:device1", "strict:device1"])
def test_skips_and_expected_failures_name_a_library_or_a_device(key):
    backends = ["strict:device1", "numpy"]
    agreement = check_agreement(row_sums, X, backends=backends, skip={key: "too slow"})
    assert agreement.skipped == {"strict:device1": "too slow"}
    wrong = lambda xp, x: row_sums(xp, x) + (xp is strict)  # noqa: E731
    agreement = check_agreement(wrong, X, backends=backends, xfail={key: "known bug"})
    assert agreement.xfails == {"strict:device1": "known bug"}
    assert "xfail: known bug" in str(agreement)
    other = {"strict:device2": "known bug", "torch": "known bug"}
    with pytest.raises(Disagreement):
        check_agreement(wrong, X, backends=backends, xfail=other)


@pytest.mark.parametrize("option", ["skip", "xfail"])
def test_a_misspelled_library_is_refused(option):
    with pytest.raises(InputError, match=r"names \['torhc:cuda'\], expected libraries among .*'torch'"):
        check_agreement(row_sums, X, **{option: {"cupy": "no card", "torhc:cuda": "no card"}})


def test_says_that_an_expected_failure_agrees():
    agreement = check_agreement(row_sums, X, backends=["torch"], xfail={"torch": "known bug"})
    assert agreement.xfails == {}
    assert "xfail, but it agrees: known bug" in str(agreement)


@pytest.mark.parametrize(
    ("backend", "f", "note"),
    [
        (
            "torch",
            lambda xp, x: np.sum(np.asarray(x), axis=1) if xp is compat_torch else row_sums(xp, x),
            "numpy array on cpu, expected torch array on cpu",
        ),
        (
            "strict:device1",
            lambda xp, x: xp.asarray(
                row_sums(xp, x), device=xp.Device("CPU_DEVICE") if xp is strict else None
            ),
            r"CPU_DEVICE'\), expected .*device1",
        ),
    ],
    ids=["namespace", "device"],
)
def test_compares_namespace_and_device_before_numbers(backend, f, note):
    with pytest.raises(Disagreement, match=note):
        check_agreement(f, X, backends=[backend])
