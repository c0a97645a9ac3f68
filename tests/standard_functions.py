"""Test functions for minimisers, f(x) = sum_i r_i(x)^2, with analytic Jacobians, on the host.

Numbers, starting points and minima as in Moré, Garbow and Hillstrom, "Testing unconstrained optimization
software", ACM TOMS 7 (1981).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Residuals = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # x (n,) -> r (m,), J (m, n)


@dataclass(frozen=True)
class Problem:
    residuals: Residuals
    start: tuple[float, ...]
    minima: tuple[float, ...]  # of f: the global one first, then the local ones that are known

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):  # exp overflows where a line search looks too far
            r, J = self.residuals(x)
            return float(r @ r), 2.0 * (J.T @ r)


def rosenbrock(x):
    a, b = x
    return np.array([10 * (b - a**2), 1 - a]), np.array([[-20 * a, 10], [-1, 0]])


def freudenstein_roth(x):
    a, b = x
    r = np.array([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])
    return r, np.array([[1, 10 * b - 3 * b**2 - 2], [1, 3 * b**2 + 2 * b - 14]])


def powell_badly_scaled(x):
    a, b = x
    r = np.array([1e4 * a * b - 1, np.exp(-a) + np.exp(-b) - 1.0001])
    return r, np.array([[1e4 * b, 1e4 * a], [-np.exp(-a), -np.exp(-b)]])


def brown_badly_scaled(x):
    a, b = x
    return np.array([a - 1e6, b - 2e-6, a * b - 2]), np.array([[1, 0], [0, 1], [b, a]])


def beale(x):
    a, b = x
    i = np.arange(1, 4)
    r = np.array([1.5, 2.25, 2.625]) - a * (1 - b**i)
    return r, np.stack([-(1 - b**i), a * i * b ** (i - 1)], axis=1)


def jennrich_sampson(x):
    i = np.arange(1, 11)
    e = np.exp(np.outer(i, x))
    return 2 + 2 * i - e.sum(1), -i[:, None] * e


def helical_valley(x):
    a, b, c = x
    rho2 = a**2 + b**2
    theta = np.arctan2(b, a) / (2 * np.pi) + (1.0 if a < 0 and b < 0 else 0.0)  # from -1/4 to 3/4
    rho = np.sqrt(rho2)
    r = np.array([10 * (c - 10 * theta), 10 * (rho - 1), c])
    turn = 100 / (2 * np.pi * rho2)
    return r, np.array([[turn * b, -turn * a, 10], [10 * a / rho, 10 * b / rho, 0], [0, 0, 1]])


BARD = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])


def bard(x):
    u = np.arange(1.0, 16.0)
    v = 16 - u
    w = np.minimum(u, v)
    d = v * x[1] + w * x[2]
    return BARD - (x[0] + u / d), np.stack([-np.ones(15), u * v / d**2, u * w / d**2], axis=1)


GAUSS = np.array([0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989])


def gaussian(x):
    y = np.concatenate([GAUSS, GAUSS[-2::-1]])
    away = (8 - np.arange(1, 16)) / 2 - x[2]
    e = np.exp(-x[1] * away**2 / 2)
    return x[0] * e - y, np.stack([e, -x[0] * away**2 / 2 * e, x[0] * x[1] * away * e], axis=1)


def box_three_dimensional(x):
    t = 0.1 * np.arange(1, 11)
    e1, e2, e3 = np.exp(-t * x[0]), np.exp(-t * x[1]), np.exp(-t) - np.exp(-10 * t)
    return e1 - e2 - x[2] * e3, np.stack([-t * e1, t * e2, -e3], axis=1)


def wood(x):
    a, b, c, d = x
    s90, s10 = np.sqrt(90), np.sqrt(10)
    r = [10 * (b - a**2), 1 - a, s90 * (d - c**2), 1 - c, s10 * (b + d - 2), (b - d) / s10]
    J = [
        [-20 * a, 10, 0, 0],
        [-1, 0, 0, 0],
        [0, 0, -2 * s90 * c, s90],
        [0, 0, -1, 0],
        [0, s10, 0, s10],
        [0, 1 / s10, 0, -1 / s10],
    ]
    return np.array(r), np.array(J)


KOWALIK = np.array([0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
OSBORNE = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


def kowalik_osborne(x):
    u = OSBORNE
    top, below = u**2 + u * x[1], u**2 + u * x[2] + x[3]
    J = [-top / below, -x[0] * u / below, x[0] * top * u / below**2, x[0] * top / below**2]
    return KOWALIK - x[0] * top / below, np.stack(J, axis=1)


def brown_dennis(x):
    t = np.arange(1, 21) / 5
    p, q = x[0] + t * x[1] - np.exp(t), x[2] + np.sin(t) * x[3] - np.cos(t)
    return p**2 + q**2, np.stack([2 * p, 2 * p * t, 2 * q, 2 * q * np.sin(t)], axis=1)


def biggs_exp6(x):
    t = 0.1 * np.arange(1, 14)
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    e1, e2, e5 = np.exp(-t * x[0]), np.exp(-t * x[1]), np.exp(-t * x[4])
    r = x[2] * e1 - x[3] * e2 + x[5] * e5 - y
    return r, np.stack([-t * x[2] * e1, t * x[3] * e2, e1, -e2, -t * x[5] * e5, e5], axis=1)


def watson(x):
    n, t = len(x), np.arange(1, 30)[:, None] / 29
    j = np.arange(n)
    powers = t**j
    slopes = j * t ** np.maximum(j - 1, 0)
    total = powers @ x
    r = slopes @ x - total**2 - 1
    J = slopes - 2 * total[:, None] * powers
    first, second = np.eye(n)[0], np.eye(n)[1] - 2 * x[0] * np.eye(n)[0]
    return np.concatenate([r, [x[0], x[1] - x[0] ** 2 - 1]]), np.concatenate([J, [first, second]])


def extended_rosenbrock(x):
    r, J = np.zeros(len(x)), np.zeros((len(x), len(x)))
    for i in range(0, len(x), 2):
        r[i : i + 2], J[i : i + 2, i : i + 2] = rosenbrock(x[i : i + 2])
    return r, J


def powell_singular(x):
    a, b, c, d = x
    s5, s10 = np.sqrt(5), np.sqrt(10)
    r = [a + 10 * b, s5 * (c - d), (b - 2 * c) ** 2, s10 * (a - d) ** 2]
    p, q = 2 * (b - 2 * c), 2 * s10 * (a - d)
    return np.array(r), np.array([[1, 10, 0, 0], [0, 0, s5, -s5], [0, p, -2 * p, 0], [q, 0, 0, -q]])


def extended_powell_singular(x):
    r, J = np.zeros(len(x)), np.zeros((len(x), len(x)))
    for i in range(0, len(x), 4):
        r[i : i + 4], J[i : i + 4, i : i + 4] = powell_singular(x[i : i + 4])
    return r, J


def penalty_1(x):
    root = np.sqrt(1e-5)
    r = np.concatenate([root * (x - 1), [x @ x - 0.25]])
    return r, np.concatenate([root * np.eye(len(x)), [2 * x]])


def variably_dimensioned(x):
    j = np.arange(1, len(x) + 1)
    total = j @ (x - 1)
    r = np.concatenate([x - 1, [total, total**2]])
    return r, np.concatenate([np.eye(len(x)), [j], [2 * total * j]])


def trigonometric(x):
    n, i = len(x), np.arange(1, len(x) + 1)
    r = n - np.cos(x).sum() + i * (1 - np.cos(x)) - np.sin(x)
    return r, np.sin(x)[None, :] + np.diag(i * np.sin(x) - np.cos(x))


def brown_almost_linear(x):
    n = len(x)
    r = x + x.sum() - (n + 1)
    r[-1] = np.prod(x) - 1
    J = np.eye(n) + 1
    J[-1] = [np.prod(np.delete(x, j)) for j in range(n)]
    return r, J


def discrete_boundary_value(x):
    n, h = len(x), 1 / (len(x) + 1)
    t = h * np.arange(1, n + 1)
    padded = np.concatenate([[0], x, [0]])
    r = 2 * x - padded[:-2] - padded[2:] + h**2 / 2 * (x + t + 1) ** 3
    J = np.diag(2 + 1.5 * h**2 * (x + t + 1) ** 2) - np.eye(n, k=1) - np.eye(n, k=-1)
    return r, J


def broyden_tridiagonal(x):
    padded = np.concatenate([[0], x, [0]])
    r = (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1
    return r, np.diag(3 - 4 * x) - 2 * np.eye(len(x), k=1) - np.eye(len(x), k=-1)


def _grid(n: int) -> np.ndarray:
    return np.arange(1, n + 1) / (n + 1)


PROBLEMS = {
    "rosenbrock": Problem(rosenbrock, (-1.2, 1.0), (0.0,)),
    "freudenstein_roth": Problem(freudenstein_roth, (0.5, -2.0), (0.0, 48.98425368)),
    "powell_badly_scaled": Problem(powell_badly_scaled, (0.0, 1.0), (0.0,)),
    "brown_badly_scaled": Problem(brown_badly_scaled, (1.0, 1.0), (0.0,)),
    "beale": Problem(beale, (1.0, 1.0), (0.0,)),
    "jennrich_sampson": Problem(jennrich_sampson, (0.3, 0.4), (124.3621824,)),
    "helical_valley": Problem(helical_valley, (-1.0, 0.0, 0.0), (0.0,)),
    "bard": Problem(bard, (1.0, 1.0, 1.0), (8.21487731e-3,)),
    "gaussian": Problem(gaussian, (0.4, 1.0, 0.0), (1.12793277e-8,)),
    "box_three_dimensional": Problem(box_three_dimensional, (0.0, 10.0, 20.0), (0.0,)),
    "powell_singular": Problem(powell_singular, (3.0, -1.0, 0.0, 1.0), (0.0,)),
    "wood": Problem(wood, (-3.0, -1.0, -3.0, -1.0), (0.0,)),
    "kowalik_osborne": Problem(kowalik_osborne, (0.25, 0.39, 0.415, 0.39), (3.07505604e-4,)),
    "brown_dennis": Problem(brown_dennis, (25.0, 5.0, -5.0, -1.0), (85822.2016,)),
    "biggs_exp6": Problem(biggs_exp6, (1.0, 2.0, 1.0, 1.0, 1.0, 1.0), (0.0, 5.65564993e-3)),
    "watson_6": Problem(watson, (0.0,) * 6, (2.28767005e-3,)),
    "watson_9": Problem(watson, (0.0,) * 9, (1.39976014e-6,)),
    "watson_12": Problem(watson, (0.0,) * 12, (4.72238e-10,)),
    "extended_rosenbrock": Problem(extended_rosenbrock, (-1.2, 1.0) * 50, (0.0,)),
    "extended_powell_singular": Problem(extended_powell_singular, (3.0, -1.0, 0.0, 1.0) * 5, (0.0,)),
    "penalty_1": Problem(penalty_1, tuple(range(1, 11)), (7.08765147e-5,)),
    "variably_dimensioned": Problem(variably_dimensioned, tuple(1 - np.arange(1, 11) / 10), (0.0,)),
    "trigonometric": Problem(trigonometric, (0.1,) * 10, (0.0, 2.79506e-5)),
    "brown_almost_linear": Problem(brown_almost_linear, (0.5,) * 10, (0.0, 1.0)),
    "discrete_boundary_value": Problem(discrete_boundary_value, tuple(_grid(10) * (_grid(10) - 1)), (0.0,)),
    "broyden_tridiagonal": Problem(broyden_tridiagonal, (-1.0,) * 10, (0.0,)),
}
