"""How workers wait for one another, compiled; and the mail, an array of words in which they find their work.

Who waits looks at a word for some microseconds, and then sleeps until it changes.
"""

import numba
import numpy as np
from numba import carray

from backends.numba.compiling import FAST
from backends.numba.native import add, at, futex, load, pause

# Words of the mail. What threads look at has a cache line to itself: the word, and how many sleep on it.
TICKET, ARRIVED, SIZE, PLAN, UPDATES, SGEMM, CALL, MAIL = 0, 8, 16, 17, 18, 19, 20, 24
LOOKS = 2000  # looks at a word before a thread sleeps: some 50 microseconds
UNIT = 16  # rows and columns of a share are a multiple of this, a cache line

# Compiled into the loops that call it, and kept with them.
part = numba.njit(
    nogil=True, fastmath=FAST, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)


@part
def wait(mail, word, least):  # type: ignore[no-untyped-def]
    """Return when this word of the mail is at least so much."""
    address = mail.ctypes.data + 8 * word
    for _ in range(LOOKS):
        if load(address) >= least:
            return
        pause()
    add(address + 8, 1)
    now = load(address)
    while now < least:
        futex(mail[CALL], address, 128, now & 0xFFFFFFFF)
        now = load(address)
    add(address + 8, -1)


@part
def count(mail, word):  # type: ignore[no-untyped-def]
    """Add 1 to this word of the mail, and wake who sleeps on it; returns what it is then."""
    address = mail.ctypes.data + 8 * word
    now = add(address, 1) + 1
    if load(address + 8) > 0:
        futex(mail[CALL], address, 129, 1 << 30)
    return now


@part
def meet(mail):  # type: ignore[no-untyped-def]
    """Go on when all workers have come here."""
    size = mail[SIZE]
    if size > 1:
        now = count(mail, ARRIVED)
        wait(mail, ARRIVED, (now + size - 1) // size * size)


@part
def share(n, worker, workers):  # type: ignore[no-untyped-def]
    """Where a worker's share of n begins and ends, in whole units."""
    each = (n + workers * UNIT - 1) // (workers * UNIT) * UNIT
    return min(n, worker * each), min(n, (worker + 1) * each)


@part
def floats(address, rows, columns):  # type: ignore[no-untyped-def]
    return carray(at(address), (rows, columns), np.float32)


@part
def line(address, n):  # type: ignore[no-untyped-def]
    return carray(at(address), (n,), np.float32)


@part
def words(address, n):  # type: ignore[no-untyped-def]
    return carray(at(address), (n,), np.int64)


@part
def numbers(address, n):  # type: ignore[no-untyped-def]
    return carray(at(address), (n,), np.int32)
