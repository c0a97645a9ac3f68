"""Covering arrays: few rows in which every pair of two parameters' values occurs."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from typing import Any

Place = tuple[int, int]  # (parameter, position of its value)


def cover_pairs(
    *values: Sequence[Any], allowed: Callable[..., bool] = lambda *row: True
) -> Iterator[tuple[Any, ...]]:
    """Yield rows with one value of each parameter, so that every allowed pair of values occurs in some row.

    Greedy: a row starts with the first pair that has not occurred, and takes for each other parameter the
    value that adds the most new pairs; equal ones in turn. A row of which the first value is 0 is a call
    without numbers: it counts only for the pairs with this 0.

    Args:
        values: of each parameter. The first one goes with all values of the others.
        allowed: whether a row may occur. A pair is allowed if its row with all other first values is.

    >>> list(cover_pairs([1, 2], "ab", [True, False]))
    [(1, 'a', True), (1, 'b', False), (2, 'a', False), (2, 'b', True)]
    """

    def is_allowed(chosen: dict[int, int]) -> bool:
        return allowed(*(v[chosen.get(parameter, 0)] for parameter, v in enumerate(values)))

    missing: dict[tuple[Place, Place], None] = {}
    for a, b in combinations(range(len(values)), 2):
        for i, j in product(range(len(values[a])), range(len(values[b]))):
            if is_allowed({a: i, b: j}):
                missing[(a, i), (b, j)] = None
    used: Counter[Place] = Counter()
    while missing:
        chosen = dict(next(iter(missing)))
        for parameter in (p for p in range(len(values)) if p not in chosen):
            ranks = {
                i: (
                    sum(tuple(sorted((c, (parameter, i)))) in missing for c in chosen.items()),
                    -used[parameter, i],
                )
                for i, value in enumerate(values[parameter])
                if (parameter, value) != (0, 0) and is_allowed({**chosen, parameter: i})
            }
            chosen[parameter] = max(ranks, key=ranks.__getitem__)
        is_empty = values[0][chosen[0]] == 0
        for pair in combinations(sorted(chosen.items()), 2):
            if pair[0][0] == 0 or not is_empty:
                missing.pop(pair, None)
        used.update(chosen.items())
        yield tuple(v[chosen[parameter]] for parameter, v in enumerate(values))
