"""How workers wait for one another, compiled; and the mail, an array of words in which they find their work.

Who waits looks at a word for some microseconds, and then sleeps until it changes.
"""

from backends.numba.compiling import part
from backends.numba.native import add, futex, load, pause

# Words of the mail. What threads look at has a cache line to itself: the word, and how many sleep on it.
TICKET, ARRIVED, SIZE, PLAN, UPDATES, SGEMM, CALL, MAIL = 0, 8, 16, 17, 18, 19, 20, 24
LOOKS = 2000  # looks at a word before a thread sleeps: some 50 microseconds
UNIT = 16  # rows and columns of a share are a multiple of this, a cache line


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
