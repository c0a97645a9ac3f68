"""Calls of the kernels on vectors: random streams, rows by index, penalties and clipping.

Here and in the other modules of calls, every pair of two parameters' values occurs (``cover_pairs``), as long
as the arrays have at most MAX_NUMBERS numbers.
"""

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from dnn.agreement.calls.call import Call, Draw, output_array
from dnn.agreement.calls.covering import cover_pairs

BATCHES = (7, 0, 1, 2, 33, 100, 1025, 65537)
"""Numbers of rows: none, one, few, odd, the usual 100, and beyond blocks of 1024 and of 65,536."""
MAX_NUMBERS = 1 << 18
"""Largest size of a matrix: room for 65,537 rows of 3, and for 100 images of 784 pixels."""
FLAT_SIZES = (7, 1, 203, 25001, 49152, 49153, 65536, 65537, 131072, 131073)
"""Lengths of flat vectors, at and beyond block lengths."""
COUNTERS = (0, 1, 2, 65535, 65536, 2**20 - 1, 2**20, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1)
STREAM_STEPS = (999, 1023, 1024, *COUNTERS)
RATES = (0.3, 0.0, 0.05, 0.1, 0.2, 0.25, 0.4, 0.5, 0.8, 0.9, 0.95, 0.999)


def stream_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of threefry, of dropout at and just beside its limit, and of Gaussian noise."""
    a, b = np.asarray([*product(COUNTERS, COUNTERS)]).T.copy()
    counters = [(np.asarray([step]), np.arange(13)) for step in STREAM_STEPS]
    counters += [(a[:1], np.arange(131073)), (a, b), (a, b[:1]), (a[:0], b[:0]), (a[:1], b[:1])]
    for key, (high, low) in product((tuple(draw(2, below=1 << 32).tolist()), (2**32 - 1, 7)), counters):
        out = output_array(np.broadcast(high, low).size, dtype=int)
        yield Call("threefry", (key, high, low, out))
    rows = cover_pairs(
        BATCHES, (11, 1, 2, 8, 65, 784, 14563), RATES, (0.5, 0.0, 0.01, 1.9, 100.0),
        allowed=lambda batch, n, *_: batch * n <= MAX_NUMBERS,
    )  # fmt: skip
    for batch, n, rate, deviation in rows:
        x = draw(batch, n)
        bits = draw(batch, (n + 1) // 2, below=1 << 63)
        bits[2:3] &= (1 << 31) - 1  # the high words are 0, the smallest uniform numbers
        # Not the 0.1 % of uniform numbers next to 1, whose logarithm magnifies their rounding.
        noise = np.minimum(bits, ((1 << 31) - (1 << 21) << 32) - 1), x, deviation, output_array(*x.shape)
        yield Call("gaussian_noise", noise, n_terms=1, condition=2.0, floor=8.0 * deviation)
        edge = round(rate * 2.0**31) - np.arange(bits.shape[1]) % 2  # the limit and one less
        bits[:2] = (np.maximum(edge, 0) << 32) | np.maximum(edge, 0)
        bits[1:2] ^= (1 << 32) | 1
        x = x.copy()
        x[1:2, -1:] = np.inf  # times a mask of 0 it is NaN
        mask = bits, x, rate, output_array(*x.shape), output_array(*x.shape)
        yield Call("dropout", mask, 1)


def row_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls that gather rows, and that add rows at repeated and at unused indices."""

    def index_of(batch: int, n: int) -> np.ndarray:
        index = draw(batch, below=n)
        index[:3] = (n - 1, 0, n - 1)[:batch]
        return index

    gathered = cover_pairs(
        BATCHES, (9, 1, 700, 70001), ((), (1,), (5,), (3, 4), (784,), (4097,)), ("float64", "int64", "uint8"),
        (1.0, 1.0 / 255.0, 0.3, 2.0),
        allowed=lambda batch, n, tail, dtype, scale: max(batch, n) * prod(tail) <= MAX_NUMBERS
        and (dtype != "int64" or scale == 1.0),
    )  # fmt: skip
    for batch, n, tail, dtype, scale in gathered:
        rows = draw(n, *tail, below=251).astype(dtype)
        to = output_array(batch, *tail, dtype=np.int64 if dtype == "int64" else float)
        yield Call("gather_rows", (rows, index_of(batch, n), to, scale), float(scale != 1.0))
    scattered = cover_pairs(
        BATCHES, (9, 1, 50, 256, 257, 70001), (1, 5, 9, 130),
        allowed=lambda batch, n, width: max(batch, n) * width <= MAX_NUMBERS and batch * n * width <= 1 << 22,
    )  # fmt: skip
    for batch, n, width in scattered:
        arrays = draw(batch, width), index_of(batch, n), output_array(n, width)
        yield Call("scatter_rows", arrays)


def gradient_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of penalties and clipping."""
    for n, l1, l2, special in cover_pairs(FLAT_SIZES, (0.5, 0.0), (0.25, 0.0), (False, True)):
        w = draw(n)
        if special:
            w[:4] = np.asarray([np.inf, -np.inf, np.nan, -0.0])[:n]
        yield Call("penalty", (w, draw(n) + np.arange(n) % 2 / 2.0, l1, l2))
    cases = cover_pairs(FLAT_SIZES, (1.0, 0.0, 2.0**-40), (None, np.nan, np.inf), (2.0, 0.25, 0.5, 1e6))
    for n, scale, special, limit in cases:
        g = scale * (draw(n) + np.arange(n) % 2 / 2.0)
        norm = float(np.sqrt(np.sum(g * g)))
        if special:
            g[-1:] = special
        yield Call("clip_value", (g, limit * (scale or 1.0)))
        most = norm * limit if limit < 1.0 and norm else norm + limit
        yield Call("clip_norm", (g.copy(), most), 1)
