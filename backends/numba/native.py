"""What compiled loops call of the machine: atomic words, sleeping until one changes, and a BLAS's product."""

import ctypes
import platform
import sys
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I64, F32, POINTER = ir.IntType(64), ir.FloatType(), ir.IntType(8).as_pointer()
# The number of Linux's system call; 0: none that is known here.
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0) if sys.platform == "linux" else 0


def _called(builder: Any, result: Any, arguments: Sequence[Any]) -> Any:
    """Code that calls the function whose address comes first."""
    address, *rest = arguments
    kind = ir.FunctionType(result, [value.type for value in rest]).as_pointer()
    return builder.call(builder.inttoptr(address, kind), rest)


@intrinsic
def at(typing_context, address):  # type: ignore[no-untyped-def]
    """The address as a pointer, for ``numba.carray``."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], POINTER)

    return types.voidptr(types.int64), code


@intrinsic
def load(typing_context, address):  # type: ignore[no-untyped-def]
    """The word at this address, as other threads have left it."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.load_atomic(builder.inttoptr(arguments[0], I64.as_pointer()), "seq_cst", 8)

    return types.int64(types.int64), code


@intrinsic
def add(typing_context, address, n):  # type: ignore[no-untyped-def]
    """Add n to the word at this address; returns what it was."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        word = builder.inttoptr(arguments[0], I64.as_pointer())
        return builder.atomic_rmw("add", word, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), code


@intrinsic
def pause(typing_context):  # type: ignore[no-untyped-def]
    """Tell the processor that this thread looks again and again."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if platform.machine() == "x86_64":
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.none(), code


@intrinsic
def futex(typing_context, call, address, operation, value):  # type: ignore[no-untyped-def]
    """Linux's futex on the lower half of the word at this address: 128 sleeps while it is ``value``, 129
    wakes so many; ``call`` is the address of libc's ``syscall``.
    """

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        call, *rest = arguments
        zero = ir.Constant(I64, 0)
        return _called(builder, I64, [call, ir.Constant(I64, FUTEX), *rest, zero, zero, zero])

    return types.int64(types.int64, types.int64, types.int64, types.int64), code


@intrinsic
def gemm(typing_context, call, flipped_a, flipped_b, m, n, k, a, lda, b, ldb, c, ldc):  # type: ignore[no-untyped-def]
    """C = A B by the ``cblas_sgemm`` at the address ``call``, for row after row; ``flipped`` means A^T, B^T.

    Integers are passed in registers and words of 64 bits, of which a BLAS of 32-bit integers reads half.
    """

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        call, fa, fb, m, n, k, a, lda, b, ldb, c, ldc = arguments
        flip = ir.Constant(I64, 111)  # CblasNoTrans; 112 is CblasTrans
        fa, fb = builder.add(fa, flip), builder.add(fb, flip)
        one, zero = ir.Constant(F32, 1.0), ir.Constant(F32, 0.0)
        rows = ir.Constant(I64, 101)  # CblasRowMajor
        _called(builder, ir.VoidType(), [call, rows, fa, fb, m, n, k, one, a, lda, b, ldb, zero, c, ldc])
        return context.get_dummy_value()

    return types.none(*[types.int64] * 12), code


@intrinsic
def power_of_two(typing_context, n):  # type: ignore[no-untyped-def]
    """2^n as float32 for an int32 n from -126 to 127: n + 127 as the exponent's bits."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        n32 = builder.trunc(arguments[0], ir.IntType(32)) if n.bitwidth > 32 else arguments[0]
        bits = builder.shl(builder.add(n32, ir.Constant(n32.type, 127)), ir.Constant(n32.type, 23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(n), code


def syscall() -> int:
    """The address of libc's ``syscall``, with which threads sleep; 0: none that is known here."""
    return (ctypes.cast(ctypes.CDLL(None).syscall, ctypes.c_void_p).value or 0) if FUTEX else 0
