"""clip and sign without boolean masks give the bits of NumPy's functions."""

import numpy as np
import pytest
from helpers import same_bits

from backends.reference.elementwise import clip, sign

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
