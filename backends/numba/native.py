"""What compiled loops call of the machine: words and arrays at addresses, sleeping, and a BLAS's product."""

import ctypes
import platform
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from backends.numba.compiling import part

I64 = ir.IntType(64)
F32 = ir.FloatType()
POINTER = ir.IntType(8).as_pointer()
int64 = types.int64
# The number of Linux's system call; 0: none that is known here.
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0) if sys.platform == "linux" else 0


def native(result: Any, *given: Any) -> Callable[[Callable[..., Any]], Any]:
    """The decorated function writes the code of a call: of (builder, arguments...), for these Numba types."""

    def declare(write: Callable[..., Any]) -> Any:
        @wraps(write)  # Numba asks for the arguments' names
        def typed(typing_context, *kinds):  # type: ignore[no-untyped-def]
            def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
                made = write(builder, *arguments)
                return context.get_dummy_value() if result is types.none else made

            return result(*given), code

        return intrinsic(typed)

    return declare


def _called(builder: Any, result: Any, address: Any, *arguments: Any) -> Any:
    """Code that calls the function at this address."""
    kind = ir.FunctionType(result, [value.type for value in arguments]).as_pointer()
    return builder.call(builder.inttoptr(address, kind), arguments)


@native(types.voidptr, int64)
def at(builder: Any, address: Any) -> Any:
    """The address as a pointer, for ``numba.carray``."""
    return builder.inttoptr(address, POINTER)


@native(int64, int64)
def load(builder: Any, address: Any) -> Any:
    """The word at this address, as other threads have left it."""
    return builder.load_atomic(builder.inttoptr(address, I64.as_pointer()), "seq_cst", 8)


@native(int64, int64, int64)
def add(builder: Any, address: Any, n: Any) -> Any:
    """Add n to the word at this address; returns what it was."""
    return builder.atomic_rmw("add", builder.inttoptr(address, I64.as_pointer()), n, "seq_cst")


@native(types.none)
def pause(builder: Any) -> None:
    """Tell the processor that this thread looks again and again."""
    if platform.machine() == "x86_64":
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])


@native(int64, int64, int64, int64, int64)
def futex(builder: Any, call: Any, address: Any, operation: Any, value: Any) -> Any:
    """Linux's futex on the lower half of the word at this address: 128 sleeps while it is ``value``, 129
    wakes so many; ``call`` is the address of libc's ``syscall``.
    """
    zero = ir.Constant(I64, 0)
    return _called(builder, I64, call, ir.Constant(I64, FUTEX), address, operation, value, zero, zero, zero)


@native(types.none, *[int64] * 12)
def gemm(builder, call, flipped_a, flipped_b, m, n, k, a, lda, b, ldb, c, ldc):  # type: ignore[no-untyped-def]
    """C = A B by the ``cblas_sgemm`` at the address ``call``, for row after row; ``flipped`` means A^T, B^T.

    Integers are passed in registers and words of 64 bits, of which a BLAS of 32-bit integers reads half.
    """
    rows = ir.Constant(I64, 101)
    plain = ir.Constant(I64, 111)  # CblasRowMajor, CblasNoTrans; 112: CblasTrans
    flips = builder.add(flipped_a, plain), builder.add(flipped_b, plain)
    one = ir.Constant(F32, 1.0)
    zero = ir.Constant(F32, 0.0)
    _called(builder, ir.VoidType(), call, rows, *flips, m, n, k, one, a, lda, b, ldb, zero, c, ldc)


def syscall() -> int:
    """The address of libc's ``syscall``, with which threads sleep; 0: none that is known here."""
    return (ctypes.cast(ctypes.CDLL(None).syscall, ctypes.c_void_p).value or 0) if FUTEX else 0


@part
def floats(address, rows, columns):  # type: ignore[no-untyped-def]
    return carray(at(address), (rows, columns), np.float32)


def _line_of(dtype: Any) -> Any:
    """A function of (address, n): the array of n such numbers there."""

    @part
    def line(address, n):  # type: ignore[no-untyped-def]
        return carray(at(address), (n,), dtype)

    return line


line = _line_of(np.float32)
words = _line_of(np.int64)
numbers = _line_of(np.int32)
