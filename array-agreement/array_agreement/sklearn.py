"""``pytest -p array_agreement.sklearn``: compare metrics in scikit-learn's own tests."""

from functools import partial
from typing import Any

import pytest
from sklearn import config_context


@pytest.fixture(autouse=True)
def compare_metrics(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the metric of a test that calls ``check_array_api_metric``."""
    name = "check_array_api_metric"
    if hasattr(request.module, name) and "array_namespace" in request.fixturenames:
        agree, original = request.getfixturevalue("agree"), getattr(request.module, name)
        monkeypatch.setattr(request.module, name, partial(_compare, agree, original))


def _compare(
    agree: Any, original: Any, metric: Any, array_namespace: Any, device_name: Any, dtype_name: str,
    a_np: Any, b_np: Any, **kwargs: Any
) -> None:  # fmt: skip
    original(metric, array_namespace, device_name, dtype_name, a_np, b_np, **kwargs)
    cast = [x.astype(dtype_name) if x.dtype.kind == "f" else x for x in (a_np, b_np)]
    with config_context(array_api_dispatch=True):
        agree(metric, *cast, kwargs=kwargs, backends=[(array_namespace, device_name)], runs=8)
