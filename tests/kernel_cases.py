"""Cases of every kernel: its arguments by name, in order, host arrays and plain values.

``cases`` finds them by name. Cases of convolution, pooling, normalization, noise and warping are in
layer_cases.py.
"""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy as npx
import layer_cases
import numpy as np

from backends import get_backend
from backends.numpy.optimizers import BLOCK_SIZE
from backends.reference import ACTIVATIONS, Kernels, declarations
from dnn.agreement.cases import optimizer_variants

BACKEND = get_backend("numpy", dtype="float64", fused=False)
REFERENCE = BACKEND.kernels
BATCHES = (0, 1, 3, 7, 100)
WIDTHS = (1, 5, 33)
Case = dict[str, Any]


class Numbers:
    """Random numbers for cases: normal, optionally with NaN and infinities."""

    def __init__(self, seed, dtype, special):
        self.seed, self.dtype, self.special = seed, dtype, special
        self.rng = np.random.default_rng(seed)

    def again(self):
        """Return an object that draws the same numbers from the beginning."""
        return Numbers(self.seed, self.dtype, self.special)

    def normal(self, *shape):
        a = self.rng.normal(size=shape).astype(self.dtype)
        if self.special and a.size:
            flat = a.reshape(-1)
            spots = self.rng.integers(0, a.size, 1 + a.size // 20)
            flat[spots] = self.rng.choice([np.nan, np.inf, -np.inf], spots.size)
        return a

    def finite(self, *shape):
        return self.rng.normal(size=shape).astype(self.dtype)

    def garbage(self, *shape):
        """Return the initial values of an output array, NaN: a kernel that reads it gives NaN."""
        return np.full(shape, np.nan, dtype=self.dtype)


def activation_of(name, z):
    with np.errstate(all="ignore"):
        return ACTIVATIONS[name].forward(npx, z) + 0.0


def gather_rows_cases(num):
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


def scatter_rows_cases(num):
    for batch in (*BATCHES, 1000):
        for n in WIDTHS:
            for rows in (1, 9, 600):  # more than the reference makes at a time
                index = num.rng.integers(0, rows, batch)
                # Mostly positive and finite: sums must not cancel, and infinity times 0 is not defined.
                yield {"rows": num.finite(batch, n) + 2, "index": index, "out": num.garbage(rows, n)}


def activation_cases(num, name):
    for batch in BATCHES:
        for n in WIDTHS:
            z = 3 * num.normal(batch, n)
            z[:1, :1] = 0.0  # the kink
            yield {"z": z, "y": num.garbage(batch, n)}
            yield {"z": 100 * z, "y": num.garbage(batch, n)}  # saturated, no overflow


def activation_backward_cases(num, name):
    for batch in BATCHES:
        for n in WIDTHS:
            z = num.normal(batch, n)
            z[:1, :1] = 0.0
            y, dz = activation_of(name, z), num.garbage(batch, n)
            yield {"dy": num.normal(batch, n), "z": z, "y": y, "dz": dz}


def dense_cases(num, name):
    for batch in BATCHES:
        for n_in, n in ((1, 1), (5, 33), (33, 5)):
            x, W, b = num.normal(batch, n_in), num.normal(n_in, n), num.normal(n)
            yield {"x": x, "W": W, "b": b, "y": num.garbage(batch, n)}


def dense_backward_cases(num, name):
    for batch in BATCHES:
        for n_in, n in ((1, 1), (5, 33), (33, 5)):
            z = num.normal(batch, n)
            z[:1, :1] = 0.0
            for first in (False, True):
                yield {
                    # Mostly positive: if a column's sum cancels, eta measures that instead of the kernel.
                    "dy": num.normal(batch, n) + 2,
                    "x": num.normal(batch, n_in) + 2,
                    "y": activation_of(name, z),
                    "W": num.normal(n_in, n),
                    "dz": num.garbage(batch, n),
                    "gradients": (
                        num.garbage(n_in, n),
                        num.garbage(n),
                        None if first else num.garbage(batch, n_in),
                    ),
                }


def loss_cases(num, name):
    """Yield cases for every kernel with the signature of a loss: class numbers, then rows."""
    output, _, _, gradient = parameters(name)
    for rows in (False, True):
        num = num.again()
        for batch in BATCHES[1:]:  # the mean of zero losses is undefined
            for n in WIDTHS:
                targets = num.rng.integers(0, n, batch)
                if rows:
                    targets = num.rng.dirichlet(np.ones(n), batch).astype(num.dtype)
                    targets[:1] = np.eye(n, dtype=num.dtype)[:1]
                yield {
                    output: 3 * num.normal(batch, n),
                    "targets": targets,
                    "losses": num.garbage(batch),
                    gradient: num.garbage(batch, n),
                }


SIZES = (0, 1, 5, 33, BLOCK_SIZE + 7)
STEP = ["p", "g", "slots", "control", "settings"]
"""The parameters of every optimizer's kernel."""


def variants_of(name):
    """Return the (settings, number of slots) of each variant of an optimizer's kernel."""
    step = getattr(BACKEND.kernels, name)
    variants = (o for _, o in optimizer_variants() if o.bind(BACKEND) == step)
    return list(dict.fromkeys((o.settings(), len(o.slot_names)) for o in variants))


def optimizer_cases(num, name):
    """Yield cases for every kernel with the signature of an optimizer: new state, and after 4 updates."""
    for settings, slots in variants_of(name):
        num = num.again()
        for n in SIZES:
            for updates in (0, 4):
                states = tuple(np.zeros((slots, n), dtype=num.dtype))
                control = np.asarray([0.1, 0.0, 0.0, 0.0], dtype=num.dtype)
                for _ in range(updates):
                    getattr(REFERENCE, name)(num.finite(n), num.finite(n), states, control, settings)
                for state in states:
                    state[:1] = np.nan if num.special else state[:1]
                yield dict(zip(STEP, (num.normal(n), num.normal(n), states, control, settings), strict=True))


def sgd_cases(num):
    for case in optimizer_cases(num, "sgd"):
        yield case | {"slots": (num.normal(*case["p"].shape),)}  # infinite too


def penalty_cases(num):
    for n in SIZES:
        w = num.normal(n)
        w[:1] = 0.0  # the kink of L1
        for l1, l2 in ((0.3, 0.0), (0.0, 0.7), (0.3, 0.7)):
            yield {"w": w, "g": num.finite(n), "l1": l1, "l2": l2}


def clip_norm_cases(num):
    for n in SIZES:
        for limit in (0.5, 1e3):  # clipped, and unchanged
            yield {"g": num.normal(n), "limit": limit}
    yield {"g": np.zeros(3, dtype=num.dtype), "limit": 0.5}


clip_value_cases = clip_norm_cases


def threefry_cases(num):
    for n in SIZES:
        low = num.rng.integers(0, 2**32, n)
        for high in (low[::-1].copy(), np.asarray([2**32 - 1])):
            yield {"key": (2**32 - 1, 7), "high": high, "low": low, "out": np.zeros(n, np.int64)}
        yield {"key": (5, 7), "high": low, "low": np.asarray([3]), "out": np.zeros(n, np.int64)}


# --------------------------------------------------------------------------- found by name


def parameters(name):
    """Return the names of a kernel's arguments."""
    return list(declarations(Kernels)[name].arguments)


def cases(name, num):
    """Return a kernel's test cases from ``NAME_cases``, here or in layer_cases.py.

    Kernels with an activation get the cases of every activation. Optimizers and losses without such a
    function get the cases of their kind.
    """
    names = parameters(name)
    generator = {**vars(layer_cases), **globals()}.get(f"{name}_cases")
    if generator and names[0] in ("name", "activation"):
        return activation_kernel_cases(generator, names[0], num)
    if generator:
        return generator(num)
    if names == STEP and variants_of(name):
        return optimizer_cases(num, name)
    if names[1:3] == ["targets", "losses"]:
        return loss_cases(num, name)
    raise LookupError(
        f"kernel {name!r} has no cases; write a generator {name}_cases(num) of its arguments by name "
        f"in tests/kernel_cases.py"
    )


def activation_kernel_cases(generator, argument, num):
    """Yield the cases of each activation that the kernel supports."""
    for activation, f in ACTIVATIONS.items():
        if argument == "name" or f.from_output:
            for case in generator(num.again(), activation):
                yield {argument: activation, **case}
