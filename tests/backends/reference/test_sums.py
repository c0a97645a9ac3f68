"""The sum of the rows of a matrix."""

import numpy as np
import pytest

from backends import get_backend
from backends.reference.sums import sum_rows


@pytest.mark.parametrize("n_rows", [0, 1, 255, 256, 257, 1000])
def test_every_row_is_added_once(backend, n_rows):
    x = np.arange(3.0 * n_rows, dtype=backend.dtype_name).reshape(n_rows, 3) % 64  # integers: sums are exact
    found = backend.to_host(sum_rows(backend.xp, backend.from_host(x)))
    np.testing.assert_array_equal(found, x.sum(axis=0, dtype=np.float64))


def test_equal_rows_are_added_without_drift():
    """Row by row, NumPy's sum has a relative error of 7e-4 here."""
    x = np.full((78_400, 2), 0.1, dtype=np.float32)
    x[::3] = 0.7
    found = sum_rows(get_backend("numpy").xp, x)
    np.testing.assert_allclose(found, x.sum(axis=0, dtype=np.float64), rtol=1e-5)
    assert sum_rows(np, x[:, :0]).shape == (0,)
