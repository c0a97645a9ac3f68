"""Numbers of a stream are always the same, so all checks share one drawing of them: most of L1's time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from dnn.agreement import cases, extremes, kernels, late, single_layers


def kept(draw: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The same function, which draws each stream once; whoever asks gets a copy."""
    drawn = functools.cache(draw)
    return lambda *arguments, **settings: drawn(*arguments, **settings).copy()


@pytest.fixture(scope="session", autouse=True)
def streams_are_drawn_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for name in ("host_normal", "host_uniform"):
            once = kept(getattr(single_layers, name))
            for module in (single_layers, extremes, kernels, late, cases):
                if hasattr(module, name):
                    patched.setattr(module, name, once)
        yield
