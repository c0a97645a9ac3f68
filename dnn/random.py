"""Keyed random streams with the same bits on every backend; the array API has no random numbers.

A stream is identified by (seed, purpose, layer) and has numbers for each value of a counter. There is no
state: the numbers for 7 do not depend on whether those for 6 were drawn, nor on other streams.
"""

import zlib

import numpy as np

from backends import Array, Backend
from backends.reference.random import RandomKernels
from backends.reference.signatures import Key as Key
from backends.reproducible.functions import cos, log
from dnn.settings.checks import is_integer, require
from dnn.typing import Shape

_WORD = 0xFFFFFFFF
CHUNK_SIZE = 32768  # numbers that are drawn at once, so that they stay in the cache


def stream_key(seed: int, purpose: str, layer: int = 0) -> Key:
    """Return the key of a stream, for a purpose such as "weights". Raises InputError: seed out of range."""
    require(is_integer(seed) and 0 <= seed < 2**64, "seed", seed, "an integer from 0 to 2**64 - 1")
    seed = int(seed)
    out = np.zeros(1, dtype=np.int64)
    high, low = np.asarray([[zlib.crc32(purpose.encode())], [layer & _WORD]], dtype=np.int64)
    RandomKernels(np).threefry((seed & _WORD, seed >> 32), high, low, out)
    return int(out[0]) >> 32, int(out[0]) & _WORD


def random_integers(backend: Backend, key: Key, counter: int, n: int) -> Array:
    """Return n integers of a stream for one counter: (n,) int64 on the device, uniform in [0, 2^63)."""
    xp = backend.xp
    out = backend.zeros(n, dtype=xp.int64)
    high = xp.asarray([counter], dtype=xp.int64, device=backend.device)
    backend.kernels.threefry(key, high, backend.indices(0, n), out)
    return out


def permutation(backend: Backend, key: Key, counter: int, n: int) -> Array:
    """Return a random permutation of 0 .. n-1: (n,) int64 on the device, equal on every backend."""
    order = backend.xp.argsort(random_integers(backend, key, counter, n), stable=True)
    return backend.xp.astype(order, backend.xp.int64, copy=False)


def host_uniform(key: Key, shape: Shape, counter: int = 0) -> np.ndarray:
    """Return uniform float64 numbers in (0, 1] on the host, for numbers drawn once, such as initial weights.

    They are multiples of 2^-54 and never 0, so their logarithms are finite.
    """
    out = np.zeros(int(np.prod(shape)), dtype=np.int64)
    for start in range(0, out.size, CHUNK_SIZE):
        chunk = out[start : start + CHUNK_SIZE]
        positions = np.arange(start, start + chunk.size, dtype=np.int64)
        RandomKernels(np).threefry(key, np.asarray([counter], dtype=np.int64), positions, chunk)
    return ((out.reshape(shape) >> 10).astype(np.float64) + 0.5) * 2.0**-53


def host_normal(key: Key, shape: Shape) -> np.ndarray:
    """Return standard normal float64 numbers on the host, by the transform of Box and Muller (1958).

    ``log`` and ``cos`` are those of this project: the bits of NumPy's depend on the processor.
    """
    radius = np.sqrt(-2.0 * log(np, host_uniform(key, shape, counter=0)))
    return np.asarray(radius * cos(np, 2.0 * np.pi * host_uniform(key, shape, counter=1)))


def shuffled_order(backend: Backend, seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order of n examples in this epoch of a training, on the host."""
    return np.asarray(backend.to_host(permutation(backend, stream_key(seed, "shuffle"), epoch, n)))
