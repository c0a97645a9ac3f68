"""How worker threads wait for each other, in compiled code.

The threads share a mailbox: an array of 64-bit words that holds their task and their counters. A waiting
thread polls a word for some microseconds, and then sleeps until the word changes.
"""

from backends.numba.compilation import jit_helper
from backends.numba.native import atomic_add, futex, load_word, pause

# Indices of the mailbox's words. A polled word has a cache line to itself.
TICKET, ARRIVED, SIZE, PLAN, UPDATES, MAILBOX_WORDS = 0, 8, 16, 17, 18, 24
MAX_POLLS = 1000  # a waiting thread then sleeps; about 25 microseconds
SHARE_MULTIPLE = 16  # of rows or columns: one cache line of float32


@jit_helper
def wait(mailbox, word, target):  # type: ignore[no-untyped-def]
    """Return when this word of the mailbox is at least ``target``."""
    address = mailbox.ctypes.data + 8 * word
    polls = 0
    while True:
        now = load_word(address)
        if now >= target:
            return
        polls += 1
        if polls < MAX_POLLS:
            pause()
        else:
            futex(address, 128, now & 0xFFFFFFFF)


@jit_helper
def increment(mailbox, word):  # type: ignore[no-untyped-def]
    """Add 1 to this word of the mailbox, wake its sleepers, and return the new value."""
    address = mailbox.ctypes.data + 8 * word
    now = atomic_add(address, 1) + 1
    futex(address, 129, 1 << 30)
    return now


@jit_helper
def barrier(mailbox):  # type: ignore[no-untyped-def]
    """Return when all workers have called this."""
    size = mailbox[SIZE]
    if size > 1:
        now = increment(mailbox, ARRIVED)
        wait(mailbox, ARRIVED, (now + size - 1) // size * size)


@jit_helper
def share_bounds(n, worker, workers):  # type: ignore[no-untyped-def]
    """Return (start, stop) of a worker's share of range(n); starts are multiples of SHARE_MULTIPLE."""
    each = (n + workers * SHARE_MULTIPLE - 1) // (workers * SHARE_MULTIPLE) * SHARE_MULTIPLE
    return min(n, worker * each), min(n, (worker + 1) * each)
