"""Unmodified functions of SciPy, scikit-learn and array-api-extra, with arguments for each.

SCIPY_ARRAY_API=1 must be set before SciPy is imported, so outside_code.py runs in a process of its own.
"""

from dataclasses import dataclass, field
from typing import Any

import array_api_extra as xpx
import numpy as np
import sklearn
from scipy import fft, integrate, signal, special, stats
from scipy.cluster import vq
from scipy.spatial.transform import Rotation
from sklearn import decomposition, kernel_approximation, linear_model, metrics, mixture, preprocessing
from sklearn.metrics import pairwise

MODULES = {
    module.__name__.rpartition(".")[2].replace("array_api_extra", "xpx"): module
    for module in (fft, integrate, metrics, pairwise, preprocessing, signal, special, stats, vq, xpx)
}
VECTOR = (40,)
TABLE = (30, 5)
ROWS = (12, 6)


@dataclass(frozen=True)
class Case:
    """A function, the generator of its arrays, and its keyword arguments."""

    function: Any
    draw: Any
    settings: Any = field(default_factory=dict)
    dtypes: Any = ("float32", "float64")

    def __call__(self, *arrays):
        with sklearn.config_context(array_api_dispatch=True):
            return self.function(*arrays, **self.settings)

    def __post_init__(self):
        object.__setattr__(self, "__qualname__", self.function.__qualname__)

    @property
    def name(self):
        return f"{self.function.__module__.split('.')[0]}: {self.function.__qualname__}"


def arrays_of(sample):
    """Return a function of shapes that returns a generator of arrays with them."""
    return lambda *shapes: lambda rng: tuple(sample(rng, shape) for shape in shapes)


normal = arrays_of(lambda rng, shape: rng.normal(size=shape))
positive = arrays_of(lambda rng, shape: rng.gamma(2.0, size=shape) + 0.1)
uniform = arrays_of(lambda rng, shape: rng.uniform(0.02, 0.98, size=shape))
shifted = arrays_of(lambda rng, shape: 30 + rng.normal(size=shape))  # their differences cancel


def with_nan(rng):
    x = rng.normal(size=TABLE)
    x[rng.random(TABLE) < 0.1] = np.nan
    return (x,)


def cases(draw, names, *functions, **settings):
    """Return cases of functions. ``names`` has those of libraries, as "module.name"."""
    dtypes = settings.pop("dtypes", Case.dtypes)
    found = [getattr(MODULES[module], name) for module, name in (path.split(".") for path in names.split())]
    return [Case(function, draw, settings, dtypes) for function in [*found, *functions]]


def integers(*shapes, below=9):
    return lambda rng: tuple(rng.integers(0, below, size=shape) for shape in shapes)


def regression(rng):
    x = rng.normal(size=TABLE)
    return x, x @ rng.gamma(2.0, size=TABLE[1]) + 0.1 * rng.normal(size=TABLE[0])


def classification(rng):
    x, y = regression(rng)
    return x, (y > 0) * 1


def two_clusters(rng):
    return (np.concatenate([rng.normal(size=(50, 4)), rng.normal(size=(50, 4)) + 2]),)


def counts(rng):
    return rng.normal(size=TABLE), rng.gamma(2.0, size=TABLE[0])


def probabilities(rng):
    return rng.integers(0, 2, size=VECTOR), rng.uniform(0.02, 0.98, size=VECTOR)


def name_as(function, name, module):
    function.__qualname__ = name
    function.__module__ = module
    return function


def fit(estimator, *attributes, **settings):
    """Return a function that fits an estimator and returns these attributes."""

    def function(*arrays):
        fitted = estimator(**settings).fit(*arrays)
        return {name: getattr(fitted, name) for name in attributes}

    return name_as(function, estimator.__name__, estimator.__module__)


def transform(transformer, **settings):
    """Return a function that fits a transformer and transforms its argument."""
    fit_transform = lambda x: transformer(**settings).fit_transform(x)  # noqa: E731
    return name_as(fit_transform, transformer.__name__, transformer.__module__)


def rotate(name, make, *arguments):
    """Return a function that makes a Rotation and calls a method of it."""
    function = lambda x, *vectors: getattr(make(x), name)(*arguments, *vectors)  # noqa: E731
    return name_as(function, f"{make.__name__}.{name}", "scipy.spatial")


from_quat, from_rotvec = Rotation.from_quat, Rotation.from_rotvec
REGRESSION = "coef_", "intercept_"


CORE = [
    *cases(normal(VECTOR), """
        special.expit special.erf special.erfc special.log_ndtr special.i0 special.i0e special.i1
        special.i1e special.exp2 xpx.sinc xpx.deg2rad xpx.rad2deg
    """),
    *cases(positive(VECTOR), "special.gammaln special.psi special.entr special.gamma special.k0"),
    *cases(positive(VECTOR), "special.j0", dtypes=("float32",)),
    *cases(uniform(VECTOR), "special.logit special.ndtri"),
    *cases(positive(VECTOR, VECTOR), """
        special.gammainc special.gammaincc special.xlogy special.xlog1py special.rel_entr
        special.kl_div special.betaln
    """),
    *cases(normal(TABLE), "special.logsumexp special.softmax special.log_softmax", axis=1),
    *cases(positive(TABLE), """
        stats.skew stats.variation stats.sem stats.zscore stats.gmean stats.hmean stats.entropy
    """),
    *cases(positive(TABLE), "stats.pmean", p=3),
    *cases(normal(TABLE), "stats.circmean stats.circvar stats.circstd", axis=0),
    *cases(normal(TABLE), "stats.directional_stats"),
    *cases(normal(TABLE, TABLE), "stats.zmap stats.ttest_rel"),
    *cases(positive(VECTOR), "stats.chisquare stats.power_divergence"),
    *cases(normal(VECTOR, VECTOR), """
        metrics.mean_squared_error metrics.mean_absolute_error metrics.median_absolute_error
        metrics.r2_score
    """),
    *cases(positive(VECTOR, VECTOR), "metrics.mean_gamma_deviance metrics.mean_poisson_deviance"),
    *cases(normal(ROWS, ROWS), """
        pairwise.linear_kernel pairwise.polynomial_kernel pairwise.sigmoid_kernel
        pairwise.paired_euclidean_distances pairwise.cosine_similarity
    """),
    *cases(shifted(ROWS, ROWS), "pairwise.euclidean_distances"),
    *cases(positive(ROWS, ROWS), "pairwise.additive_chi2_kernel"),
    *cases(normal((3, 4), (4, 2)), "xpx.kron"),
    *cases(normal(VECTOR, VECTOR), "xpx.isclose"),
    *cases(with_nan, "xpx.nanmean xpx.nansum", axis=0),
    *cases(with_nan, "xpx.nan_to_num"),
]  # fmt: skip
"""Cases of the tests with many seeds."""

CASES = [
    *CORE,
    *cases(normal(VECTOR), "signal.hilbert signal.envelope fft.fft fft.rfft"),
    *cases(normal((6, 8)), "fft.fft2"),
    *cases(positive((6, 5, 8)), "fft.fftn"),
    *cases(normal(VECTOR, (9,)), "signal.fftconvolve signal.oaconvolve"),
    *cases(normal(VECTOR), "signal.resample", num=30),
    *cases(normal(VECTOR), "signal.wiener", mysize=3, dtypes=("float64",)),
    *cases(normal(VECTOR), "signal.resample_poly", up=3, down=2),
    *cases(normal(VECTOR), "signal.savgol_filter", window_length=7, polyorder=2, dtypes=("float64",)),
    *cases(positive((3,), (3,)), "signal.bilinear signal.freqz"),
    *cases(normal((3,), (3,)), "signal.zpk2tf", k=2.0),
    *cases(lambda rng: (rng.uniform(0.1, 0.2, 1), rng.uniform(0.3, 0.4, 1)), """
        signal.buttord
    """, gpass=1, gstop=40),
    *cases(normal((17,)), "integrate.trapezoid integrate.cumulative_trapezoid integrate.romb", dx=0.1),
    *cases(normal(TABLE), "vq.whiten"),
    *cases(normal((5, 4)), "",
           rotate("as_matrix", from_quat),
           rotate("as_euler", from_quat, "xyz"),
           rotate("magnitude", from_quat),
           rotate("as_rotvec", from_quat),
           dtypes=("float64",)),
    *cases(normal((5, 3)), "", rotate("as_quat", from_rotvec), dtypes=("float64",)),
    *cases(normal((4,), (5, 3)), "", rotate("apply", from_quat), dtypes=("float64",)),
    *cases(positive((25,)), """
        stats.tmean stats.kurtosis stats.normaltest stats.jarque_bera stats.iqr
        stats.median_abs_deviation stats.gstd stats.differential_entropy stats.lmoment
    """),
    *cases(positive((25,)), "stats.moment", order=4),
    *cases(positive((25,)), "stats.ttest_1samp", popmean=1.0),
    *cases(normal((25,), (25,)), "stats.pearsonr stats.linregress stats.alexandergovern"),
    *cases(uniform((9,)), "stats.combine_pvalues"),
    *cases(integers((30,), (30,), below=2), """
        metrics.accuracy_score metrics.zero_one_loss metrics.f1_score metrics.jaccard_score
        metrics.balanced_accuracy_score metrics.cohen_kappa_score
        metrics.multilabel_confusion_matrix
    """, dtypes=("float64",)),
    *cases(probabilities, "metrics.log_loss metrics.brier_score_loss"),
    *cases(positive(VECTOR, VECTOR), """
        metrics.explained_variance_score metrics.max_error metrics.mean_absolute_percentage_error
        metrics.mean_squared_log_error metrics.root_mean_squared_error
        metrics.root_mean_squared_log_error metrics.mean_tweedie_deviance metrics.d2_tweedie_score
        metrics.mean_pinball_loss metrics.d2_absolute_error_score
    """),
    *cases(positive(ROWS, ROWS), """
        pairwise.cosine_distances pairwise.chi2_kernel pairwise.paired_manhattan_distances
    """),
    *cases(shifted(ROWS, ROWS), "pairwise.rbf_kernel"),
    *cases(normal(TABLE), "preprocessing.normalize",
           transform(preprocessing.StandardScaler),
           transform(preprocessing.MinMaxScaler),
           transform(preprocessing.MaxAbsScaler),
           transform(preprocessing.PolynomialFeatures),
           transform(preprocessing.Binarizer),
           fit(decomposition.PCA, "explained_variance_", "singular_values_", svd_solver="full"),
           fit(kernel_approximation.Nystroem, "normalization_", n_components=4, random_state=0)),
    *cases(two_clusters, "",
           fit(mixture.GaussianMixture, "means_", "covariances_", n_components=2, random_state=0,
               init_params="random_from_data")),
    *cases(normal((8, 8)), "", transform(preprocessing.KernelCenterer)),
    *cases(regression, "",
           fit(linear_model.Ridge, *REGRESSION, solver="svd"),
           fit(linear_model.RidgeCV, *REGRESSION)),
    *cases(classification, "",
           fit(linear_model.LogisticRegression, *REGRESSION),
           fit(linear_model.RidgeClassifier, *REGRESSION, solver="svd")),
    *cases(counts, "", fit(linear_model.PoissonRegressor, *REGRESSION)),
    *cases(integers(VECTOR, (5,)), "xpx.isin xpx.setdiff1d xpx.union1d", dtypes=("float64",)),
    *cases(integers(VECTOR, below=5), "xpx.one_hot", num_classes=5, dtypes=("float64",)),
    *cases(normal((4,)), "xpx.create_diagonal"),
    *cases(normal(VECTOR), "xpx.pad", pad_width=2),
    *cases(lambda rng: (np.sort(rng.normal(size=VECTOR)), rng.normal(size=9)), "xpx.searchsorted"),
    *cases(lambda rng: (rng.normal(size=VECTOR) + 1j * rng.normal(size=VECTOR),), "xpx.angle"),
]  # fmt: skip

DISAGREEMENTS = {
    "SciPy's wiener gives float64 for float32 on NumPy": Case(signal.wiener, normal(VECTOR), {"mysize": 3}),
    "SciPy's vectorstrength creates an array without dtype, float32 on torch for float64": Case(
        signal.vectorstrength, positive((20,)), {"period": 0.7}
    ),
    "SciPy's cumulative_simpson rounds dx to float32 on torch, for float64": Case(
        integrate.cumulative_simpson, normal((17,)), {"dx": 0.1}
    ),
    "SciPy's ranks are float32 on torch for float64": Case(stats.rankdata, positive((25,))),
    "SciPy's brunnermunzel uses these ranks, also for float64": Case(
        stats.brunnermunzel, normal((25,), (25,))
    ),
    "SciPy's tests of a distribution call torch.special.ndtr, also in float64": Case(
        stats.skewtest, lambda rng: (rng.gamma(0.3, size=60),)
    ),
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
