"""A sum of squares f(x) = sum_i r_i(x)^2 on the host, with a gradient that is exact up to rounding.

The Jacobian comes by complex steps: J_ij = Im r_i(x + i h e_j) / h for an h so small that its square rounds
away (Squire and Trapp 1998), all columns in one call. Everything is computed in the dtype of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

TINY = 1e-20
"""The complex step h."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One function with its standard start.

    Args:
        residuals: (x (n, k), *data) -> r (m, k), for k points at once, real or complex.
        start: of the paper or of the data set, (n,).
        minima: of f: the global one first, then the local ones that are known.
        data: arrays (m, 1) that residuals gets in the dtype of x.
        solution: the certified x (n,), where there is one.
    """

    residuals: Callable[..., np.ndarray]
    start: tuple[float, ...]
    minima: tuple[float, ...]
    data: tuple[np.ndarray, ...] = ()
    solution: tuple[float, ...] | None = None

    def linear(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """r (m,) and J (m, n) at x (n,), float32 or float64."""
        data = [a.astype(x.dtype) for a in self.data]
        with np.errstate(all="ignore"):  # exp overflows where a line search looks too far
            r = self.residuals(x[:, None], *data)[:, 0]
            steps = x[:, None] + 1j * (np.eye(len(x), dtype=x.dtype) * x.dtype.type(TINY))
            J = self.residuals(steps, *data).imag / x.dtype.type(TINY)
        return r, J

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """(f, gradient (n,)); not finite where a residual is not."""
        r, J = self.linear(x)
        with np.errstate(all="ignore"):
            return float(r @ r), 2 * (J.T @ r)
