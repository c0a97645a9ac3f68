"""The order of additions: a balanced binary tree over the blocks of a batch, whoever adds them.

A batch of n examples is cut into B blocks, B a power of two. Neighbours are added, then neighbouring pairs,
and so on: ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)). A worker has the blocks of a subtree. As a + b = b + a
in floating point too, it does not matter who adds two sums, only which two.
"""

from collections.abc import Callable
from typing import Any

from backends import Array, InputError
from dnn.validation.settings import positive_integer, require

MAX_BLOCKS = 4096  # blocks of a batch


def require_blocks(given: Any, workers: int) -> int:
    """The number of blocks. Raises InputError: no power of two, or workers that cannot share them evenly."""
    blocks: int = positive_integer("blocks", given)
    fits = not blocks & (blocks - 1) and blocks <= MAX_BLOCKS
    require(fits, "blocks", blocks, f"a power of two up to {MAX_BLOCKS}, such as 8")
    if blocks % workers:
        got = f"blocks is {blocks} with {workers} workers"
        raise InputError(got, "a power of two of workers, and at least as many blocks as workers")
    return blocks


def cuts(n: int, blocks: int) -> list[tuple[int, int]]:
    """Rows (first, end) of each block of a batch of n; their sizes differ by one at most, and may be 0.

    >>> cuts(10, 4)
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    return [(i * n // blocks, (i + 1) * n // blocks) for i in range(blocks)]


def add_up(parts: list[Array], add: Callable[[Array, Array], object]) -> Array:
    """The sum of a power of two of parts, in the tree's order; ``add(a, b)`` is a += b.

    >>> texts = [["a"], ["b"], ["c"], ["d"]]
    >>> add_up(texts, lambda a, b: a.__setitem__(slice(None), [f"({a[0]}+{b[0]})"]))
    ['((a+b)+(c+d))']
    """
    while len(parts) > 1:
        for a, b in zip(parts[::2], parts[1::2], strict=True):
            add(a, b)
        parts = parts[::2]
    return parts[0]


def add_over(mine: Array, rank: int, size: int, swap: Callable[[int, slice, slice], Array]) -> None:
    """``mine`` (m,) becomes the sum over all workers, in the tree's order: recursive halving and doubling.

    In the first round neighbours swap halves of the vector and add, in the next pairs of neighbours swap
    quarters, and so on, until each worker has one part of the whole sum; then they go the way back and swap
    the sums. A worker sends and receives less than 2 m numbers, however many workers there are (Thakur,
    Rabenseifner and Gropp 2005, "Optimization of collective communication operations in MPICH", 4.2).

    Args:
        size: a power of two.
        swap: (peer, what it gets of mine, what is wanted of its): the latter, at most (m + 1) // 2 numbers.
    """
    first = 0
    end = mine.shape[0]
    rounds = []
    distance = 1
    while distance < size:
        middle = (first + end) // 2
        halves = slice(first, middle), slice(middle, end)
        keep, send = halves if not rank & distance else halves[::-1]
        mine[keep] += swap(rank ^ distance, send, keep)
        rounds.append((rank ^ distance, keep, send))
        first = keep.start
        end = keep.stop
        distance = 2 * distance
    for peer, keep, send in reversed(rounds):
        mine[send] = swap(peer, keep, send)
