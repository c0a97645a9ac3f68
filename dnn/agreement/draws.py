"""The random numbers of the levels. Each stream is drawn once, since its first n numbers are the same however
many are drawn, and since every case and contender gets the same ones."""

from functools import lru_cache
from math import prod

import numpy as np

from dnn.layers.initializers import INITIALIZERS
from dnn.random import host_normal, stream_key


@lru_cache(maxsize=64)
def _stream(seed: int, purpose: str, layer: int, n: int) -> np.ndarray:
    return host_normal(stream_key(seed, f"agreement {purpose}", layer), (n,))


def normal(seed: int, purpose: str, shape: tuple[int, ...], layer: int = 0) -> np.ndarray:
    """Standard normal float64 numbers of a stream of this check."""
    n = prod(shape)
    return _stream(seed, purpose, layer, 1 << (n - 1).bit_length())[:n].reshape(shape).copy()


@lru_cache(maxsize=64)
def _weights(initializer: str, seed: int, layer: int, shape: tuple[int, ...]) -> np.ndarray:
    return INITIALIZERS[initializer](stream_key(seed, "agreement weights", layer), shape).astype(np.float32)


def weights(initializer: str, seed: int, layer: int, shape: tuple[int, ...]) -> np.ndarray:
    """A layer's W in float32, by an initializer's name."""
    return _weights(initializer, seed, layer, shape).copy()
