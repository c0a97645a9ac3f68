"""Problems of Moré, Garbow and Hillstrom, "Testing unconstrained optimization software", TOMS 7 (1981).

Definitions, data, starts and minima as in section 3. Each is a sum of squares f(x) = sum_i r_i(x)^2 with
residuals r (m, k) for k points x (n, k) at once, real or complex: the Jacobian comes by complex steps,
J_ij = Im r_i(x + i h e_j) / h for an h so small that its square rounds away (Squire and Trapp 1998).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

COMPLEX_STEP = 1e-20


@dataclass(frozen=True, eq=False)
class Problem:
    """One function with its standard start, computed in the dtype of x on the host.

    Args:
        residuals: (x (n, k), *data) -> r (m, k).
        start: the paper's starting point, (n,).
        minimum: the smallest value of f.
        data: arrays (m, 1) that ``residuals`` receives in the dtype of x.
    """

    residuals: Callable[..., np.ndarray]
    start: tuple[float, ...]
    minimum: float
    data: tuple[np.ndarray, ...] = ()

    def linear(self, x):
        """r (m,) and J (m, n) at x (n,), float32 or float64."""
        data = [a.astype(x.dtype) for a in self.data]
        with np.errstate(all="ignore"):  # exp overflows at long steps of a line search
            r = self.residuals(x[:, None], *data)[:, 0]
            steps = x[:, None] + 1j * (np.eye(len(x), dtype=x.dtype) * x.dtype.type(COMPLEX_STEP))
            J = self.residuals(steps, *data).imag / x.dtype.type(COMPLEX_STEP)
        return r, J

    def __call__(self, x):
        """(f, gradient (n,)); not finite where a residual is not."""
        r, J = self.linear(x)
        with np.errstate(all="ignore"):
            return float(r @ r), 2 * (J.T @ r)


def rows(*residuals):
    return np.stack(np.broadcast_arrays(*residuals))


def column(*numbers):
    return np.asarray(numbers, dtype=np.float64)[:, None]


def count(last):
    return column(*range(1, last + 1))


def rosenbrock(x):
    return rows(10 * (x[1] - x[0] ** 2), 1 - x[0])


def powell_badly_scaled(x):
    return rows(1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001)


def brown_badly_scaled(x):
    return rows(x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2)


def jennrich_sampson(x, i):
    return 2 + 2 * i - np.exp(i * x[0]) - np.exp(i * x[1])


def meyer(x, y, t):
    return x[0] * np.exp(x[1] / (t + x[2])) - y


def wood(x):
    a, b, c, d = x
    first = 10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c
    return rows(*first, 10**0.5 * (b + d - 2), (b - d) / 10**0.5)


def watson(x, t):
    j = np.arange(len(x), dtype=t.dtype)
    slopes, total = (j * t ** np.maximum(j - 1, 0)) @ x, t**j @ x
    return np.concatenate([slopes - total**2 - 1, rows(x[0], x[1] - x[0] ** 2 - 1)])


def extended_rosenbrock(x):
    return rosenbrock((x[::2], x[1::2])).reshape(-1, x.shape[1])


def chebyquad(x):
    before, now, t = np.ones_like(x), 2 * x - 1, 2 * (2 * x - 1)
    means = []
    for i in range(1, len(x) + 1):
        means.append(np.mean(now, axis=0) + (0 if i % 2 else 1 / (i * i - 1)))
        before, now = now, t * now - before
    return rows(*means)


# fmt: off
MEYER = column(
    34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307,
    2872)
PROBLEMS = {
    "rosenbrock": Problem(rosenbrock, (-1.2, 1.0), 0.0),
    "powell_badly_scaled": Problem(powell_badly_scaled, (0.0, 1.0), 0.0),
    "brown_badly_scaled": Problem(brown_badly_scaled, (1.0, 1.0), 0.0),
    "jennrich_sampson": Problem(jennrich_sampson, (0.3, 0.4), 124.3621824, (count(10),)),
    "meyer": Problem(meyer, (0.02, 4000.0, 250.0), 87.94585517, (MEYER, 45 + 5 * count(16))),
    "wood": Problem(wood, (-3.0, -1.0, -3.0, -1.0), 0.0),
    "watson_6": Problem(watson, (0.0,) * 6, 2.28767005e-3, (count(29) / 29,)),
    "watson_9": Problem(watson, (0.0,) * 9, 1.39976014e-6, (count(29) / 29,)),
    "extended_rosenbrock": Problem(extended_rosenbrock, (-1.2, 1.0) * 50, 0.0),
    "chebyquad_8": Problem(chebyquad, tuple(np.arange(1, 9) / 9), 3.51687373e-3),
}
# fmt: on
