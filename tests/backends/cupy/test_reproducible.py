"""The reproducible precision on CuPy: products in order, and no flush-to-zero; no GPU is needed."""

import re
from types import SimpleNamespace

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from cuda_compilers import compile_to_ptx
from helpers import both_dtypes, same_bits

from backends.cupy import reproducible, sources
from backends.reproducible import sums


@both_dtypes
def test_the_product_in_cuda_has_the_same_bits(monkeypatch, dtype):
    host_cuda.install(monkeypatch)
    monkeypatch.setattr(reproducible, "keep_denormals", lambda: None)
    matmul = reproducible.functions(npx)["matmul"]
    rng = np.random.default_rng(3)
    for n, depth, m in ((1, 1, 1), (7, 65, 33), (300, 20, 1), (0, 4, 3)):
        a = rng.normal(size=(n, depth)).astype(dtype)
        b = rng.normal(size=(depth, m)).astype(dtype)
        assert same_bits(matmul(a, b), sums.multiply_matrices(npx, a, b))
        a[:1, :1] = np.nan
        b[-1:, -1:] = np.inf
        np.testing.assert_array_equal(matmul(a, b), sums.multiply_matrices(npx, a, b))


@pytest.mark.parametrize("real", ["float", "double"])
def test_the_product_does_not_fuse(real, tmp_path):
    text = sources.module(("multiply_in_order",), real, real)
    options = sources.OPTIONS["multiply_in_order"]
    code = compile_to_ptx(text, tmp_path, options)
    assert re.search(r"\bmul\S*\.f", code)
    assert "fma." not in code
    assert "fma." in compile_to_ptx(text, tmp_path)


@pytest.fixture
def compile_with_cupy(monkeypatch, tmp_path):
    """Return a function: text -> the PTX that CuPy would load; CuPy is restored afterwards."""
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from cupy.cuda import _compiler_cache, compiler

    loaded = []
    module = SimpleNamespace(load=loaded.append, _set_mapping=lambda mapping: None)
    monkeypatch.setattr(compiler, "function", SimpleNamespace(Module=lambda: module))
    disk = _compiler_cache.DiskKernelCacheBackend(str(tmp_path))
    monkeypatch.setattr(compiler, "_kernel_cache_backend", disk)
    monkeypatch.setattr(
        compiler, "_get_arch_for_options_for_nvrtc", lambda arch=None: ("-arch=compute_90", "ptx")
    )
    monkeypatch.setattr(compiler, "_compile_module_with_cache", compiler._compile_module_with_cache)

    def compile_text(text):
        try:
            compiler._compile_module_with_cache(text, ("--std=c++17",), arch="90")
        except RuntimeError as error:
            pytest.skip(f"NVRTC is not installed ({error})")
        return bytes(loaded[-1]).decode()

    return compile_text


def test_cupy_compiles_without_flush_to_zero(compile_with_cupy):
    import cupy

    text = 'extern "C" __global__ void scale(float* x) { x[0] = x[1] * x[2] + (x[3] > x[4]); }'
    before = compile_with_cupy(text)
    assert ".ftz" in before
    cupy.add._kernel_memo["compiled"] = None
    reproducible.keep_denormals.__wrapped__()
    assert not cupy.add._kernel_memo
    after = compile_with_cupy(text)
    assert "mul" in after or "fma" in after
    assert ".ftz" not in after
    assert compile_with_cupy(text) == after  # from the disk cache
    assert compile_with_cupy(text + " ") != before


def test_other_versions_of_cupy_are_left_alone(monkeypatch):
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    monkeypatch.delattr(cupy.cuda.compiler, "_compile_module_with_cache")
    reproducible.keep_denormals.__wrapped__()
    assert not hasattr(cupy.cuda.compiler, "_compile_module_with_cache")
