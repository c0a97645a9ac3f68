"""Detection of the processor and the GPU driver on different systems."""

import ctypes
import os

import numpy as np
import pytest
from command_lines import run_code

from backends import processor
from backends.processor import has_gpu_driver, limiting_variables, numpy_dispatch, this_processor

X86 = """processor\t: 0
cpu family\t: 26
model name\t: Some Processor 9
flags\t\t: fpu sse4_2 avx avx2

processor\t: 1
model name\t: another
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd\n"


@pytest.fixture(autouse=True)
def clear_caches():
    """Clear the process-wide caches before each test."""
    for function in (this_processor, has_gpu_driver):
        function.cache_clear()
    yield
    for function in (this_processor, has_gpu_driver):
        function.cache_clear()


@pytest.fixture
def detect(monkeypatch, tmp_path):
    """Return a function that detects the processor of a system with this /proc/cpuinfo; None: it has none."""

    def run(text, name="a name"):
        path = tmp_path / "cpuinfo"
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(processor, "CPUINFO", path)
        for function, value in (("processor", name), ("machine", "a machine")):
            monkeypatch.setattr(f"platform.{function}", lambda value=value: value)
        return this_processor()

    return run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86, ("Some Processor 9", "AVX2", 26)),
        (X86.replace("avx2", "avx2 avx512f"), ("Some Processor 9", "AVX-512", 26)),
        (X86.replace("avx2", ""), ("Some Processor 9", "SSE4.2", 26)),
        (X86.replace("sse4_2 avx avx2", "sse2"), ("Some Processor 9", "a machine", 26)),
        (X86.replace("26", "0x1a"), ("Some Processor 9", "AVX2", 0)),
        (ARM, ("a name", "NEON", 0)),
        (ARM + "Features\t: sve\n", ("a name", "NEON", 0)),
        (ARM.replace("asimd", "asimd sve"), ("a name", "SVE", 0)),
    ],
)
def test_reads_the_processor_from_cpuinfo(detect, text, expected):
    assert detect(text) == expected


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"baseline": ["SSE42"], "found": ["X86_V3"]}, "AVX2"),
        ({"found": ["X86_V4"]}, "AVX-512"),
        ({"baseline": ["X86_V2"], "not found": ["X86_V3"]}, "SSE4.2"),
        ({}, "a machine"),
    ],
)
def test_falls_back_to_numpys_features(detect, monkeypatch, features, expected):
    monkeypatch.setattr(np, "show_config", lambda mode: {"SIMD Extensions": features} if features else {})
    assert detect(None, "") == ("a machine", expected, 0)
    assert numpy_dispatch() == " ".join(features.get("found", ["baseline"]))


def test_limiting_variables_returns_set_variables(monkeypatch):
    for name in processor.LIMITING_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "")
    assert limiting_variables() == {"ONEDNN_MAX_CPU_ISA": "AVX2"}


@pytest.mark.parametrize(
    ("libraries", "rocm", "expected"),
    [(["libcuda.so.1"], False, True), (["nvcuda.dll"], False, True), ([], True, True), ([], False, False)],
)
def test_has_gpu_driver(monkeypatch, tmp_path, libraries, rocm, expected):
    def load(name):
        if name not in libraries:
            raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(processor, "ROCM_DRIVER", str(tmp_path if rocm else tmp_path / "none"))
    assert has_gpu_driver() == expected


LITTLE_MEMORY = """
import resource
from backends import BackendUnavailable, get_backend
get_backend("numpy")
resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))
for name in ("torch", "numba"):
    try:
        get_backend(name)
    except BackendUnavailable as error:
        print(error)
print(get_backend("auto").name)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="this system limits no address space")
def test_auto_takes_a_library_that_fits_into_the_memory():
    """torch aborted the process, and SciPy's BLAS, which numba loads, tried for ever."""
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    *refused, chosen = run_code(LITTLE_MEMORY).stdout.splitlines()
    assert chosen == "numpy"
    for name, said in zip(("torch", "numba"), refused, strict=True):
        assert said.startswith(f"backend '{name}' cannot run (MemoryError: {name} needs ")
        assert said.endswith("MB are left); it needs more memory than this process may have")
