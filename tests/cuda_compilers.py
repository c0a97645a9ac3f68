"""Compile CUDA text with nvcc; no GPU is needed. Without nvcc the test is skipped."""

import shutil
import subprocess
from functools import cache

import pytest

OPTIONS = ("-std=c++17", "-ftz=true", "-w", "-Xptxas", "-v")


def run_nvcc(*arguments):
    """Return the finished process of nvcc, which must succeed."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not installed")
    done = subprocess.run([nvcc, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def compile_text(text, folder, target, *options):
    """Compile to folder/target; return what nvcc says about each kernel's needs."""
    file = folder / "kernel.cu"
    file.write_text(text, encoding="utf-8")
    return run_nvcc(*OPTIONS, *options, "-o", folder / target, file).stderr


def compile_to_ptx(text, folder, options=()):
    """Return the PTX."""
    compile_text(text, folder, "kernel.ptx", *options, "-arch=compute_80", "-ptx")
    return (folder / "kernel.ptx").read_text(encoding="utf-8")


def compile_for_gpu(text, architecture, folder):
    """Compile to machine code; return what nvcc says about each kernel's needs."""
    if architecture not in architectures():
        pytest.skip(f"this nvcc knows no {architecture}")
    return compile_text(text, folder, "out.cubin", f"-arch={architecture}", "-cubin")


@cache
def architectures():
    """Return nvcc's architectures, such as "sm_90"."""
    return run_nvcc("--list-gpu-code").stdout.split()
