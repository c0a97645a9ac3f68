"""Calls of the kernels on matrices: dense layers, activations, losses and normalisations.

A backward call has other inputs than the forward call before it, since a kernel must not keep them.
"""

from collections.abc import Iterator
from itertools import chain, product
from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS, Kernels, declarations
from dnn.agreement.calls.call import Call, Draw, output_array, single
from dnn.agreement.calls.covering import cover_pairs
from dnn.agreement.calls.vector_calls import BATCHES, MAX_NUMBERS

WIDTHS = (3, 1, 2, 8, 10, 17, 64, 65, 128, 257, 1000)
"""Numbers of outputs and of classes: one, two, few, and at and beyond multiples of vectors and of bytes."""
INPUTS = (2, 1, 5, 16, 33, 784, 1025, 65537)
MAX_PRODUCTS = 1 << 23
MAX_FACTOR = 1 << 20
"""Largest size of a factor of a product."""
EXTREMES = np.asarray([0.0, 1e-3, 0.3, 1.0, 5.0, 12.0, 16.6, 20.5, 40.0, 88.0, 104.0, 1e4])
"""Logits for which e^z overflows, or rounds 1 + e^z to 1 or e^z."""


def dense_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of dense layers. They are exact: the sums are of integers."""
    small = cover_pairs(
        BATCHES, INPUTS, WIDTHS, (None, np.nan, np.inf), (True, False),
        allowed=lambda batch, n_in, n, special, _: batch * n_in * n <= MAX_PRODUCTS
        and max(batch * n_in, n_in * n, batch * n) <= MAX_FACTOR
        and (special is None or batch > 2),  # else NaN would hide the other numbers
    )  # fmt: skip
    # The lecture's, since libraries choose a product by its size.
    large = product((100,), (784,), (500,), (None, np.nan, np.inf), (True,))
    for batch, n_in, n, special, has_dx in chain(small, large):
        x, W, b = draw(batch, n_in), draw(n_in, n), draw(n)
        if special:
            x[:1, :1] = special
        yield Call("dense", (x, W, b, output_array(batch, n)))
        gradients = output_array(n_in, n), output_array(n), output_array(batch, n_in) if has_dx else None
        yield Call("dense_backward", (draw(batch, n), -x, W, gradients))
    for special in (np.nan, np.inf):  # 0 times it is NaN
        yield Call("dense", (np.zeros((9, 3)), np.full((3, 4), special), draw(4), output_array(9, 4)))


def sum_length(rows: int, *widths: int) -> int:
    """Return the number of terms k of the longest sum, or k^2 if it has more than 1000 rows.

    A long sequential sum of few different numbers rounds the same way each time: its error is k u.
    """
    k = max(rows, *widths)
    return k * k if rows > 1000 else k


def activation_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of activations and their derivatives: usual numbers, large ones, and infinities."""
    rows = cover_pairs(
        BATCHES, WIDTHS, tuple(ACTIVATIONS), ("usual", "large", "infinite", "NaN"), (False, True),
        allowed=lambda batch, n, kind, form, *_: batch * n <= MAX_NUMBERS and (form != "NaN" or batch > 2),
    )  # fmt: skip
    for batch, n, kind, form, in_place in rows:
        f = ACTIVATIONS[kind]
        z, dy = draw(2, batch, n) / 2.0
        if form == "large":  # e^z overflows and underflows
            z[::3] += 1000.0
            z[1::3] -= 1000.0
        if form == "infinite":
            z[-1:, :1] = 2.0**44 if f.gated else -np.inf  # z^3 overflows
        if form == "NaN":
            z[-1:, :1] = np.nan
        k = n if kind == "softmax" else 1
        yield Call("activation", (kind, z, z if in_place else output_array(batch, n)), k)
        if form == "infinite" and kind != "softmax" and not f.gated:
            continue  # f'(inf) is 0 or NaN, depending on the formula
        z = z.copy()
        y = single(f.forward(np, z))
        arguments = kind, dy, z, y, dy if in_place else output_array(batch, n)
        yield Call("activation_backward", arguments, k)


def loss_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of every loss: class numbers, rows of any sum, targets of -1 and 1.

    Outputs are usual, far from 0, or extreme; classes are masked; rows contain NaN and infinities.
    """
    names = [name for name, declared in declarations(Kernels).items() if "losses" in declared.writes]
    forms = "class numbers", "rows", "one-hot rows", "signs"
    rows = cover_pairs(
        (*BATCHES[:1], *BATCHES[2:]), WIDTHS, names, forms, ("usual", "large", "masked"),
        allowed=lambda batch, n, name, form, outputs: batch * n <= MAX_NUMBERS
        and (outputs != "masked" or (name == "softmax_cross_entropy" and n > 2 and form != "signs")),
    )  # fmt: skip
    more = product((17,), (17, 2), names, forms, ("usual", "extreme", "broken"))
    for batch, n, name, form, outputs in chain(rows, more):
        z = draw(batch, n) / 2.0
        y = (draw(batch).astype(int) + 4) * (n // 8 + 1) % n  # from all parts of the n classes
        y[-1:] = n - 1
        t = np.abs(draw(batch, n)) / 4.0
        if outputs == "large":
            z += (np.arange(batch) % 3 - 1.0)[:, None] * 1000.0
        if outputs == "extreme":
            z = np.resize(single(np.append(EXTREMES, -EXTREMES)), (batch, n))
        if outputs == "broken":
            z[:3, -1] = np.nan, np.inf, -np.inf
        if outputs == "masked":
            z[:, 1::3] = -np.inf
            y -= y % 3 == 1
            t[:, 1::3] = 0.0
            t[:, 2::7] = -0.25
        one_hot = (np.arange(n) == y[:, None]) * 1.0
        targets = dict(zip(forms, (y, t, one_hot, 2.0 * one_hot - 1.0), strict=True))[form]
        # p - t may cancel, so errors are relative to the sizes of p and t, number by number.
        floor = 1.0 / (batch if name == "softmax_cross_entropy" else batch * n)
        arguments = z, targets, output_array(batch), output_array(batch, n)
        yield Call(name, arguments, n_terms=n, condition=2.0, floor=floor)


def norm_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of the normalisations; also with constant columns, and with NaN."""
    rows = cover_pairs(
        BATCHES, ("layer_norm", "batch_norm"), WIDTHS, (1e-5, 0.0, 0.01, 0.5), (0.3, 0.0, 0.9, 0.01, 1.0),
        ("new", "in place", "none"), (False, True),
        allowed=lambda rows, name, n, epsilon, momentum, form, special: rows * n <= MAX_NUMBERS
        and (name == "layer_norm" or rows > 1) and (not special or min(rows, n) > 2)
        and (epsilon > 0.0 or (name == "layer_norm" and n > 1)),  # else a variance may be 0
    )  # fmt: skip
    for rows_, name, n, epsilon, momentum, form, special in rows:
        axis = int(name == "layer_norm")
        x = draw(rows_, n) / 2.0 + 1.0
        if special:
            x[:1, :1] = np.nan
        x[:, 1::5] = 3.0  # constant columns
        x[:, :1] += 0.25  # no constant row
        gamma, beta, dy = draw(n) + 5.0, draw(n), draw(rows_, n) + np.nan_to_num(x) + 2.0
        stats = output_array(x.shape[1 - axis]), output_array(x.shape[1 - axis])
        running = (draw(n), np.abs(draw(n)) + 1.0), (momentum, epsilon)
        middle: Any = (epsilon,) if axis else running
        k = sum_length(rows_, n)
        arguments = x, gamma, beta, *middle, stats, output_array(rows_, n)
        yield Call(name, arguments, k)
        x = 3.0 - 2.0 * x
        mean, inverse = single(x.mean(axis=axis)), single(1.0 / np.sqrt(x.var(axis=axis) + epsilon))
        dx = {"new": output_array(rows_, n), "in place": dy, "none": None}[form]
        arguments = dy, x, (mean, inverse), gamma, (output_array(n), output_array(n), dx)
        yield Call(f"{name}_backward", arguments, k)
