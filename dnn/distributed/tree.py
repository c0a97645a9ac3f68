"""The order of additions over the blocks of a batch: a balanced binary tree, for any number of workers.

A batch of n examples is cut into B blocks, B a power of two. Neighbours are added, then neighbouring pairs,
and so on: ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)). Each worker has the blocks of one subtree. Since
a + b = b + a in floating point too, only the pairs matter, not which worker adds them.
"""

from collections.abc import Callable
from typing import Any

from backends import Array, InputError
from dnn.settings.checks import positive_integer, require

MAX_BLOCKS = 4096  # blocks of a batch


def require_blocks(blocks: Any, workers: int) -> int:
    """Return the number of blocks. Raises InputError: not a power of two, or not a multiple of workers."""
    number = positive_integer("blocks", blocks)
    fits = not number & (number - 1) and number <= MAX_BLOCKS
    require(fits, "blocks", number, f"a power of two up to {MAX_BLOCKS}, such as 8")
    if number % workers:
        got = f"blocks is {blocks} with {workers} workers"
        raise InputError(got, "a number of workers that is a power of two, at most the number of blocks")
    return number


def block_bounds(n: int, blocks: int) -> list[tuple[int, int]]:
    """Return the rows (first, end) of each block of a batch of n; sizes differ by at most 1 and may be 0.

    >>> block_bounds(10, 4)
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    return [(i * n // blocks, (i + 1) * n // blocks) for i in range(blocks)]


def tree_sum(terms: list[Array], add: Callable[[Array, Array], object]) -> Array:
    """Return the sum of 2^k terms, added in the order of the tree; ``add(a, b)`` does a += b.

    >>> texts = [["a"], ["b"], ["c"], ["d"]]
    >>> tree_sum(texts, lambda a, b: a.__setitem__(slice(None), [f"({a[0]}+{b[0]})"]))
    ['((a+b)+(c+d))']
    """
    while len(terms) > 1:
        for a, b in zip(terms[::2], terms[1::2], strict=True):
            add(a, b)
        terms = terms[::2]
    return terms[0]
