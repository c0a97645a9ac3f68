"""Run Python as if on an older x86-64 processor: each library is limited to fewer instruction sets.

``python tests/processors.py avx2 -m pytest tests/dnn`` runs ``python -m pytest tests/dnn`` where NumPy, its
OpenBLAS, torch with MKL and oneDNN, Numba and the C library choose the code that they would choose on a
processor with AVX2 and without AVX-512; ``sse42`` goes back to SSE 4.2, and ``plain`` changes nothing.
``make test PROCESSOR=avx2`` does this.

Instructions cannot be added: asking for avx2 where the processor lacks AVX2 is an error.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

PROCESSORS = ("plain", "avx2", "sse42")
CACHES = Path(__file__).parent.parent / "build"

# Variable: (value for avx2, value for sse42); these values do not depend on the host.
VARIABLES = {
    "OPENBLAS_CORETYPE": ("Haswell", "Nehalem"),
    "ATEN_CPU_CAPABILITY": ("avx2", "default"),
    "MKL_ENABLE_INSTRUCTIONS": ("AVX2", "SSE4_2"),
    "ONEDNN_MAX_CPU_ISA": ("AVX2", "SSE41"),
    "NUMBA_CPU_NAME": ("haswell", "nehalem"),
}
# CPU features of glibc's libm; it ignores those that the processor lacks.
GLIBC_AVX512 = ("AVX512F", "AVX512VL", "AVX512BW", "AVX512DQ", "AVX512CD")
GLIBC_AVX2 = ("AVX2", "FMA", "FMA4", "AVX", "BMI1", "BMI2")
# Prefixes of LLVM's and NumPy's names of features beyond AVX2 and beyond SSE 4.2.
LLVM_BEYOND_AVX2 = ("avx512", "avx10", "evex", "amx", "avxifma", "avxvnni", "avxneconvert")
LLVM_BEYOND_SSE42 = (*LLVM_BEYOND_AVX2, "avx", "fma", "f16c", "bmi", "vaes", "vpclmulqdq", "lzcnt", "movbe")
NUMPY_BEYOND_AVX2 = ("X86_V4", "AVX512")
NUMPY_BEYOND_SSE42 = (*NUMPY_BEYOND_AVX2, "X86_V3", "AVX", "F16C", "FMA")

ASK_NUMPY = (
    "from numpy._core import _multiarray_umath as m;"
    "print(*(name for name in m.__cpu_dispatch__ if m.__cpu_features__[name]))"
)
ASK_LLVM = "from llvmlite import binding; print(binding.get_host_cpu_features().flatten())"


def environment(processor):
    """Return the variables to set for this processor.

    Args:
        processor: one of PROCESSORS.
    Raises ValueError: it is unknown, or the host lacks its instructions.
    """
    if processor not in PROCESSORS:
        raise ValueError(f"PROCESSOR is {processor!r}, expected one of {', '.join(PROCESSORS)}")
    if processor == "plain":
        return {}
    if platform.machine().lower() not in ("x86_64", "amd64"):
        got = f"PROCESSOR is {processor!r}, expected plain"
        raise ValueError(f"{got}: this processor is {platform.machine()}")
    modern = processor == "avx2"
    features = _ask(ASK_LLVM)
    if modern and "+avx2" not in features.split(","):
        raise ValueError("PROCESSOR is 'avx2', expected plain or sse42: this processor lacks AVX2")
    glibc = GLIBC_AVX512 if modern else GLIBC_AVX512 + GLIBC_AVX2
    return {
        **{name: values[0 if modern else 1] for name, values in VARIABLES.items()},
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=" + ",".join(f"-{name}" for name in glibc),
        "NPY_DISABLE_CPU_FEATURES": " ".join(_numpy_features(modern)),
        "NUMBA_CPU_FEATURES": _without(features, LLVM_BEYOND_AVX2 if modern else LLVM_BEYOND_SSE42),
        "NUMBA_CACHE_DIR": str(CACHES / f"numba-{processor}"),
    }


def _numpy_features(modern):
    """Return the features to disable in NumPy, without those the host lacks: NumPy warns about these."""
    beyond = NUMPY_BEYOND_AVX2 if modern else NUMPY_BEYOND_SSE42
    return [name for name in _ask(ASK_NUMPY).split() if name.startswith(beyond)]


def _without(features, beyond):
    """Return LLVM's features "+sse2,+avx,..." with those that start with a name of ``beyond`` disabled."""
    return ",".join(f"-{f[1:]}" if f[1:].startswith(beyond) else f for f in features.split(","))


def _ask(question):
    return subprocess.check_output([sys.executable, "-c", question], text=True).strip()


def main(processor, *arguments):
    """Run Python with these arguments on this processor; return its exit code."""
    try:
        variables = environment(processor)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return subprocess.call([sys.executable, *arguments], env={**os.environ, **variables})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
