"""Compile CUDA text without a GPU: with nvcc if it is installed, else with NVRTC of the pip wheel."""

import ctypes
import importlib.util
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")  # CuPy's own, for NVRTC
NVCC_OPTIONS = ("-std=c++17", "-ftz=true", "-w", "-Xptxas", "-v")


@cache
def nvrtc():
    """The NVRTC library of the wheel nvidia-cuda-nvrtc, if installed."""
    found = importlib.util.find_spec("nvidia")
    for root in found.submodule_search_locations or () if found else ():
        for path in sorted(Path(root).glob("*/lib/libnvrtc.so*")):
            if "builtins" not in path.name:
                return ctypes.CDLL(str(path))
    return None


def compile_with_nvrtc(library, source, options):
    """Compile with NVRTC; return its error log, or None, and the PTX if the architecture is virtual."""
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    words = [option.encode() for option in options]
    failed = library.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
    log = read_from_nvrtc(library, program, "ProgramLog")
    code = "" if failed else read_from_nvrtc(library, program, "PTX")
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return (log or "failed") if failed else None, code


def read_from_nvrtc(library, program, what):
    """Return the "ProgramLog" or the "PTX" of a compiled program."""
    size = ctypes.c_size_t()
    getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{what}")(program, text)
    return text.value.decode()


def compile_to_ptx(source, folder, options=()):
    """Compile with nvcc, else with NVRTC, and the options of CuPy; return the PTX."""
    nvcc = shutil.which("nvcc")
    if nvcc is not None:
        file = folder / "kernel.cu"
        file.write_text(source, encoding="utf-8")
        made = folder / "kernel.ptx"
        command = [nvcc, *NVCC_OPTIONS, *options, "-arch=compute_80", "-ptx", "-o", str(made), str(file)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return made.read_text(encoding="utf-8")
    library = nvrtc()
    if library is None:
        pytest.skip("neither nvcc nor the wheel nvidia-cuda-nvrtc is here")
    problem, code = compile_with_nvrtc(library, source, [*OPTIONS, *options, "-arch=compute_80"])
    assert problem is None, problem
    return code


def compile_for_gpu(source, architecture, folder, includes=()):
    """Compile to machine code with nvcc, which reports each kernel's needs, else with NVRTC; fails with what
    either says."""
    options = [f"-I{path}" for path in includes]
    nvcc = shutil.which("nvcc")
    if nvcc is not None:
        if architecture not in nvcc_architectures(nvcc):
            pytest.skip(f"this nvcc knows no {architecture}")
        file = folder / "kernel.cu"
        file.write_text(source, encoding="utf-8")
        command = [nvcc, *NVCC_OPTIONS, f"-arch={architecture}", "-cubin", "-o", str(folder / "out.cubin")]
        done = subprocess.run([*command, *options, str(file)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr
    library = nvrtc()
    if library is None:
        pytest.skip("neither nvcc nor the wheel nvidia-cuda-nvrtc is here")
    problem, _ = compile_with_nvrtc(library, source, [*OPTIONS, f"-arch={architecture}", *options])
    if problem is not None and "--gpu-architecture" in problem:
        pytest.skip(f"this NVRTC knows no {architecture}")
    assert problem is None, problem
    return ""


@cache
def nvcc_architectures(nvcc):
    """Return nvcc's architectures, such as "sm_90"."""
    return subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True).stdout.split()
