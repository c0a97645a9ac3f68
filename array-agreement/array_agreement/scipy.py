"""``pytest -p array_agreement.scipy``: compare functions of ``scipy.stats`` in SciPy's own tests."""

import pytest
from scipy import stats

NAMES = ["skew", "kurtosis", "moment", "entropy", "variation", "power_divergence", "chisquare"]


@pytest.fixture(autouse=True)
def compare_functions(request: pytest.FixtureRequest) -> None:
    """Compare each call of a test that has SciPy's fixture ``xp``."""
    if "xp" in request.fixturenames:
        xp = request.getfixturevalue("xp")
        request.getfixturevalue("agree").patch(stats, NAMES, backends=[xp])
