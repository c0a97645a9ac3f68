"""L0: element-wise functions over a sweep and special values, in units in the last place."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Data
from dnn.agreement.contender import Contender
from dnn.agreement.draws import normal
from dnn.agreement.records import Record, judge
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Named

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
    dy = normal(seed, "cotangent", (sizes.sweep // 10, 10))
    if kind == "softmax":
        z = 4.0 * normal(seed, "rows of z", dy.shape)
        z[0], z[1, 0] = 0.0, 80.0  # ties, and one that takes all
        z[2:4] += np.asarray([[1000.0], [-1000.0]])  # e^z beyond float32's range, on both sides
    else:
        z = np.linspace(-100.0, 100.0, dy.size).reshape(dy.shape)
        z[0] = SPECIAL
    if ACTIVATIONS[kind].gated:  # z g(z): native PyTorch gives NaN for -inf times 0, and where z^3 overflows
        z = np.where(np.abs(z) > 1e30, np.copysign(1e10, z), z)
    return z.astype(np.float32), dy.astype(np.float32)


def kernel_level(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> Iterator[Record]:
    """Unary functions (4 ULP), activations and their derivatives (8 ULP), exact functions (0)."""
    draws = normal(seed, "pairs", (2, sizes.sweep // 10 * 10))
    pair = draws.astype(np.float32)
    pair[1, : sizes.sweep // 10] = pair[0, : sizes.sweep // 10]  # a == b too
    pair[:, sizes.sweep // 2 :] = np.rint(pair[:, sizes.sweep // 2 :])  # the largest more than once

    def measured(
        case: str, name: str, function: Function, arrays: Sequence[np.ndarray], bound: float, error: Function
    ) -> Iterator[Record]:
        def ask(c: Contender) -> Named:
            return {name: c.evaluate(function, *arrays)}

        yield from judge(LEVEL, case, ask(oracle), contenders, ask, lambda *_: bound, error)

    for name in UNARY:
        call: Function = lambda xp, a, name=name: getattr(xp, name)(a)  # noqa: E731
        x = [_sweep(name, sizes.sweep)]
        yield from measured("unary", name, call, x, bounds.UNARY_ULP, lambda _, *pair: bounds.ulps(*pair))
    for name, exact in EXACT.items():
        yield from measured(
            "exact", name, exact, [*pair], 0.0, lambda _, a, b: float(np.count_nonzero(a != b))
        )
    for kind in ACTIVATIONS:
        yield from _activation(contenders, oracle, kind, sizes, seed)


def _activation(
    contenders: Sequence[Contender], oracle: Contender, kind: str, sizes: Sizes, seed: int
) -> Iterator[Record]:
    z, dy = _activation_inputs(kind, sizes, seed)

    def ask(c: Contender) -> Named:
        return dict(zip((kind, f"{kind}'"), c.activation(kind, z, dy), strict=True))

    yield from judge_activation(LEVEL, "activation", kind, z, dy, ask(oracle), contenders, ask)


def judge_activation(
    level: str, case: str, kind: str, z: np.ndarray, dy: np.ndarray, wanted: Named,
    contenders: Sequence[Contender], ask: Callable[[Contender], Named],
) -> Iterator[Record]:  # fmt: skip
    """Records of f(z), and of f'(z) dy by the name "KIND'", for z and dy (B, n), in ULP."""
    slope = bound = (
        bounds.COMPOSITE_ULP if level != LEVEL else bounds.PIECEWISE_ULP.get(kind, bounds.COMPOSITE_ULP)
    )
    scale: np.ndarray | float = np.abs(dy)
    keep = np.isfinite(z)  # f'(inf) dy is 0 or NaN, by formula; no network gets there and goes on
    if kind == "softmax":
        finite = np.all(keep, axis=1)
        y = wanted[kind][finite]
        bound = bounds.softmax_ulp(float(np.max(np.ptp(z[finite], axis=1))), y)
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

    yield from judge(
        level, case, wanted, contenders, ask, lambda t, _: slope if t.endswith("'") else bound, error
    )
