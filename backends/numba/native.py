"""Low-level calls for compiled loops: memory at an address, atomic words, futexes, a BLAS's product."""

import platform
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from backends.numba.compilation import jit_helper

I64 = ir.IntType(64)
POINTER = ir.IntType(8).as_pointer()
int64 = types.int64
# Number of Linux's system call; 0 on other systems and processors.
FUTEX_NUMBER = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0) if sys.platform == "linux" else 0
SGEMM = "dnn_sgemm"
_syscall = types.ExternalFunction("syscall", int64(*[int64] * 7))
_sgemm = types.ExternalFunction(
    SGEMM, types.void(*[int64] * 6, types.float32, *[int64] * 4, types.float32, *[int64] * 2)
)


def emit_call(result: Any, *argument_types: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: make a function that emits LLVM code callable from compiled code.

    Args:
        result: Numba's type of the result.
        argument_types: Numba's types of the arguments.

    The decorated function is called with (LLVM builder, argument values...) and returns the result's value.
    """

    def declare(emit: Callable[..., Any]) -> Any:
        @wraps(emit)  # Numba asks for the arguments' names
        def add_types(typing_context, *kinds):  # type: ignore[no-untyped-def]
            def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
                value = emit(builder, *arguments)
                return context.get_dummy_value() if result is types.none else value

            return result(*argument_types), code

        return intrinsic(add_types)

    return declare


@emit_call(types.voidptr, int64)
def pointer_at(builder: Any, address: Any) -> Any:
    """Return the address as a pointer, for ``numba.carray``."""
    return builder.inttoptr(address, POINTER)


@emit_call(int64, int64)
def load_word(builder: Any, address: Any) -> Any:
    """Read the 64-bit word at this address atomically."""
    return builder.load_atomic(builder.inttoptr(address, I64.as_pointer()), "seq_cst", 8)


@emit_call(int64, int64, int64)
def atomic_add(builder: Any, address: Any, n: Any) -> Any:
    """Add n to the 64-bit word at this address atomically; return its old value."""
    return builder.atomic_rmw("add", builder.inttoptr(address, I64.as_pointer()), n, "seq_cst")


@emit_call(types.none)
def pause(builder: Any) -> None:
    """Tell the processor that this thread polls."""
    if platform.machine() == "x86_64":
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])


@jit_helper
def futex(address, operation, value):  # type: ignore[no-untyped-def]
    """Linux's futex on the lower 32 bits of the word at this address.

    Args:
        operation: 128 sleeps while the word is ``value``; 129 wakes up to ``value`` sleepers.
    """
    _syscall(FUTEX_NUMBER, address, operation, value, 0, 0, 0)


def use_sgemm(address: int) -> None:
    """Let ``gemm`` call the ``cblas_sgemm`` at this address; before ``gemm`` is compiled or loaded."""
    binding.add_symbol(SGEMM, address)


@jit_helper
def gemm(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc):  # type: ignore[no-untyped-def]
    """C = op(A) op(B); all matrices are row-major float32.

    Args:
        transpose_a, transpose_b: 1 if op is the transpose, else 0.
        a, b, c: addresses. lda, ldb, ldc: lengths of a row in memory.

    Integers are passed as 64 bits; a BLAS with 32-bit integers reads the lower half of each.
    """
    one = np.float32(1)
    zero = np.float32(0)
    # 101 is CblasRowMajor, 111 CblasNoTrans, 112 CblasTrans.
    _sgemm(101, 111 + transpose_a, 111 + transpose_b, m, n, k, one, a, lda, b, ldb, zero, c, ldc)


@jit_helper
def matrix_at(address, rows, columns):  # type: ignore[no-untyped-def]
    """Return the float32 array (rows, columns) at this address."""
    return carray(pointer_at(address), (rows, columns), np.float32)


def _vector_reader(dtype: Any) -> Any:
    """Return a function of (address, n) that returns the array of n numbers at this address."""

    @jit_helper
    def vector_at(address, n):  # type: ignore[no-untyped-def]
        return carray(pointer_at(address), (n,), dtype)

    return vector_at


bytes_at = _vector_reader(np.uint8)
floats_at = _vector_reader(np.float32)
int64s_at = _vector_reader(np.int64)
int32s_at = _vector_reader(np.int32)
