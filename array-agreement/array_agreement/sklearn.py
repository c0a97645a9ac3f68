"""``pytest -p array_agreement.sklearn``: compare metrics in scikit-learn's own tests."""

from typing import Any

import pytest
from sklearn import config_context

HELPER = "check_array_api_metric"
"""Function that scikit-learn's tests of metrics import and call."""


@pytest.fixture(autouse=True)
def compare_metrics(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the metric of a test that calls the helper."""
    check = getattr(request.module, HELPER, None)
    if not check or "array_namespace" not in request.fixturenames:
        return
    agree = request.getfixturevalue("agree")

    def compare(metric: Any, xp: Any, device: Any, dtype: str, a_np: Any, b_np: Any, **kwargs: Any) -> None:
        check(metric, xp, device, dtype, a_np, b_np, **kwargs)
        cast = [x.astype(dtype) if x.dtype.kind == "f" else x for x in (a_np, b_np)]
        with config_context(array_api_dispatch=True):
            agree(metric, *cast, kwargs=kwargs, backends=[(xp, device)], runs=8)

    monkeypatch.setattr(request.module, HELPER, compare)
