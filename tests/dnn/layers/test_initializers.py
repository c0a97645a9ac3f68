"""Variance and bounds of the initial weights."""

from math import sqrt

import numpy as np
import pytest

from dnn.layers.initializers import INITIALIZERS
from dnn.random import stream_key

N_IN, N_OUT = 400, 100
VARIANCE = {
    "glorot_uniform": 2 / (N_IN + N_OUT),
    "glorot_normal": 2 / (N_IN + N_OUT),
    "he_uniform": 2 / N_IN,
    "he_normal": 2 / N_IN,
    "zeros": 0.0,
}


def test_every_initializer_is_tested():
    assert VARIANCE.keys() == INITIALIZERS.keys()


@pytest.mark.parametrize(("field", "outs"), [((), N_OUT), ((5, 20), 100 * N_OUT)])
@pytest.mark.parametrize("name", VARIANCE)
def test_moments_and_bounds(name, field, outs):
    """A window of 5 x 20 pixels with 4 channels has as many inputs as N_IN units."""
    shape = (*field, N_IN // int(np.prod(field)), N_OUT)
    W = INITIALIZERS[name](stream_key(0, "weights"), shape)
    variance = VARIANCE[name] * (N_IN + N_OUT) / (N_IN + outs) if "glorot" in name else VARIANCE[name]
    deviation = sqrt(variance)
    assert (W.shape, W.dtype) == (shape, np.float64)
    # 40,000 numbers: the mean's standard error is 0.005, the variance's at most 0.7 %.
    assert abs(W.mean()) <= 0.025 * deviation
    assert W.var() == pytest.approx(variance, rel=0.035)
    if name.endswith("uniform"):
        bound = sqrt(3) * deviation
        assert 0.999 * bound < np.abs(W).max() <= bound
    elif name.endswith("normal"):
        assert 3.5 * deviation < np.abs(W).max() < 6 * deviation
