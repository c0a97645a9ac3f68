"""``pytest -p array_agreement.xpx``: compare the functions of array-api-extra in its own tests."""

import array_api_extra
import pytest

SKIPPED = {"at", "lazy_apply", "apply_where", "default_dtype"}
"""They take functions of the test's namespace."""


@pytest.fixture(autouse=True)
def compare_functions(request: pytest.FixtureRequest) -> None:
    """Compare each call of a test that has the fixtures ``xp`` and ``library``."""
    fixtures = set(request.fixturenames)
    if {"xp", "library"} <= fixtures and "device" not in fixtures:  # torch's "meta" has no values
        xp = request.getfixturevalue("xp")
        names = {*array_api_extra.__all__} & vars(request.module).keys() - SKIPPED
        request.getfixturevalue("agree").patch(request.module, names, backends=[xp], allow_vacuous=True)
