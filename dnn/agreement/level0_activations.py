"""L0: errors of activations in ULPs, over a sweep of inputs."""

from collections.abc import Iterator

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup
from dnn.layers import Activation
from dnn.typing import HostArrays

SPECIAL_VALUES = (0.0, -0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan"), 3e38, -3e38, 2e-38)


def make_sweep(setup: Setup, kind: str) -> np.ndarray:
    """Return z (rows, 10) from -100 to 100 with SPECIAL_VALUES first."""
    z: np.ndarray = np.linspace(-100.0, 100.0, setup.sizes.sweep // 10 * 10, dtype=np.float32).reshape(-1, 10)
    z[0] = SPECIAL_VALUES
    # For z g(z) native PyTorch returns NaN at z = -inf, where g(z) is 0, and where z^3 overflows.
    if ACTIVATIONS[kind].gated:
        z = np.where(np.abs(z) > 1e30, np.copysign(np.float32(1e10), z), z)
    return z


def activation_level(setup: Setup) -> Iterator[Record]:
    """L0: compare every activation and its derivative over a sweep and special values.

    Softmax has only calls of its kernel, since the error of a small element has no bound in ULPs.
    """
    for kind in ACTIVATIONS:
        if kind != "softmax":
            yield from judge_activation(setup, kind, make_sweep(setup, kind))


def judge_activation(setup: Setup, kind: str, z: np.ndarray) -> list[Record]:
    """Compare "y" = f(z) and "dx" = f'(z) dy of an Activation layer for z (B, n), in ULPs."""
    dy = setup.normal("cotangent", z.shape)
    bound = bounds.PIECEWISE_ULP.get(kind, bounds.COMPOSITE_ULP)
    keep = np.isfinite(z)  # f'(inf) dy is 0 or NaN depending on the formula, so it is not compared
    # Gated: y = z g(z). Far below 0 g is tiny by cancellation, with the absolute error that it has elsewhere.
    size = np.where(keep, np.abs(z), 0.0) * ACTIVATIONS[kind].gated
    # 1 - y^2 cancels where y is near 1, so the error of (1 - y^2) dy is measured in ULPs of dy.
    scale = np.abs(dy) * np.maximum(size, 1.0)

    def compute(c: Contender) -> HostArrays:
        return c.run_layer(Activation(kind), z.shape[1:], {}, [(z, dy)])

    def error(tensor: str, got: np.ndarray, expected: np.ndarray) -> float:
        if tensor != "dx":
            return bounds.ulp_error(got, expected, size)
        return bounds.ulp_error(got[keep], expected[keep], scale[keep])

    return setup.compare(f"activation {kind}", compute, bound, error)
