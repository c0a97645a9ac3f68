"""What the reproducible precision needs on CuPy: products in order, and arithmetic with denormal numbers.

CuPy compiles every kernel with ``-ftz=true``, which flushes float32 denormals to zero, and has no setting for
it (``cupy/cuda/compiler.py`` of CuPy 14.2). Of its functions only a private one can change that.
"""

import gc
from functools import cache, partial
from typing import Any

from backends.cupy.compilation import bind_launch
from backends.reference.signatures import Array
from backends.reproducible.sums import matmul

THREADS = 256  # per block
FLUSH_TO_ZERO = "-ftz=true"


class CompilerOptions(tuple[str, ...]):
    """Options of NVRTC. Adding others leaves out ``FLUSH_TO_ZERO``."""

    def __add__(self, others: Any) -> "CompilerOptions":
        return CompilerOptions(option for option in (*self, *others) if option != FLUSH_TO_ZERO)


@cache
def keep_denormals() -> None:
    """Make CuPy compile all kernels without ``FLUSH_TO_ZERO`` from now on, in the whole process.

    CuPy's disk cache is safe, because its keys contain the options. Functions that were compiled before are
    compiled again.
    """
    import cupy
    from cupy.cuda import compiler

    compile_module = getattr(compiler, "_compile_module_with_cache", None)
    if compile_module is None:  # another CuPy: make_reproducible finds out whether it flushes
        return

    def compile_with_denormals(source: str, options: tuple[str, ...] = (), **settings: Any) -> Any:
        return compile_module(source, CompilerOptions(options), **settings)

    compiler._compile_module_with_cache = compile_with_denormals
    cupy.clear_memo()
    for function in gc.get_objects():
        if type(function) is cupy.ufunc:
            function._kernel_memo.clear()


def multiply_matrices(xp: Any, a: Array, b: Array) -> Array:
    """Return the product of (n, k) and (k, m)."""
    n, depth = a.shape
    m = b.shape[1]
    out = xp.empty((n, m), dtype=a.dtype)
    if out.size:
        blocks = -(-n * m // THREADS)
        contiguous = (xp.ascontiguousarray(factor) for factor in (a, b))
        bind_launch("multiply_in_order", (blocks,), (THREADS,), *contiguous, out, n, depth, m)()
    return out


def functions(xp: Any) -> dict[str, Any]:
    """Return the functions that replace those of the namespace: name -> function."""
    keep_denormals()
    return {"matmul": partial(matmul, xp, multiply=multiply_matrices)}
