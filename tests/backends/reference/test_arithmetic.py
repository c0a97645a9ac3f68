"""clip and sign give the bits of NumPy's functions; sums of the rows of a matrix."""

import numpy as np
import pytest
from helpers import same_bits

from backends import get_backend
from backends.reference.arithmetic import clip, sign, sum_rows

NUMBERS = [-np.inf, -2.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.5, np.inf, np.nan]


@pytest.mark.parametrize("limits", [(-1.0, 1.0), (-1.0, None), (None, 1.0), (None, None)])
def test_clip(backend, limits):
    x = np.asarray(NUMBERS, dtype=backend.dtype_name)
    found = backend.to_host(clip(backend.xp, backend.from_host(x), *limits))
    assert same_bits(found, np.clip(x, *limits))


def test_clip_keeps_integers(backend):
    x = np.arange(-5, 6)
    np.testing.assert_array_equal(
        backend.to_host(clip(backend.xp, backend.from_host(x), -2, 3)), x.clip(-2, 3)
    )


def test_sign(backend):
    x = np.asarray(NUMBERS, dtype=backend.dtype_name)
    assert same_bits(backend.to_host(sign(backend.xp, backend.from_host(x))), np.sign(x))


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
