"""What becomes of a gradient, compiled: a step of the optimizer, or with those of other blocks a sum."""

from backends.numba.compiling import part
from backends.numba.elementwise import adam
from backends.numba.native import line


@part
def place_of(out, spare, n, block):  # type: ignore[no-untyped-def]
    """Where n numbers of this block go: to ``out`` or, while sums of other subtrees wait there, ``spare``."""
    pair, waiting = block // 2, 0
    while pair:
        waiting += pair & 1
        pair >>= 1
    return spare + 4 * n * (waiting - 1) if waiting else out


@part
def add_up(out, spare, n, block):  # type: ignore[no-untyped-def]
    """Add the sums of the subtrees that end with this block, the second of a pair which is added up."""
    pair, place = block // 2, place_of(out, spare, n, block)
    while pair & 1:
        below = place - 4 * n if place > spare else out
        total, more = line(below, n), line(place, n)
        for j in range(n):
            total[j] += more[j]
        place = below
        pair >>= 1


@part
def take(plan, w, m, v, g, step, spare, block):  # type: ignore[no-untyped-def]
    """A step of the numbers at w, whose moments are at m and v; of a block, g is added up at m."""
    n = g.shape[0]
    if not plan.whole:
        adam(line(w, n), g, line(m, n), line(v, n), step)
        return
    kept = line(place_of(m, spare, n, block), n)
    if block & 1:
        for j in range(n):
            kept[j] += g[j]
        add_up(m, spare, n, block)
    else:
        kept[:] = g
