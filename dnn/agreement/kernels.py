"""L0: element-wise functions over a sweep and special values, in units in the last place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Data
from dnn.agreement.contender import Contender
from dnn.agreement.records import Record
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Misfit
from dnn.random import host_normal, stream_key

LEVEL = "L0"
Function = Callable[..., Any]

# Name -> the sweep's range; log and sqrt over magnitudes.
UNARY: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"exp": (-100.0, 88.7), "tanh": (-20.0, 20.0), "log": (-37.0, 38.0), "sqrt": (-37.0, 38.0)}
)
SPECIAL = (0.0, -0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan"), 3e38, -3e38, 2e-38)
EXACT: Mapping[str, Function] = MappingProxyType(
    {
        "maximum": lambda xp, a, b: xp.maximum(a, b),
        "where": lambda xp, a, b: xp.where(a < b, a, b),
        "less": lambda xp, a, b: xp.astype(a < b, a.dtype),
        "max": lambda xp, a, b: xp.max(xp.reshape(a, (10, -1)), axis=1),
        "argmax": lambda xp, a, b: xp.astype(xp.argmax(xp.reshape(a, (10, -1)), axis=1), a.dtype),
    }
)


def _sweep(name: str, n: int) -> np.ndarray:
    low, high = UNARY[name]
    line = np.linspace(low, high, n)
    values = 10.0**line if name in ("log", "sqrt") else line
    return np.concatenate([values, SPECIAL]).astype(np.float32)


def _activation_inputs(kind: str, sizes: Sizes, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """z and dy (rows, 10); special values for functions that work element by element."""
    dy = host_normal(stream_key(seed, "agreement cotangent"), (sizes.sweep // 10, 10))
    if kind == "softmax":
        z = 4.0 * host_normal(stream_key(seed, "agreement rows of z"), dy.shape)
        z[0], z[1, 0] = 0.0, 80.0  # ties, and one that takes all
    else:
        z = np.linspace(-100.0, 100.0, dy.size).reshape(dy.shape)
        z[0] = SPECIAL
    if kind == "gelu":
        z = np.where(np.abs(z) > 1e30, np.copysign(1e10, z), z)  # z^3 must be finite
    return z.astype(np.float32), dy.astype(np.float32)


def kernel_level(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> Iterator[Record]:
    """Unary functions (4 ULP), activations and their derivatives (8 ULP), exact functions (0)."""
    draws = host_normal(stream_key(seed, "agreement pairs"), (2, sizes.sweep // 10 * 10))
    pair = draws.astype(np.float32)
    pair[1, : sizes.sweep // 10] = pair[0, : sizes.sweep // 10]  # a == b too
    for c in contenders:
        for name in UNARY:
            x = _sweep(name, sizes.sweep)
            function: Function = lambda xp, a, name=name: getattr(xp, name)(a)  # noqa: E731
            got = c.evaluate(function, x)
            wanted = oracle.evaluate(function, x)
            yield Record(LEVEL, "unary", name, c.name, bounds.ulps(got, wanted), bounds.UNARY_ULP)
        for name, exact in EXACT.items():
            got = c.evaluate(exact, *pair)
            wanted = oracle.evaluate(exact, *pair)
            different = float(np.count_nonzero(got != wanted))
            yield Record(LEVEL, "exact", name, c.name, different, 0.0)
        for kind in ACTIVATIONS:
            yield from _activation(c, oracle, kind, sizes, seed)


def _activation(c: Contender, oracle: Contender, kind: str, sizes: Sizes, seed: int) -> Iterator[Record]:
    z, dy = _activation_inputs(kind, sizes, seed)
    y64, dz64 = oracle.activation(kind, z, dy)
    bound = bounds.COMPOSITE_ULP
    scale: np.ndarray | float = np.abs(dy)
    if kind == "softmax":
        bound = bounds.softmax_ulp(float(np.max(z.max(axis=1) - z.min(axis=1))))
        scale = np.abs(dy).max(axis=1, keepdims=True)
    try:
        y, dz = c.activation(kind, z, dy)
    except Misfit as error:
        yield Record(LEVEL, "activation", kind, c.name, float("inf"), bound, str(error))
        return
    size: np.ndarray | float = 0.0
    if kind == "gelu":
        # z (1 + tanh ...) / 2 cancels below 0, and the error is that of z times the bracket's.
        finite = np.where(np.isfinite(z), np.abs(z), 0.0)
        size, scale = finite, scale * np.maximum(finite, 1.0)
    yield Record(LEVEL, "activation", kind, c.name, bounds.ulps(y, y64, size), bound)
    # 1 - y^2 cancels where y is near 1, so the error is measured in units of dy, which it multiplies.
    keep = np.isfinite(z)  # f'(inf) dy is 0 or NaN, by formula; no network gets there and goes on
    scale = np.broadcast_to(scale, z.shape)
    yield Record(LEVEL, "activation", f"{kind}'", c.name,
                 bounds.ulps(dz[keep], dz64[keep], scale[keep]), bound)  # fmt: skip
