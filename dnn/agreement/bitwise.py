"""L0: kernels with bit-identical results: random streams, gathered rows, masks, warps, clipping, penalties.

All inputs are integers or simple fractions, so nothing is rounded. The inputs of a kernel are compared too,
since a kernel must not change them. Native PyTorch has no such kernels.
"""

from collections.abc import Iterator
from itertools import chain, product
from math import prod
from typing import Any

import numpy as np

from dnn.agreement import bounds, textbook
from dnn.agreement.contender import Contender
from dnn.agreement.records import Record, count_different
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named
from dnn.random import stream_key

STREAM_STEPS = (0, 1, 2, 999, 1023, 1024, 65535, 2**31, 2**32 - 1)
"""Steps of a random stream to draw from."""
Call = tuple[str, str, tuple[Any, ...]]


def _draw(seed: int, purpose: str, *shape: int) -> np.ndarray:
    """Draw 63-bit integers."""
    return textbook.random_bits(seed, f"agreement {purpose}", 0, 0, prod(shape)).reshape(shape)


def _draw_small(seed: int, purpose: str, *shape: int) -> np.ndarray:
    """Draw integers from -4 to 4."""
    return _draw(seed, purpose, *shape) % 9 - 4.0


def _stream_calls(seed: int) -> Iterator[Call]:
    """Yield calls of threefry, and of dropout at and just beside its limit."""
    key = stream_key(seed, "agreement bits")
    for step, n in (*((step, 13) for step in STREAM_STEPS), (3, 1), (4, 70001)):
        words = np.asarray([step]), np.arange(n), np.zeros(n, dtype=np.int64)
        yield "threefry", f"step {step}, {n} numbers", (key, *words)
    for n, rate in ((13, 0.6), (24, 0.75), (1, 0.5)):
        bits = _draw(seed, f"masks of {n}", 9, (n + 1) // 2)
        edge = round(rate * 2.0**31) - np.arange(bits.shape[1]) % 2  # the limit and one less
        bits[0] = (edge << 32) | edge
        x = (bits[:, :1] % 9 - 4.0) + np.arange(n)
        yield "dropout", f"{n} numbers, rate {rate}", (bits, x, rate, np.zeros((9, n)), np.zeros((9, n)))


def _row_calls(seed: int) -> Iterator[Call]:
    """Yield calls that gather rows, and that add rows at repeated and at unused indices."""
    draws = _draw(seed, "rows", 4000)
    kinds = (("float32", 1.0), ("int64", 1.0), ("uint8", 1.0), ("uint8", 1.0 / 255.0))
    for shape, (dtype, scale), n in product(((70001,), (700, 5), (301, 3, 4)), kinds, (33, 1, 7)):
        index = draws[:n] % shape[0]
        index[:3] = (shape[0] - 1, 0, shape[0] - 1)[:n]
        rows = np.resize(draws % 251, shape).astype(dtype)
        out = np.zeros((n, *shape[1:]), dtype="int64" if dtype == "int64" else "float32")
        yield "gather_rows", f"{dtype} {shape} {n} rows, scale {scale:.3g}", (rows, index, out, scale)
    for n, batch in ((5, 40), (700, 900), (257, 3)):
        index = draws[:batch] % n
        index[:3] = n - 1, 0, n - 1
        rows = _draw_small(seed, "tables", batch, 4)
        yield "scatter_rows", f"{batch} rows into {n}", (rows, index, np.zeros((n, 4)))


def _gradient_calls(seed: int) -> Iterator[Call]:
    """Yield calls of penalties, clipping, and centred RMSprop.

    RMSprop gets equal gradients: v - mean^2 is then 0, or negative by rounding, which must count as 0.
    """
    draws = _draw_small(seed, "gradients", 2, 25001)
    for n in (1, 7, 203, 25001):
        w, g = draws[:, :n]
        for l1, l2 in ((0.5, 0.25), (0.5, 0.0), (0.0, 0.25)):
            yield "penalty", f"{n} weights, l1 {l1}, l2 {l2}", (w, g, l1, l2)
        for limit in (0.5, 2.0, 3.0):
            yield "clip_value", f"{n} numbers to {limit}", (g, limit)
        norm = float(np.sqrt(np.sum(g * g)))
        yield "clip_norm", f"{n} numbers below the limit", (g, norm + 1.0)
        yield "clip_norm", f"{n} numbers clipped", (g, 2.0)
        for kernel, special in product(("clip_norm", "clip_value"), ("nan", "inf")):
            strange = g.copy()
            strange[-1] = float(special)
            yield kernel, f"{n} numbers with {special}", (strange, 2.0)
        slots = np.maximum(g * g - 2.0, 0.0), np.zeros(n), g.copy()
        control = np.asarray([0.25, 0.0, 0.0, 2.0])
        yield "rmsprop_centered", f"{n} equal gradients", (w, g, slots, control, (0.5, 0.5, 0.5))


def _image_calls(seed: int) -> Iterator[Call]:
    """Yield calls of max pooling and of the kernels that RandomElastic and other augmentations use.

    Displacements are sums of integers. Warped pixels lie at multiples of 1/4, inside and outside the image.
    """
    x = _draw_small(seed, "pixels", 5, 6, 7, 3)
    x[3, 2, 2, 1] = np.nan
    for size, strides, borders, windows in (
        ((2, 2), (2, 2), ((0, 0), (0, 0)), (3, 3)),
        ((3, 2), (1, 2), ((1, 1), (0, 1)), (6, 4)),
    ):
        y = np.zeros((5, *windows, 3))
        yield (
            "max_pool2d", f"{size} windows, strides {strides}",
            (x, size, strides, borders, y, y.astype(np.int64)),
        )  # fmt: skip
    draws = _draw(seed, "views", 6 * 7 * 9 * 2)
    for height, width in ((7, 9), (5, 5)):
        shares = [(draws[: n * n].reshape(n, n) >> 20) % (4096 // n) * 1.0 for n in (height, width)]
        moves = np.zeros((6, 2, height, width))
        what = f"{height} x {width} pixels"
        yield "smooth_moves", f"of {what}", (draws[:108].reshape(6, 18), *shares, 32.0, moves)
        quarters = (draws[: moves.size].reshape(moves.shape) >> 40) % 25 / 4 - 3.0
        x = np.resize(draws >> 10, (6, height, width, 2)) % 9 - 4.0
        matrix = np.resize(draws >> 50, (6, 2, 2)) % 5 / 4 - 0.5
        for name, m in (("moved", np.tile(np.eye(2), (6, 1, 1))), ("turned and moved", matrix)):
            yield "warp_images", f"{what} {name}", (x, m, quarters, np.zeros(x.shape))


CALL_GENERATORS = (_stream_calls, _row_calls, _gradient_calls, _image_calls)


def bitwise_level(setup: Setup) -> Iterator[Record]:
    """Require equal results, except for pixels times 1/255 (2 ULP, two roundings) and gradients that are
    clipped by norm (4 ULP).
    """
    for name, what, arguments in chain.from_iterable(part(setup.seed) for part in CALL_GENERATORS):
        yield from _judge_call(setup, name, what, arguments)


def _judge_call(setup: Setup, name: str, what: str, arguments: tuple[Any, ...]) -> list[Record]:
    allowed = 2.0 if name == "gather_rows" and arguments[-1] != 1.0 else 4.0 * what.endswith("clipped")
    # Only the last array is written, so only it may be rounded.
    rounded = f"array {sum(isinstance(a, np.ndarray) for a in arguments) - 1}" if allowed else ""

    def ask(c: Contender) -> Named:
        return {f"array {i}": a for i, a in enumerate(c.kernel(name, None, *arguments))}

    def error(tensor: str, got: np.ndarray, expected: np.ndarray) -> float:
        return (
            bounds.ulp_error(got, expected) if tensor == rounded else count_different(tensor, got, expected)
        )

    return setup.judge(f"{name} {what}", ask, lambda tensor, _: allowed * (tensor == rounded), error)
