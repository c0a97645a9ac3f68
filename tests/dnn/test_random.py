"""Keyed streams: equal bits on every backend, and numbers that look random."""

import numpy as np
import pytest
from helpers import NUMPY, input_error, same_bits

from backends import get_backend
from dnn.random import CHUNK_SIZE, host_normal, host_uniform, permutation, random_integers, stream_key

KEY = stream_key(0, "test")


def host(f, backend, *args):
    return backend.to_host(f(backend, *args))


@pytest.mark.parametrize("step", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("n", [1, 7, 1000])
@pytest.mark.parametrize("draw", [random_integers, permutation])
def test_same_bits_on_every_backend(backend, draw, n, step):
    expected = host(draw, get_backend("numpy", fused=False), KEY, step, n)
    assert expected.dtype == np.int64
    assert same_bits(host(draw, backend, KEY, step, n), expected)


def test_fixed_bits():
    """Fixed numbers: a change would change all trained models."""
    key = (2031729128, 3317069133)
    assert stream_key(0, "weights") == stream_key(np.int64(0), "weights") == key
    assert stream_key(2**40 + 5, "shuffle", 3) == (1286311867, 853961089)
    assert stream_key(2**40 + 5, "shuffle", -1) == (2141401417, 328475348)
    numbers = host(random_integers, NUMPY, key, 5, 2)
    assert numbers.tolist() == [1993831065352521803, 5483304523812680877]


def test_permutation(backend):
    order = host(permutation, backend, KEY, 3, 1001)
    assert np.array_equal(np.sort(order), np.arange(1001))
    assert np.sum(order == np.arange(1001)) < 8  # one fixed point on average


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "0", None, True])
def test_rejects_invalid_seeds(seed):
    with input_error(r"seed is .*expected an integer from 0 to"):
        stream_key(seed, "weights")


def test_host_numbers_use_the_bits_of_the_stream():
    n = CHUNK_SIZE + 1000
    drawn = [random_integers(NUMPY, KEY, step, n) for step in (0, 1)]
    u, v = ((bits // 2**10 + 0.5) / 2.0**53 for bits in drawn)
    assert same_bits(host_uniform(KEY, (n,), counter=1), v)
    z = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)  # the first number of Box and Muller's pair
    np.testing.assert_allclose(host_normal(KEY, (n,)), z, rtol=1e-12, atol=1e-12)


def test_empty():
    assert host_uniform(KEY, (0, 3)).shape == (0, 3)
    assert host_uniform(KEY, ()).shape == ()
