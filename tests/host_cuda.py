"""The CUDA kernels compiled for the host from the same text: tests everything except the GPU.

``Elementwise`` and ``raw`` stand in for cupy.ElementwiseKernel and cupy.RawModule over NumPy arrays.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import array_api_compat.numpy as npx
import numpy as np
import pytest

from backends.cupy import compilation, update
from backends.cupy import sources as cuda
from backends.cupy.backend import CupyBackend
from backends.cupy.kernels import CupyKernels
from backends.numpy.backend import NumpyBackend

HERE = Path(__file__).parent
CTYPES = {
    "float32": "float",
    "float64": "double",
    "int64": "long long",
    "uint8": "unsigned char",
    "int32": "int",
    "uint32": "unsigned int",
    "bool": "bool",
}
COMPILER = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")


def parameters(text):
    """CuPy's "raw T x, int64 n" as (raw, type, name)."""
    words = [part.split() for part in text.split(",")]
    return [(w[0] == "raw", w[-2], w[-1]) for w in words]


def _instances(name):
    """Types of T and R for which a kernel is compiled."""
    if name == "threefry":
        return [{}]
    return [{"T": "float32"}, {"T": "float64"}]


def _symbol(name, types):
    return "_".join(["elementwise", name, *(types[k] for k in sorted(types))])


def _loop(name, types):
    """One ElementwiseKernel as a C function: inputs broadcast beforehand, all arrays contiguous."""
    inputs, outputs, operation = cuda.ELEMENTWISE[name]
    arguments, locals_ = ["long long n"], []
    for output, text in ((False, inputs), (True, outputs)):
        for raw, kind, word in parameters(text):
            c = CTYPES[types.get(kind, kind)]
            arguments.append(f"{c}* raw_{word}")
            if raw:
                locals_.append(f"{c}* {word} = raw_{word};")
            else:
                locals_.append(f"{'' if output else 'const '}{c}& {word} = raw_{word}[i];")
    aliases = "".join(f"typedef {CTYPES[t]} {k}; " for k, t in types.items())
    return (
        f'extern "C" void {_symbol(name, types)}({", ".join(arguments)}) {{ {aliases}'
        f"for (long long i = 0; i < n; ++i) {{ {' '.join(locals_)} {operation}; }} }}\n"
    )


def _raw_entries(real, pixel):
    lines = []
    for name, types in cuda.kernels().items():
        types = tuple(kind.replace("REAL", real).replace("PIXEL", pixel) for kind in types)
        declared = ", ".join(f"{kind} a{i}" for i, kind in enumerate(types))
        passed = ", ".join(f"a{i}" for i in range(len(types)))
        lines.append(
            f"void {_raw_symbol(name, real, pixel)}(int columns, int rows, int x, int y, {declared}) "
            f"{{ host::launch(columns, rows, x, y, [=] {{ {name}({passed}); }}); }}\n"
        )
    return 'extern "C" {\n' + "".join(lines) + "}\n"


def _raw_symbol(name, real, pixel):
    return f"{name}_{real}_{pixel.replace(' ', '_')}"


@cache
def library():
    """All kernels in one shared library, compiled once for each version of their text."""
    text = source_text()
    name = hashlib.sha256((text + (HERE / "host_cuda.h").read_text(encoding="utf-8")).encode()).hexdigest()
    with tempfile.TemporaryDirectory() as temporary:
        built = HERE.parent / "build" / f"host-cuda-{name[:16]}.so"
        if not built.exists():
            compiled = compile_library(text, Path(temporary))
            try:
                built.parent.mkdir(exist_ok=True)
                shutil.copy(compiled, partial := built.with_suffix(f".{os.getpid()}"))
                os.replace(partial, built)  # another process may compile the same now
            except OSError:  # a checkout that can only be read
                built = compiled
        return ctypes.CDLL(str(built))  # loaded before the temporary folder is removed


def source_text():
    """Return all kernels, for all types, as C++ for the host."""
    text = f'#include "{HERE / "host_cuda.h"}"\n{cuda.arithmetic()}'
    text += "".join(_loop(name, types) for name in cuda.ELEMENTWISE for types in _instances(name))
    for real in ("float", "double"):
        for pixel in (real, "unsigned char"):
            # Four compilations in one file: each in a namespace, without its extern "C".
            body = cuda.module(cuda.kernels(), real, pixel).replace(cuda.arithmetic(), "")
            body = body.replace('extern "C" {', "namespace kernels {")
            body = re.sub("^#define (REAL|PIXEL)", r"#undef \1\n#define \1", body, flags=re.MULTILINE)
            head, _, rest = body.partition("\n\n")
            entries = _raw_entries(real, pixel)
            text += (
                f"{head}\nnamespace {_raw_symbol('host', real, pixel)} {{\n{rest}\nusing namespace kernels;\n"
            )
            text += f"{entries}}}\n"
    return text


def compile_library(text, folder):
    """Return the path of the shared library, in this folder."""
    assert COMPILER is not None
    source, target = folder / "kernels.cpp", folder / "kernels.so"
    source.write_text(text, encoding="utf-8")
    options = ["-std=c++17", "-O2", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-shared", "-fPIC", "-o"]
    done = subprocess.run([COMPILER, *options, target, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def _pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


class Elementwise:
    """cupy.ElementwiseKernel over NumPy arrays: broadcasts inputs, writes outputs in place."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *arguments):
        inputs, outputs = map(parameters, cuda.ELEMENTWISE[self.name][:2])
        assert len(arguments) == len(inputs) + len(outputs), f"{self.name}: arguments"
        results = arguments[len(inputs) :]
        shape = results[0].shape
        assert all(out.shape == shape for out in results), f"{self.name}: shapes of outputs differ"
        types = {}
        for (_, kind, _), value in zip(inputs + outputs, arguments, strict=True):
            if isinstance(value, np.ndarray) and len(kind) == 1:
                assert types.setdefault(kind, value.dtype.name) == value.dtype.name, f"{self.name}: {kind}"
        arrays = []
        for (raw, kind, _), value in zip(inputs, arguments, strict=False):
            dtype = np.dtype(types.get(kind, kind))
            if isinstance(value, np.ndarray):
                assert value.dtype == dtype, f"{self.name}: {value.dtype} for {dtype}"
            array = np.asarray(value, dtype=dtype)
            arrays.append(np.ascontiguousarray(array if raw else np.broadcast_to(array, shape)))
        # An array passed twice stays one array.
        copies = {id(out): np.ascontiguousarray(out) for out in results}
        pointers = [_pointer(a) for a in (*arrays, *(copies[id(out)] for out in results))]
        getattr(library(), _symbol(self.name, types))(ctypes.c_longlong(results[0].size), *pointers)
        for out in results:
            if copies[id(out)] is not out:
                out[...] = copies[id(out)]


def raw(name, real, pixel):
    """A kernel with pointers and CuPy's way of launching: (grid, block, arguments)."""

    def launch(grid, block, arguments):
        dtypes = {c: dtype for dtype, c in CTYPES.items()}
        for argument, kind in zip(arguments, cuda.kernels()[name], strict=True):
            if kind == "int":
                assert isinstance(argument, np.int32)
            else:
                expected = dtypes[kind.rstrip("*").replace("REAL", real).replace("PIXEL", pixel)]
                assert argument.flags.c_contiguous
                assert argument.dtype == expected, f"{name}: {argument.dtype} for {kind}"
        if 0 in grid:
            raise ValueError("CUDA refuses an empty grid")
        assert np.prod(block) <= 1024
        passed = [_pointer(a) if isinstance(a, np.ndarray) else int(a) for a in arguments]
        getattr(library(), _raw_symbol(name, real, pixel))(
            *grid, *[1] * (2 - len(grid)), *block, *[1] * (2 - len(block)), *passed
        )

    return launch


def install(monkeypatch):
    """Make CuPy's kernels run these; skip the test if there is no compiler."""
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setattr(compilation, "elementwise", Elementwise)
    monkeypatch.setattr(compilation, "raw_kernel", raw)


CUPY_ON_NUMPY = "cupy-on-numpy"


class CupyOverridesOnNumpy(NumpyBackend):
    """CuPy's kernels over NumPy arrays, with their CUDA text compiled for the host."""

    plan_forms = CupyBackend.plan_forms

    def kernel_class(self):
        return CupyKernels

    def compile_plan(self, plan):
        if not update.can_be_planned(plan, self):
            return None
        made = update.Update(plan, self)
        made.check()  # its update must leave no trace
        return self.capture(made)


def cupy_on_numpy(dtype="float32"):
    return CupyOverridesOnNumpy("cupy", npx, "cpu", dtype)


def find(make_backend, backend_id, dtype):
    if backend_id == CUPY_ON_NUMPY:
        return cupy_on_numpy(dtype)
    return make_backend(backend_id, dtype)
