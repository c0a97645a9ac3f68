"""The CUDA sources compile for a GPU; no GPU is needed.

What they compute is tested in test_overrides.py, where host_cuda.py runs the same text on the host.
"""

import importlib
import inspect
import os
import re
import sys

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from cuda_compilers import compile_for_gpu, compile_to_ptx
from kernel_checks import LayoutContender, calls_of

from backends.cupy import compilation
from backends.cupy import sources as cuda
from backends.cupy.backend import set_tf32
from backends.cupy.kernels import CupyKernels
from backends.cupy.update import WARPS
from backends.reference import overrides

ARCHITECTURES = [
    "sm_90",
    *(pytest.param(f"sm_{n}", marks=pytest.mark.slow) for n in (75, 80, 86, 89, 100, 120)),
]


# --------------------------------------------------------------------------- compiling for the GPU


TYPES = [("float", "unsigned char"), pytest.param("double", "double", marks=pytest.mark.slow)]
NEEDS = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers(?:.*?(\d+) bytes smem)?[^\n]*"
)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("real", "pixel"), TYPES)
def test_raw_kernels_compile(architecture, real, pixel, tmp_path):
    """Kernels use at most 65,536 registers per block and 48 KB of shared memory, without register spills."""
    report = compile_for_gpu(cuda.module(cuda.kernels(), real, pixel), architecture, tmp_path)
    needs = NEEDS.findall(re.sub(r"\n(?!ptxas info *: Compiling)", " ", report))
    assert {name for name, *_ in needs} == set(cuda.kernels())
    for name, stored, loaded, registers, shared in needs:
        assert (stored, loaded) == ("0", "0"), name
        assert int(registers) * 32 * WARPS["float32" if real == "float" else "float64"] <= 65536, name
        assert int(shared or 0) <= 48 * 1024, name


def main_loop(ptx):
    """Return the instructions of the loop that has barriers."""
    lines = [line.strip() for line in ptx.splitlines()]
    labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    for i, line in enumerate(lines):
        target = re.search(r"\bbra\S*\s+(\S+);", line)
        start = labels.get(target[1], i) if target else i
        loop = [code for code in lines[start:i] if code.endswith(";") and not code.startswith(".")]
        if any("bar.sync" in code for code in loop):
            return loop
    raise AssertionError("no loop with a barrier")


@pytest.mark.parametrize("name", ["forward_gathered", "forward_hidden", "hidden_gradient"])
def test_products_spend_their_instructions_on_arithmetic(name, tmp_path):
    """Each thread multiplies 4 x 4 numbers in 4 steps per chunk, and checks no bounds of matrices."""
    loop = main_loop(compile_to_ptx(cuda.module((name,), "float", "unsigned char"), tmp_path))
    assert sum("fma." in code for code in loop) == 64
    # Compilers differ in when they combine loads from shared memory.
    assert sum("ld.shared" not in code for code in loop) <= 110
    assert sum("setp." in code for code in loop) == 1  # the end of the loop


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_elementwise_arithmetic_compiles(architecture, tmp_path):
    kernels = "".join(host_cuda._loop(n, t) for n in cuda.ELEMENTWISE for t in host_cuda._instances(n))
    kernels = kernels.replace('extern "C" void', 'extern "C" __global__ void')
    compile_for_gpu(cuda.arithmetic() + kernels, architecture, tmp_path)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_text_for_torch_compiles(architecture, tmp_path):
    text = cuda.function("threefry").replace("\nT ", "\n__device__ T ")  # torch sets this by an option
    kernel = "__global__ void one(long long* out) { *out = threefry<long long>(*out, 1, 2, 3); }"
    compile_for_gpu(text + kernel, architecture, tmp_path)


@pytest.fixture(scope="module")
def cupy():
    """CuPy, imported on a machine without a GPU."""
    return pytest.importorskip("cupy", reason="CuPy is not installed")


# --------------------------------------------------------------------------- CuPy knows each call


class Recorder:
    """NumPy's namespace; each call is checked against the signature of the function in CuPy's namespace."""

    def __init__(self):
        self.cupy = importlib.import_module("array_api_compat.cupy")
        self.seen = set()

    def __getattr__(self, name):
        function = getattr(npx, name)
        if not callable(function) or isinstance(function, type):
            return function
        theirs = getattr(self.cupy, name)  # AttributeError: CuPy has no such function

        def call(*arguments, **options):
            self.seen.add(name)
            try:
                signature = inspect.signature(theirs)
            except (TypeError, ValueError):  # compiled functions have no signature
                signature = None
            if signature is not None:
                signature.bind(*arguments, **options)
            return function(*arguments, **options)

        return call


@pytest.mark.parametrize("name", overrides(CupyKernels))
def test_cupy_has_all_functions_that_its_kernels_call(cupy, name, monkeypatch):
    host_cuda.install(monkeypatch)
    xp = Recorder()
    backend = host_cuda.cupy_on_numpy()
    object.__setattr__(backend, "kernels", CupyKernels(xp))
    for call in calls_of(name)[::5]:
        LayoutContender(backend).kernel(call)
    if name == "dense":
        assert "matmul" in xp.seen


def test_cupy_accepts_the_kernels(cupy):
    """Constructed as the backend does; CuPy parses the parameters here, and compiles at the first call."""
    compilation.elementwise.cache_clear()
    for name, (inputs, outputs, _) in cuda.ELEMENTWISE.items():
        kernel = compilation.elementwise(name)
        assert kernel.nin == len(host_cuda.parameters(inputs))
        assert kernel.nout == len(host_cuda.parameters(outputs))


def test_tf32_can_be_set(cupy):
    from cupy._core import _routines_linalg

    set_tf32(False)
    assert _routines_linalg.get_compute_type(np.dtype("float32")) == _routines_linalg.COMPUTE_TYPE_DEFAULT
    assert _routines_linalg.COMPUTE_TYPE_TF32 != _routines_linalg.COMPUTE_TYPE_DEFAULT


@pytest.mark.parametrize("wanted", [True, False])
def test_tf32_falls_back_to_the_documented_variable(monkeypatch, wanted):
    monkeypatch.setitem(sys.modules, "cupy._core", None)  # import raises
    monkeypatch.setenv("CUPY_TF32", "")
    set_tf32(wanted)
    assert os.environ["CUPY_TF32"] == str(int(wanted))


def test_each_kernel_compiles_alone():
    for name in cuda.kernels():
        text = cuda.module((name,), "float", "unsigned char")
        assert text.count("__global__") == 1
        assert f" {name}(" in text.partition("__global__")[2]


def test_finds_every_kernel():
    assert len(cuda.kernels()) == (cuda.FOLDER / "kernels.cu").read_text().count("__global__")
