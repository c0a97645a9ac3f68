"""L0: element-wise functions over a sweep and special values, in units in the last place."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.contender import Contender
from dnn.agreement.draws import normal
from dnn.agreement.records import Record, count_different
from dnn.agreement.setup import Setup
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Named

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
    dy = normal(seed, "cotangent", (sizes.sweep // 10, 10))
    if kind == "softmax":
        z = 4.0 * normal(seed, "rows of z", dy.shape)
        z[0] = 0.0  # ties
        z[1, 0] = 80.0  # one that takes all
        z[2:4] += np.asarray([[1000.0], [-1000.0]])  # e^z beyond float32's range, on both sides
    else:
        z = np.linspace(-100.0, 100.0, dy.size).reshape(dy.shape)
        z[0] = SPECIAL
    if ACTIVATIONS[kind].gated:  # z g(z): native PyTorch gives NaN for -inf times 0, and where z^3 overflows
        z = np.where(np.abs(z) > 1e30, np.copysign(1e10, z), z)
    return z.astype(np.float32), dy.astype(np.float32)


def kernel_level(setup: Setup) -> Iterator[Record]:
    """Unary functions (4 ULP), activations and their derivatives (8 ULP), exact functions (0)."""
    sweep = setup.sizes.sweep
    pair = setup.normal("pairs", (2, sweep // 10 * 10))
    pair[1, : sweep // 10] = pair[0, : sweep // 10]  # a == b too
    pair[:, sweep // 2 :] = np.rint(pair[:, sweep // 2 :])  # the largest more than once
    for name in UNARY:
        x = _sweep(name, sweep)
        yield from _function(setup, "unary", name, partial(_call, name), [x], bounds.UNARY_ULP)
    for name, function in EXACT.items():
        yield from _function(setup, "exact", name, function, pair, 0.0)
    for kind in ACTIVATIONS:
        yield from _activation(setup, kind)


def _call(name: str, xp: Any, a: Any) -> Any:
    return getattr(xp, name)(a)


def _function(
    setup: Setup, case: str, name: str, function: Function, arrays: Iterable[np.ndarray], bound: float
) -> list[Record]:
    def error(tensor: str, got: np.ndarray, wanted: np.ndarray) -> float:
        return bounds.ulps(got, wanted) if bound else count_different(tensor, got, wanted)

    return setup.judge(case, lambda c: {name: c.evaluate(function, *arrays)}, bound, error)


def _activation(setup: Setup, kind: str) -> list[Record]:
    z, dy = _activation_inputs(kind, setup.sizes, setup.seed)

    def ask(c: Contender) -> Named:
        return dict(zip((kind, f"{kind}'"), c.activation(kind, z, dy), strict=True))

    return judge_activation(setup, "activation", kind, z, dy, ask)


def judge_activation(
    setup: Setup, case: str, kind: str, z: np.ndarray, dy: np.ndarray, ask: Callable[[Contender], Named]
) -> list[Record]:
    """Records of f(z), and of f'(z) dy by the name "KIND'", for z and dy (B, n), in ULP."""
    wanted = ask(setup.oracle)
    slope = value = (
        bounds.PIECEWISE_ULP.get(kind, bounds.COMPOSITE_ULP) if setup.level == "L0" else bounds.COMPOSITE_ULP
    )
    scale: np.ndarray | float = np.abs(dy)
    keep = np.isfinite(z)  # f'(inf) dy is 0 or NaN, by formula; no network gets there and goes on
    if kind == "softmax":
        finite = np.all(keep, axis=1)
        y = wanted[kind][finite]
        value = bounds.softmax_ulp(float(np.max(np.ptp(z[finite], axis=1))), y)
        slope = bounds.softmax_slope_ulp(y)
        scale = np.abs(dy).max(axis=1, keepdims=True)
    size: np.ndarray | float = 0.0
    if ACTIVATIONS[kind].gated:
        # Where the factor of z is tiny, as far below 0, its error counts as much as it does elsewhere.
        size = np.where(keep, np.abs(z), 0.0)
        scale = scale * np.maximum(size, 1.0)
    # 1 - y^2 cancels where y is near 1, so the error is measured in units of dy, which it multiplies.
    scale = np.broadcast_to(scale, z.shape)

    def error(tensor: str, got: np.ndarray, wanted: np.ndarray) -> float:
        if not tensor.endswith("'"):
            return bounds.ulps(got, wanted, size)
        return bounds.ulps(got[keep], wanted[keep], scale[keep])

    def bound(tensor: str, unit: float) -> float:
        return slope if tensor.endswith("'") else value

    return setup.judge(case, ask, bound, error, wanted=wanted)
