"""Activations in units in the last place: over a sweep (L0), and inside Dense where they are extreme (L1)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.contender import Contender
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named
from dnn.layers import Activation, Dense, Layer

SPECIAL_VALUES = (0.0, -0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan"), 3e38, -3e38, 2e-38)
EXTREME_SIZES = (0.0, 1e-3, 0.3, 1.0, 5.0, 12.0, 16.6, 20.5, 40.0, 88.0, 104.0, 1e4)
EXTREME_ROW = np.asarray([*EXTREME_SIZES, *(-z for z in EXTREME_SIZES)], dtype=np.float32)
"""One row: powers e^z below and above float32's range and 1's rounding, and 0 of both signs."""


def make_sweep(setup: Setup, kind: str) -> np.ndarray:
    """z (rows, 10); special values for functions that work element by element."""
    z: np.ndarray = np.linspace(-100.0, 100.0, setup.sizes.sweep // 10 * 10, dtype=np.float32).reshape(-1, 10)
    if kind == "softmax":
        z = 4.0 * setup.normal("rows of z", z.shape)
        z[0] = 0.0  # ties
        z[1, 0] = 80.0  # one that takes all
        z[2:4] += np.asarray([[1000.0], [-1000.0]])  # e^z beyond float32's range, on both sides
    else:
        z[0] = SPECIAL_VALUES
    if ACTIVATIONS[kind].gated:  # z g(z): native PyTorch gives NaN for -inf times 0, and where z^3 overflows
        z = np.where(np.abs(z) > 1e30, np.copysign(np.float32(1e10), z), z)
    return z


def extreme_inputs(setup: Setup) -> np.ndarray:
    """z (rows, 24): WIDE, usual numbers far from 0 and near it, ties, and one NaN in the last row."""
    usual = 2.0 * setup.normal("extremes", (6, len(EXTREME_ROW)))
    usual[0] += 1000.0
    usual[1] -= 1000.0
    z = np.concatenate(
        [EXTREME_ROW[None], EXTREME_ROW[None] / np.float32(100.0), usual, np.rint(usual[2:3]), usual[:1]]
    )
    z[-1, 3] = np.nan
    return z


def activation_level(setup: Setup) -> Iterator[Record]:
    """Activations and their derivatives over a sweep and special values: most within 8 ULP."""
    for kind in ACTIVATIONS:
        z = make_sweep(setup, kind)
        yield from judge_activation(setup, f"activation {kind}", kind, partial(Activation, kind), {}, z, z)


def extreme_level(setup: Setup) -> Iterator[Record]:
    """The same where exp overflows, where two numbers are equal, and for NaN, inside Dense. Its W is 1
    here, so that z is x to the last bit."""
    # Others round z itself, in the product.
    exact = replace(setup, contenders=[c for c in setup.contenders if c.unit == bounds.U])
    x = extreme_inputs(setup)
    n = len(EXTREME_ROW)
    one = {"W": np.eye(n, dtype=np.float32), "b": np.zeros(n, dtype=np.float32)}
    # 0 times NaN is NaN: one in a row makes all z of that row NaN.
    z = np.where(np.isnan(x).any(axis=1, keepdims=True), np.float32(np.nan), x)
    for kind in ACTIVATIONS:
        case = f"Dense extremes {kind}"
        yield from judge_activation(exact, case, kind, partial(Dense, n, kind), one, x, z)


def judge_activation(
    setup: Setup, case: str, kind: str, make: Callable[[], Layer], values: Mapping[str, np.ndarray],
    x: np.ndarray, z: np.ndarray,
) -> list[Record]:  # fmt: skip
    """Records of "y" = f(z) and "dx" = f'(z) dy, in ULP, of a layer that makes z (B, n) of x (B, n)."""
    dy = setup.normal("cotangent", x.shape)

    def ask(c: Contender) -> Named:
        return c.use(make(), x.shape[1:], values, [(x, dy)])

    answer = ask(setup.oracle)
    expected = {tensor: answer[tensor] for tensor in ("y", "dx", "y in evaluation")}
    usual = bounds.COMPOSITE_ULP
    slope = value = bounds.PIECEWISE_ULP.get(kind, usual) if setup.level == "L0" else usual
    scale: np.ndarray | float = np.abs(dy)
    keep = np.isfinite(z)  # f'(inf) dy is 0 or NaN, by formula; no network gets there and goes on
    if kind == "softmax":
        finite = np.all(keep, axis=1)
        y = expected["y"][finite]
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

    def error(tensor: str, got: np.ndarray, expected: np.ndarray) -> float:
        if tensor != "dx":
            return bounds.ulp_error(got, expected, size)
        return bounds.ulp_error(got[keep], expected[keep], scale[keep])

    return setup.judge(case, ask, lambda t, _: slope if t == "dx" else value, error, expected=expected)
