"""The 27 data sets for nonlinear regression of NIST's Statistical Reference Datasets, two starts each.

Source: https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. nist_strd.txt holds, for each set, its name
and the certified sum of squares; a line for each parameter: "b", start 1, start 2, certified value; and a
line for each observation: y, x.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lbfgs_problems.problem import Problem


def _exponential(b, x):
    return b[0] * (1 - np.exp(-b[1] * x))


def _chwirut(b, x):
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def _enso(b, x):
    waves = b[0]
    for i, period in ((1, 12), (4, b[3]), (7, b[6])):
        waves = waves + b[i] * np.cos(2 * np.pi * x / period) + b[i + 1] * np.sin(2 * np.pi * x / period)
    return waves


def _gauss(b, x):
    peaks = (b[i] * np.exp(-((x - b[i + 1]) ** 2) / b[i + 2] ** 2) for i in (2, 5))
    return b[0] * np.exp(-b[1] * x) + sum(peaks)


def _lanczos(b, x):
    return sum(b[i] * np.exp(-b[i + 1] * x) for i in (0, 2, 4))


def _cubics(b, x):
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


MODELS = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": _exponential,
    "Chwirut1": _chwirut,
    "Chwirut2": _chwirut,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": _enso,
    "Eckerle4": lambda b, x: b[0] / b[1] * np.exp(-(((x - b[2]) / b[1]) ** 2) / 2),
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "Gauss3": _gauss,
    "Hahn1": _cubics,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": _lanczos,
    "Lanczos2": _lanczos,
    "Lanczos3": _lanczos,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": _exponential,
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x1, x2: b[0] - b[1] * x1 * np.exp(-b[2] * x2),  # of log y
    "Rat42": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": _cubics,
}


def _problems() -> dict[str, Problem]:
    found = {}
    text = (Path(__file__).parent / "nist_strd.txt").read_text(encoding="utf-8")
    for block in text.strip().split("\n\n"):
        (name, squares), *lines = (line.split() for line in block.splitlines())
        parameters = np.asarray([line[1:] for line in lines if line[0] == "b"], dtype=np.float64)
        y, *x = np.asarray([line for line in lines if line[0] != "b"], dtype=np.float64).T[..., None]
        data = (np.log(y) if name == "Nelson" else y, *x)

        def residuals(b, y, *x, model=MODELS[name]):
            return model(b, *x) - y

        *starts, certified = (tuple(column) for column in parameters.T)
        for i, start in enumerate(starts, 1):
            found[f"{name}_{i}"] = Problem(residuals, start, (float(squares),), data, certified)
    return found


PROBLEMS = _problems()
"""54 by data set and start: "Misra1a_1", ..."""
