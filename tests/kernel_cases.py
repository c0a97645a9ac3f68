"""Cases of every kernel: its arguments by name, in order, host arrays and plain values.

Those of convolution, pooling, normalisation and noise are in layer_cases.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import array_api_compat.numpy as npx
import layer_cases
import numpy as np

from backends import reference
from backends.numpy.optimizers import BLOCK

BATCHES = (0, 1, 3, 7, 100)
WIDTHS = (1, 5, 33)
WRITES = {
    "gather_rows": {"out"},
    "activation": {"y"},
    "activation_backward": {"dz"},
    "dense": {"y"},
    "dense_backward": {"dz", "dW", "db", "dx"},
    "softmax_cross_entropy": {"losses", "dlogits"},
    "sigmoid_cross_entropy": {"losses", "dlogits"},
    "mean_squared_error": {"losses", "dy"},
    "mean_absolute_error": {"losses", "dy"},
    "hinge": {"losses", "dy"},
    "sgd": {"p", "velocity", "control"},
    "penalty": {"g"},
    "clip_norm": {"g"},
    "clip_value": {"g"},
    "adagrad": {"p", "total", "control"},
    "rmsprop": {"p", "v", "velocity", "control"},
    "adam": {"p", "m", "v", "control"},
    "adamw": {"p", "m", "v", "control"},
    "threefry": {"out"},
    **layer_cases.WRITES,
}
# What a docstring allows to be one array: (the one read, the one written).
ALIASES = {
    "activation": [("z", "y")],
    "activation_backward": [("dy", "dz")],
    "dense_backward": [("dy", "dz")],
    **layer_cases.ALIASES,
}
Case = dict[str, Any]


class Numbers:
    """A case's numbers: normal, or with NaN and infinities among them."""

    def __init__(self, seed: int, dtype: str, special: bool) -> None:
        self.rng, self.dtype, self.special = np.random.default_rng(seed), dtype, special

    def normal(self, *shape: int) -> np.ndarray:
        a = self.rng.normal(size=shape).astype(self.dtype)
        if self.special and a.size:
            flat = a.reshape(-1)
            spots = self.rng.integers(0, a.size, 1 + a.size // 20)
            flat[spots] = self.rng.choice([np.nan, np.inf, -np.inf], spots.size)
        return a

    def finite(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape).astype(self.dtype)

    def garbage(self, *shape: int) -> np.ndarray:
        """What an array that is only written holds beforehand: a kernel that reads it shows NaN."""
        return np.full(shape, np.nan, dtype=self.dtype)


def activation_of(kind: str, z: np.ndarray) -> np.ndarray:
    y = np.empty_like(z)
    with np.errstate(all="ignore"):
        reference.activation(npx, kind, z, y)
    return y


def gather_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for batch in BATCHES:
        index = num.rng.integers(0, 9, batch)
        for tail in ((), (1,), (5,), (2, 3)):
            labels = num.rng.integers(0, 10, (9, *tail))
            pixels = num.rng.integers(0, 256, (9, *tail)).astype(np.uint8)
            out = num.garbage(batch, *tail)
            yield {"rows": num.normal(9, *tail), "index": index, "out": out, "scale": 1.0}
            yield {"rows": num.normal(9, *tail), "index": index, "out": out, "scale": 0.3}
            yield {"rows": pixels, "index": index, "out": out, "scale": 1 / 255}
            yield {"rows": pixels, "index": index, "out": out, "scale": 1.0}
            yield {"rows": labels, "index": index, "out": labels[:1].repeat(batch, 0), "scale": 1.0}


def activation_cases(num: Numbers, kind: str) -> Iterator[Case]:
    for batch in BATCHES:
        for n in WIDTHS:
            z = 3 * num.normal(batch, n)
            z[:1, :1] = 0.0  # the kink
            yield {"z": z, "y": num.garbage(batch, n)}
            yield {"z": 100 * z, "y": num.garbage(batch, n)}  # saturated, no overflow


def activation_backward_cases(num: Numbers, kind: str) -> Iterator[Case]:
    for batch in BATCHES:
        for n in WIDTHS:
            z = num.normal(batch, n)
            z[:1, :1] = 0.0
            y, dz = activation_of(kind, z), num.garbage(batch, n)
            yield {"dy": num.normal(batch, n), "z": z, "y": y, "dz": dz}


def dense_cases(num: Numbers, kind: str) -> Iterator[Case]:
    for batch in BATCHES:
        for n_in, n in ((1, 1), (5, 33), (33, 5)):
            x, W, b = num.normal(batch, n_in), num.normal(n_in, n), num.normal(n)
            yield {"x": x, "W": W, "b": b, "y": num.garbage(batch, n)}


def dense_backward_cases(num: Numbers, kind: str) -> Iterator[Case]:
    for batch in BATCHES:
        for n_in, n in ((1, 1), (5, 33), (33, 5)):
            z = num.normal(batch, n)
            z[:1, :1] = 0.0
            for first in (False, True):
                yield {
                    # Mostly positive: where a column's sum cancels, eta measures that and no kernel.
                    "dy": num.normal(batch, n) + 2,
                    "x": num.normal(batch, n_in) + 2,
                    "y": activation_of(kind, z),
                    "W": num.normal(n_in, n),
                    "dz": num.garbage(batch, n),
                    "dW": num.garbage(n_in, n),
                    "db": num.garbage(n),
                    "dx": None if first else num.garbage(batch, n_in),
                }


def loss_cases(num: Numbers, kind: str, output: str, gradient: str) -> Iterator[Case]:
    for batch in BATCHES[1:]:  # the mean of no losses is not defined
        for n in WIDTHS:
            targets = num.rng.integers(0, n, batch)
            if kind == "dense":
                targets = num.rng.dirichlet(np.ones(n), batch).astype(num.dtype)
                targets[:1] = np.eye(n, dtype=num.dtype)[:1]
            yield {
                output: 3 * num.normal(batch, n),
                "targets": targets,
                "losses": num.garbage(batch),
                gradient: num.garbage(batch, n),
            }


SIZES = (0, 1, 5, 33, BLOCK + 7)


def control(num: Numbers, *values: float) -> np.ndarray:
    return np.asarray([0.1, *values], dtype=num.dtype)


def sgd_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True)):
            yield {
                "p": num.normal(n),
                "g": num.normal(n),
                "velocity": num.normal(n),
                "control": control(num, 0.0, 0.0, 4.0),
                "momentum": momentum,
                "nesterov": nesterov,
            }


def adagrad_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        for t in (0, 4):
            yield {
                "p": num.finite(n),
                "g": num.normal(n),
                "total": t * num.finite(n) ** 2,
                "control": control(num, 0.0, 0.0, float(t)),
                "epsilon": 1e-10,
            }


def rmsprop_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        for momentum in (0.0, 0.9):
            yield {
                "p": num.finite(n),
                "g": num.normal(n),
                "v": num.finite(n) ** 2,
                "velocity": num.finite(n),
                "control": control(num, 0.0, 0.0, 4.0),
                "decay": 0.99,
                "epsilon": 1e-8,
                "momentum": momentum,
            }


def adamw_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for case in adam_cases(num, kind):
        yield case | {"weight_decay": 0.3}


def penalty_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        w = num.normal(n)
        w[:1] = 0.0  # the kink of L1
        for l1, l2 in ((0.3, 0.0), (0.0, 0.7), (0.3, 0.7)):
            yield {"w": w, "g": num.finite(n), "l1": l1, "l2": l2}


def clip_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        for limit in (0.5, 1e3):  # shortened, and left as it is
            yield {"g": num.normal(n), "limit": limit}
    yield {"g": np.zeros(3, dtype=num.dtype), "limit": 0.5}


def adam_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        # The fresh start, and a state as it is after 4 updates.
        for t in (0, 4):
            m, v = (num.finite(n), num.finite(n) ** 2) if t else np.zeros((2, n), dtype=num.dtype)
            yield {
                "p": num.finite(n),
                "g": num.normal(n),
                "m": m,
                "v": v,
                "control": control(num, 1 - 0.9**t, 1 - 0.999**t, float(t)),
                "beta1": 0.9,
                "beta2": 0.999,
                "epsilon": 1e-8,
            }


def threefry_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        low = num.rng.integers(0, 2**32, n)
        for high in (low[::-1].copy(), np.asarray([2**32 - 1])):
            yield {"key": (2**32 - 1, 7), "high": high, "low": low, "out": np.zeros(n, np.int64)}


CASES: dict[str, Callable[..., Iterator[Case]]] = {
    "gather_rows": gather_cases,
    "activation": activation_cases,
    "activation_backward": activation_backward_cases,
    "dense": dense_cases,
    "dense_backward": dense_backward_cases,
    "softmax_cross_entropy": partial(loss_cases, output="logits", gradient="dlogits"),
    "sigmoid_cross_entropy": partial(loss_cases, output="logits", gradient="dlogits"),
    "mean_squared_error": partial(loss_cases, output="y", gradient="dy"),
    "mean_absolute_error": partial(loss_cases, output="y", gradient="dy"),
    "hinge": partial(loss_cases, output="y", gradient="dy"),
    "sgd": sgd_cases,
    "penalty": penalty_cases,
    "clip_norm": clip_cases,
    "clip_value": clip_cases,
    "adagrad": adagrad_cases,
    "rmsprop": rmsprop_cases,
    "adam": adam_cases,
    "adamw": adamw_cases,
    "threefry": threefry_cases,
    "conv2d": layer_cases.conv_cases,
    "conv2d_backward": layer_cases.conv_backward_cases,
    "max_pool2d": layer_cases.max_pool_cases,
    "max_pool2d_backward": layer_cases.max_pool_backward_cases,
    "average_pool2d": layer_cases.average_pool_cases,
    "average_pool2d_backward": layer_cases.average_pool_backward_cases,
    "batch_norm": layer_cases.batch_norm_cases,
    "batch_norm_backward": partial(
        layer_cases.norm_backward_cases, forward=layer_cases.batch_norm_cases, kernel="batch_norm"
    ),
    "layer_norm": layer_cases.layer_norm_cases,
    "layer_norm_backward": partial(
        layer_cases.norm_backward_cases, forward=layer_cases.layer_norm_cases, kernel="layer_norm"
    ),
    "dropout": partial(layer_cases.noise_cases, setting={"rate": 0.3}, extra=("mask",)),
    "gaussian_noise": partial(layer_cases.noise_cases, setting={"deviation": 0.5}, extra=()),
}
