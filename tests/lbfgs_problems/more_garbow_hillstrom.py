"""The functions of Moré, Garbow and Hillstrom, "Testing unconstrained optimization software", TOMS 7 (1981).

Definitions, data, starts and minima as in the paper's section 3; where it leaves the dimension open, those
that its tables use. Residuals are columns, one for each of the k points in x (n, k): see problem.py.
"""

from __future__ import annotations

import numpy as np

from lbfgs_problems.problem import Problem


def rows(*residuals):
    return np.stack(np.broadcast_arrays(*residuals))


def column(*numbers):
    return np.asarray(numbers, dtype=np.float64)[:, None]


def count(first, last):
    return column(*range(first, last + 1))


def rosenbrock(x):
    return rows(10 * (x[1] - x[0] ** 2), 1 - x[0])


def freudenstein_roth(x):
    a, b = x
    return rows(-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b)


def powell_badly_scaled(x):
    return rows(1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001)


def brown_badly_scaled(x):
    return rows(x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2)


def beale(x):
    a, b = x
    return rows(1.5 - a * (1 - b), 2.25 - a * (1 - b**2), 2.625 - a * (1 - b**3))


def jennrich_sampson(x, i):
    return 2 + 2 * i - np.exp(i * x[0]) - np.exp(i * x[1])


def helical_valley(x):
    a, b, c = x
    theta = np.arctan(b / a) / (2 * np.pi) + np.where(a.real < 0, 0.5, 0.0).astype(a.real.dtype)
    return rows(10 * (c - 10 * theta), 10 * (np.sqrt(a**2 + b**2) - 1), c)


def bard(x, y, u):
    v = 16 - u
    return y - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def gaussian(x, y, t):
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - y


def meyer(x, y, t):
    return x[0] * np.exp(x[1] / (t + x[2])) - y


def gulf(x, t):
    away = 25 + (-50 * np.log(t)) ** (2 / 3) - x[1]
    away = away * np.sign(away.real)  # its absolute value, also for complex steps
    return np.exp(-(away ** x[2]) / x[0]) - t


def box_three_dimensional(x, t):
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x):
    a, b, c, d = x
    return rows(a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2)


def wood(x):
    a, b, c, d = x
    first = 10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c
    return rows(*first, 10**0.5 * (b + d - 2), (b - d) / 10**0.5)


def kowalik_osborne(x, y, u):
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x, t):
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + np.sin(t) * x[3] - np.cos(t)) ** 2


def osborne_1(x, y, t):
    return y - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def biggs_exp6(x, t):
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


def osborne_2(x, y, t):
    peaks = (x[i] * np.exp(-x[4 + i] * (t - x[7 + i]) ** 2) for i in (1, 2, 3))
    return y - (x[0] * np.exp(-t * x[4]) + sum(peaks))


def watson(x, t):
    j = np.arange(len(x), dtype=t.dtype)
    slopes, total = (j * t ** np.maximum(j - 1, 0)) @ x, t**j @ x
    return np.concatenate([slopes - total**2 - 1, rows(x[0], x[1] - x[0] ** 2 - 1)])


def extended_rosenbrock(x):
    return rosenbrock((x[::2], x[1::2])).reshape(-1, x.shape[1])


def extended_powell_singular(x):
    return powell_singular([x[i::4] for i in range(4)]).reshape(-1, x.shape[1])


def penalty_1(x):
    return np.concatenate([1e-5**0.5 * (x - 1), np.sum(x**2, axis=0)[None] - 0.25])


def penalty_2(x, i):
    e, y = np.exp(x / 10), np.exp(i[1:] / 10) + np.exp(i[:-1] / 10)
    pairs, ones = e[1:] + e[:-1] - y, e[1:] - np.exp(i[:1] * 0 - 0.1)
    last = np.sum((len(x) + 1 - i) * x**2, axis=0) - 1
    return np.concatenate([x[:1] - 0.2, 1e-5**0.5 * pairs, 1e-5**0.5 * ones, last[None]])


def variably_dimensioned(x, i):
    total = np.sum(i * (x - 1), axis=0)
    return np.concatenate([x - 1, rows(total, total**2)])


def trigonometric(x, i):
    return len(x) - np.sum(np.cos(x), axis=0) + i * (1 - np.cos(x)) - np.sin(x)


def brown_almost_linear(x):
    return np.concatenate([x[:-1] + np.sum(x, axis=0) - (len(x) + 1), np.prod(x, axis=0)[None] - 1])


def _beside(x):
    zero = np.zeros_like(x[:1])
    return np.concatenate([zero, x[:-1]]), np.concatenate([x[1:], zero])


def discrete_boundary_value(x, t):
    before, after = _beside(x)
    return 2 * x - before - after + (x + t + 1) ** 3 / (2 * (len(x) + 1) ** 2)


def discrete_integral(x, t):
    kernel = np.minimum(t, t.T) * (1 - np.maximum(t, t.T))
    return x + kernel @ (x + t + 1) ** 3 / (2 * (len(x) + 1))


def broyden_tridiagonal(x):
    before, after = _beside(x)
    return (3 - 2 * x) * x - before - 2 * after + 1


def broyden_banded(x, i):
    away = i.T - i  # row i, column j: j - i
    near = ((away >= -5) & (away <= 1) & (away != 0)).astype(i.dtype)
    return x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))


def linear_full_rank(x):
    below = np.zeros_like(x)  # m = 2 n
    return np.concatenate([x, below]) - np.sum(x, axis=0) / len(x) - 1


def linear_rank_1(x, i, j):
    return i * np.sum(j * x, axis=0) - 1


def linear_rank_1_zero(x, i, j):
    inner = (i - 1) * np.sum(j[1:-1] * x[1:-1], axis=0) - 1
    return np.concatenate([0 * x[:1] - 1, inner[1:-1], 0 * x[:1] - 1])


def chebyquad(x):
    before, now, t = np.ones_like(x), 2 * x - 1, 2 * (2 * x - 1)
    means = []
    for i in range(1, len(x) + 1):
        means.append(np.mean(now, axis=0) + (0 if i % 2 else 1 / (i * i - 1)))
        before, now = now, t * now - before
    return rows(*means)


# fmt: off
BARD = column(0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)
GAUSSIAN = column(
    0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989, 0.3521, 0.2420, 0.1295, 0.0540,
    0.0175, 0.0044, 0.0009)
MEYER = column(
    34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307,
    2872)
KOWALIK = column(0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246)
KOWALIK_U = column(4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)
OSBORNE_1 = column(
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658,
    0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431,
    0.424, 0.420, 0.414, 0.411, 0.406)
OSBORNE_2 = column(
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655,
    0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558,
    0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562,
    0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710,
    0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054)
TEN, GRID = count(1, 10), count(1, 10) / 11
ARC = tuple((GRID * (GRID - 1))[:, 0])


def _chebyquad(n, *minima):
    return Problem(chebyquad, tuple(np.arange(1, n + 1) / (n + 1)), minima)


PROBLEMS = {
    "rosenbrock": Problem(rosenbrock, (-1.2, 1.0), (0.0,)),
    "freudenstein_roth": Problem(freudenstein_roth, (0.5, -2.0), (0.0, 48.98425368)),
    "powell_badly_scaled": Problem(powell_badly_scaled, (0.0, 1.0), (0.0,)),
    "brown_badly_scaled": Problem(brown_badly_scaled, (1.0, 1.0), (0.0,)),
    "beale": Problem(beale, (1.0, 1.0), (0.0,)),
    "jennrich_sampson": Problem(jennrich_sampson, (0.3, 0.4), (124.3621824,), (TEN,)),
    "helical_valley": Problem(helical_valley, (-1.0, 0.0, 0.0), (0.0,)),
    "bard": Problem(bard, (1.0, 1.0, 1.0), (8.21487731e-3, 17.42869333), (BARD, count(1, 15))),
    "gaussian": Problem(gaussian, (0.4, 1.0, 0.0), (1.12793277e-8,), (GAUSSIAN, (8 - count(1, 15)) / 2)),
    "meyer": Problem(meyer, (0.02, 4000.0, 250.0), (87.94585517,), (MEYER, 45 + 5 * count(1, 16))),
    "gulf": Problem(gulf, (5.0, 2.5, 0.15), (0.0,), (count(1, 99) / 100,)),
    "box_three_dimensional": Problem(box_three_dimensional, (0.0, 10.0, 20.0), (0.0,), (TEN / 10,)),
    "powell_singular": Problem(powell_singular, (3.0, -1.0, 0.0, 1.0), (0.0,)),
    "wood": Problem(wood, (-3.0, -1.0, -3.0, -1.0), (0.0,)),
    "kowalik_osborne": Problem(kowalik_osborne, (0.25, 0.39, 0.415, 0.39), (3.07505604e-4, 1.02734e-3),
                               (KOWALIK, KOWALIK_U)),
    "brown_dennis": Problem(brown_dennis, (25.0, 5.0, -5.0, -1.0), (85822.20163,), (count(1, 20) / 5,)),
    "osborne_1": Problem(osborne_1, (0.5, 1.5, -1.0, 0.01, 0.02), (5.46489470e-5,),
                         (OSBORNE_1, 10 * count(0, 32))),
    "biggs_exp6": Problem(biggs_exp6, (1.0, 2.0, 1.0, 1.0, 1.0, 1.0), (0.0, 5.65564993e-3),
                          (count(1, 13) / 10,)),
    "osborne_2": Problem(osborne_2, (1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5),
                         (4.01377363e-2,), (OSBORNE_2, count(0, 64) / 10)),
    "watson_6": Problem(watson, (0.0,) * 6, (2.28767005e-3,), (count(1, 29) / 29,)),
    "watson_9": Problem(watson, (0.0,) * 9, (1.39976014e-6,), (count(1, 29) / 29,)),
    "watson_12": Problem(watson, (0.0,) * 12, (4.72238e-10,), (count(1, 29) / 29,)),
    "extended_rosenbrock": Problem(extended_rosenbrock, (-1.2, 1.0) * 50, (0.0,)),
    "extended_powell_singular": Problem(extended_powell_singular, (3.0, -1.0, 0.0, 1.0) * 5, (0.0,)),
    "penalty_1_4": Problem(penalty_1, tuple(range(1, 5)), (2.24997750e-5,)),
    "penalty_1": Problem(penalty_1, tuple(range(1, 11)), (7.08765147e-5,)),
    "penalty_2_4": Problem(penalty_2, (0.5,) * 4, (9.37629e-6,), (count(1, 4),)),
    "penalty_2_10": Problem(penalty_2, (0.5,) * 10, (2.936605374e-4,), (TEN,)),
    "variably_dimensioned": Problem(variably_dimensioned, tuple(1 - np.arange(1, 11) / 10), (0.0,), (TEN,)),
    "trigonometric": Problem(trigonometric, (0.1,) * 10, (0.0, 2.795056122e-5), (TEN,)),
    "brown_almost_linear": Problem(brown_almost_linear, (0.5,) * 10, (0.0, 1.0)),
    "discrete_boundary_value": Problem(discrete_boundary_value, ARC, (0.0,), (GRID,)),
    "discrete_integral": Problem(discrete_integral, ARC, (0.0,), (GRID,)),
    "broyden_tridiagonal": Problem(broyden_tridiagonal, (-1.0,) * 10, (0.0,)),
    "broyden_banded": Problem(broyden_banded, (-1.0,) * 10, (0.0,), (TEN,)),
    "linear_full_rank": Problem(linear_full_rank, (1.0,) * 10, (10.0,)),  # m - n
    "linear_rank_1": Problem(linear_rank_1, (1.0,) * 10, (20 * 19 / (2 * 41),), (count(1, 20), TEN)),
    "linear_rank_1_zero": Problem(linear_rank_1_zero, (1.0,) * 10, ((400 + 60 - 6) / (2 * 37),),
                                  (count(1, 20), TEN)),
    "chebyquad_7": _chebyquad(7, 0.0),
    "chebyquad_8": _chebyquad(8, 3.51687373e-3),
    "chebyquad_9": _chebyquad(9, 0.0),
    "chebyquad_10": _chebyquad(10, 6.50395480e-3, 4.77271370e-3),
}
# fmt: on
"""42: the 35 functions of the paper, some of them in several dimensions."""
