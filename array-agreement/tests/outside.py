"""Unmodified functions of SciPy, scikit-learn and array-api-extra, with arguments for each.

SCIPY_ARRAY_API=1 must be set before SciPy is imported, so outside_code.py runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import array_api_extra as xpx
import numpy as np
import sklearn
from scipy import special, stats
from sklearn import metrics
from sklearn.metrics import pairwise

Draw = Callable[[np.random.Generator], tuple[Any, ...]]
VECTOR = (40,)
TABLE = (30, 5)
ROWS = (12, 6)


@dataclass(frozen=True)
class Case:
    """A function, the generator of its arrays, and its keyword arguments."""

    function: Callable[..., Any]
    draw: Draw
    settings: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *arrays: Any) -> Any:
        with sklearn.config_context(array_api_dispatch=True):
            return self.function(*arrays, **self.settings)

    def __post_init__(self) -> None:
        object.__setattr__(self, "__qualname__", self.function.__name__)

    @property
    def name(self) -> str:
        return f"{self.function.__module__.split('.')[0]}: {self.function.__name__}"


def normal(*shapes: tuple[int, ...]) -> Draw:
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def positive(*shapes: tuple[int, ...]) -> Draw:
    return lambda rng: tuple(rng.gamma(2.0, size=shape) + 0.1 for shape in shapes)


def uniform(*shapes: tuple[int, ...]) -> Draw:
    return lambda rng: tuple(rng.uniform(0.02, 0.98, size=shape) for shape in shapes)


def with_nan(rng: np.random.Generator) -> tuple[Any, ...]:
    x = rng.normal(size=TABLE)
    x[rng.random(TABLE) < 0.1] = np.nan
    return (x,)


def cases(draw: Draw, *functions: Callable[..., Any], **settings: Any) -> list[Case]:
    return [Case(function, draw, settings) for function in functions]


CASES = [
    *cases(normal(VECTOR), special.expit, special.erf, special.erfc, special.log_ndtr, special.i0,
           special.i0e, special.i1, special.i1e, special.exp2, xpx.sinc, xpx.deg2rad, xpx.rad2deg),
    *cases(positive(VECTOR), special.gammaln, special.psi, special.entr, special.gamma, special.j0,
           special.k0),
    *cases(uniform(VECTOR), special.logit, special.ndtri),
    *cases(positive(VECTOR, VECTOR), special.gammainc, special.gammaincc, special.xlogy, special.xlog1py,
           special.rel_entr, special.kl_div, special.betaln),
    *cases(normal(TABLE), special.logsumexp, special.softmax, special.log_softmax, axis=1),
    *cases(positive(TABLE), stats.skew, stats.variation, stats.sem, stats.zscore, stats.gmean, stats.hmean,
           stats.entropy),
    *cases(positive(TABLE), stats.pmean, p=3),
    *cases(normal(TABLE), stats.circmean, stats.circvar, stats.circstd, axis=0),
    *cases(normal(TABLE), stats.directional_stats),
    *cases(normal(TABLE, TABLE), stats.zmap, stats.ttest_rel),
    *cases(positive(VECTOR), stats.chisquare, stats.power_divergence),
    *cases(normal(VECTOR, VECTOR), metrics.mean_squared_error, metrics.mean_absolute_error,
           metrics.median_absolute_error, metrics.r2_score),
    *cases(positive(VECTOR, VECTOR), metrics.mean_gamma_deviance, metrics.mean_poisson_deviance),
    *cases(normal(ROWS, ROWS), pairwise.linear_kernel, pairwise.polynomial_kernel, pairwise.sigmoid_kernel,
           pairwise.euclidean_distances, pairwise.paired_euclidean_distances, pairwise.cosine_similarity),
    *cases(positive(ROWS, ROWS), pairwise.additive_chi2_kernel),
    *cases(normal((3, 4), (4, 2)), xpx.kron),
    *cases(normal(VECTOR, VECTOR), xpx.isclose),
    *cases(with_nan, xpx.nanmean, xpx.nansum, axis=0),
    *cases(with_nan, xpx.nan_to_num),
]  # fmt: skip

DISAGREEMENTS = {
    "torch.special.bessel_j0 has 7 digits in float64": Case(special.j0, positive(VECTOR)),
    "torch.special.ndtr loses all digits below -5, SciPy's does not": Case(
        special.ndtr, lambda rng: (rng.uniform(-6, -4, 40),)
    ),
    "array-api-extra's cov gives float64 for float32, but torch.cov on torch": Case(xpx.cov, normal((5, 30))),
    "scikit-learn's manhattan_distances gives float64 on NumPy only (by SciPy)": Case(
        pairwise.manhattan_distances, normal(ROWS, ROWS)
    ),
    "scikit-learn's roc_curve calls xp.diff(x, 2), but the standard requires n=2": Case(
        metrics.roc_curve, lambda rng: (np.arange(40) % 2, rng.uniform(size=40))
    ),
}
"""Known disagreements: description -> a case that shows it, in float64 if the description says so."""

SURVIVING_MUTANTS = {
    # The largest element is subtracted only to avoid overflow. Without overflow any element gives the result.
    "softmax: max, dropped term",
    "log_softmax: max, dropped term",
    "logsumexp: max, dropped term",
    # The result becomes inf or NaN. SciPy then computes log(sum(exp(x))), which is right without overflow.
    "logsumexp: subtract, swapped arguments",
    "logsumexp: less, swapped arguments",
    "logsumexp: astype, stale buffer",
}
"""Mutants that no test detects, since all outputs stay within their bounds."""
