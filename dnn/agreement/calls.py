"""Calls of the kernels on vectors and matrices: sizes near block lengths, special values, settings."""

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import product
from math import inf
from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS, Kernels, declarations
from dnn.agreement import textbook
from dnn.agreement.call import Call, Draw, output_array, single
from dnn.agreement.cases import SLOT_TRANSFORMS, optimizer_variants
from dnn.random import stream_key

SIZES = (1, 8, 1000, 63, 17, 129, 7, 64, 1025, 32, 9, 128, 15, 65, 33, 16, 127, 31, 999)
"""Lengths at, below and above multiples of vector and block lengths. A short length follows a long one."""
FLAT_SIZES = (1, 7, 203, 25001, 49152, 49153, 65536, 65537, 131072, 131073)
"""Lengths of flat vectors, at and beyond block lengths."""
STREAM_STEPS = (0, 1, 2, 999, 1023, 1024, 65535, 2**31, 2**32 - 1)
"""Steps of a random stream to draw from."""
UNSEEN_UPDATES = 1050
"""Number of updates made before the first one that is compared within a few roundings."""
UPDATE_COUNTS = (0, 31, 0, 127, 3, 999, 1, 2047, 12, 32767, 65535, 999_999, 2**24 - 3)
"""Numbers of updates so far: few, near powers of two, where narrower counters overflow, and up to the last
integer that float32 can count to. The update after 31 others sets tiny moments to 0."""
COUNTERS = (0, 1, 2, 65535, 65536, 2**20 - 1, 2**20, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1)
EXTREMES = np.asarray([0.0, 1e-3, 0.3, 1.0, 5.0, 12.0, 16.6, 20.5, 40.0, 88.0, 104.0, 1e4])
"""Logits for which e^z overflows, or rounds 1 + e^z to 1 or e^z."""
RATES = (0.05, 0.1, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9, 0.95)


def stream_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield calls of threefry, of dropout at and just beside its limit, and of Gaussian noise."""
    key = stream_key(seed, "agreement bits")
    words = [(np.asarray([step]), np.arange(13)) for step in STREAM_STEPS]
    a, b = (np.asarray(pair) for pair in zip(*product(COUNTERS, COUNTERS), strict=True))
    for high, low in (*words, (a[:1], np.arange(131073)), (a, b), (a, b[:1])):
        n = max(high.size, low.size)
        yield Call("threefry", f"step {high[0]}, {n} numbers", (key, high, low, output_array(n, dtype=int)))
    for n, rate in zip((13, 24, 1, 65, 8, 13, 14563, 2, 33), RATES, strict=True):
        rows = 1025 if n < 3 else 9
        x = draw(rows, n)
        bits = textbook.random_bits(seed, "agreement masks", n, 0, rows * ((n + 1) // 2)).reshape(rows, -1)
        bits[2] &= (1 << 31) - 1  # the high words are 0, the smallest uniform numbers
        what = f"{n} numbers, rate {rate}"
        yield Call("gaussian_noise", what, (bits.copy(), x, 2.0 * rate, output_array(*x.shape)), n_terms=1)
        edge = round(rate * 2.0**31) - np.arange(bits.shape[1]) % 2  # the limit and one less
        bits[:2] = (edge << 32) | edge
        bits[1] ^= (1 << 32) | 1
        ulp = 0.0 if rate in (0.5, 0.75) else 4.0
        yield Call("dropout", what, (bits, x, rate, output_array(*x.shape), output_array(*x.shape)), ulp=ulp)


def row_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield calls that gather rows, and that add rows at repeated and at unused indices."""
    draws = textbook.random_bits(seed, "agreement rows", 0, 0, 4000)
    kinds = (("float32", 1.0), ("int64", 1.0), ("uint8", 1.0), ("uint8", 1.0 / 255.0), ("float32", 0.3))
    for shape, (dtype, scale), n in product(((70001,), (700, 5), (301, 3, 4)), kinds, (33, 1, 7)):
        index = draws[:n] % shape[0]
        index[:3] = (shape[0] - 1, 0, shape[0] - 1)[:n]
        rows = np.resize(draws % 251, shape).astype(dtype)
        to = output_array(n, *shape[1:], dtype=np.int64 if dtype == "int64" else float)
        what = f"{dtype} {shape} {n} rows, scale {scale:.3g}"
        yield Call("gather_rows", what, (rows, index, to, scale), ulp=2.0 * (scale != 1.0))
    sizes = (5, 40, 4), (700, 900, 1), (50, 129, 130), (70001, 3, 9), (1, 65, 8), (256, 1001, 17)
    for n, batch, width in sizes:
        index = draws[:batch] % n
        index[:3] = n - 1, 0, n - 1
        yield Call(
            "scatter_rows", f"{batch} rows into {n}", (draw(batch, width), index, output_array(n, width))
        )


def gradient_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield calls of penalties and clipping."""
    for n in FLAT_SIZES:
        w = draw(n)
        if n == 7:
            w[:4] = np.inf, -np.inf, np.nan, -0.0
        g = draw(n) + np.arange(n) % 2 / 2.0
        for l1, l2 in ((0.5, 0.25), (0.5, 0.0), (0.0, 0.25)):
            yield Call("penalty", f"{n} weights, l1 {l1}, l2 {l2}", (w, g, l1, l2))
        norm = float(np.sqrt(np.sum(g * g)))
        strange = [np.append(g[1:], special) for special in (np.nan, np.inf)]
        for number, x in enumerate((g, *strange)):
            yield Call("clip_value", f"{n} numbers, {number}", (x, (2.0, 0.25)[n % 2]))
            yield Call("clip_norm", f"{n} numbers, {number}", (x, norm + 1.0))
        yield Call("clip_norm", f"{n} zeros", (0.0 * g, 0.25))
        yield Call("clip_norm", f"{n} numbers clipped", (g, norm / 2.0), ulp=4.0)


def step_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield steps of every optimizer from states that only long trainings reach, too.

    Lengths, settings, update counts, learning rates and scales vary, and a gradient has NaN and infinity. The
    first call of each optimizer makes UNSEEN_UPDATES, so the others come late in the process; its result need
    only be finite.

    Centred RMSprop also gets equal gradients: v - mean^2 is then 0, or negative by rounding, which must count
    as 0. In torch.optim it counts as NaN.
    """
    optimizers = {(optimizer.name, optimizer.slot_names): optimizer for _, optimizer in optimizer_variants()}
    for number, optimizer in enumerate(optimizers.values()):
        lengths = (203, 999, 262145, FLAT_SIZES[4 + number % 5], *SIZES[number : number + 9])
        for i, (n, done) in enumerate(zip(lengths, UPDATE_COUNTS, strict=True)):
            sweep: Any = {
                f.name: ((0.3, 0.9, 0.999) if s >= 0.5 else (1e-10, 1e-3, 0.3))[i % 3]
                for f in fields(optimizer)
                if f.name != "learning_rate" and isinstance(s := getattr(optimizer, f.name), float)
            }
            one: Any = replace(optimizer, **{**sweep, "clip_norm": None, "clip_value": None})
            settings = one.settings()
            scale = (1.0, 2.0**-50, 1.0, 0.125)[i % 4]
            g = scale * draw(n)
            if n == 999:
                g[:2] = np.nan, np.inf
            m = scale * draw(n) / 2.0
            slots = tuple(SLOT_TRANSFORMS.get(slot, np.copy)(m) for slot in one.slot_names)
            biases = [1.0 - float(beta) ** done for beta in (*settings, 0.0, 0.0)[:2]]  # Adam's
            control = np.asarray([(0.25, 0.5, 2.0**-9)[i % 3], *biases, done])
            repeat = 1 if n == 999 else 2 if i else UNSEEN_UPDATES
            variant = "".join(f"{setting}, " for setting in one.variants if getattr(one, setting))
            what = f"{variant}{n} numbers, {repeat} updates after {done}, settings {settings}"
            arguments = draw(n) * (1.0, 2.0**-10)[i // 2 % 2], g, slots, control, settings
            condition = 2.0 if "mean" in one.slot_names else 1.0  # v - mean^2 may be a tenth of v
            terms = 1 if i else inf
            yield Call(one.name, what, arguments, terms, 0.0, condition, optimizer=one, repeat=repeat)
    w, g = draw(2, 25001)
    slots = np.maximum(g * g - 2.0, 0.0), 0.0 * g, g.copy()
    control = np.asarray([0.25, 0.0, 0.0, 2.0])
    yield Call("rmsprop", "centered, equal gradients", (w, g, slots, control, (0.5, 0.5, 0.5)))
    yield Call("sgd", "momentum 0", (draw(9), draw(9), (np.full(9, np.nan),), control, (0.0, False)))


def dense_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield calls of activations, and of products with every length of SIZES in each place."""
    for i, batch in enumerate(SIZES):
        n_in, n = SIZES[i - 4], SIZES[i - 7]
        shape = f"{batch} x {n_in} x {n}"
        x, W, b, dy = draw(batch, n_in), draw(n_in, n), draw(n), draw(batch, n)
        for kind in ("linear", "relu", *(("sigmoid", "tanh", "softmax") if min(batch, n) > 6 else ())):
            exact = kind in ("linear", "relu")
            if kind == "relu" and batch > 6:  # from here on the first row contains NaN
                x = x.copy()
                x[0, 0] = np.nan
            if kind == "sigmoid":  # row 1 is saturated
                x, W, dy = x.copy(), W / 128.0, dy + 5.0
                x[1] *= 128.0
            if kind == "tanh":  # else 1 - y^2 may cancel in all columns
                b = b / 8.0
            k = 0 if exact else max(batch, n_in, n)
            y = single(ACTIVATIONS[kind].forward(np, x @ W + b))
            what = f"{kind} {shape}"
            yield Call("dense", what, (kind, x, W, b, output_array(batch, n)), k)
            given = dy - 5.0 * (kind == "softmax")
            gradients = output_array(n_in, n), output_array(n), output_array(batch, n_in) if i % 3 else None
            dz = given if i % 2 else output_array(batch, n)
            yield Call("dense_backward", what, (kind, given, x, y, W, dz, gradients), k, condition=2.0)
    for number, (kind, f) in enumerate(ACTIVATIONS.items()):
        for i in range(number % 3, len(SIZES), 3):
            z, dy = draw(2, SIZES[i], SIZES[i - 5]) / 2.0
            z[:, 1:2] = -np.inf if kind == "softmax" else 0.0
            if f.gated:  # z^3 overflows
                z[:1, :1] = 2.0**44
            y = single(f.forward(np, z))
            what = f"{kind} {z.shape[0]} x {z.shape[1]}"
            k = z.shape[1] if kind == "softmax" else 1
            arguments = kind, dy, z, y, dy if i % 2 else output_array(*z.shape)
            yield Call("activation_backward", what, arguments, k, condition=2.0)
            z = z.copy()
            if kind == "softmax":  # e^z overflows and underflows
                z[::3] += 1000.0
                z[1::3] -= 1000.0
            else:
                z[1:2, :1] = -np.inf
            yield Call("activation", what, (kind, z, z if i % 2 else output_array(*z.shape)), k)
        z = single(np.linspace(-40.0, 40.0, 165)).reshape(33, 5)
        yield Call("activation", f"{kind} -40 to 40", (kind, z, output_array(33, 5)), 5)
    large = "softmax", 1000.0 * draw(7, 7), output_array(7, 7)
    yield Call("activation", "softmax 7 large columns", large, 7)
    for special in (np.nan, np.inf):  # 0 times it is NaN
        W = np.full((3, 4), special)
        arguments = "linear", np.zeros((9, 3)), W, draw(4), output_array(9, 4)
        yield Call("dense", f"linear 0 times {special}", arguments)


def loss_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield calls of every loss; cross-entropy also with masked classes and rows of any sum.

    The last calls have extreme outputs, in wide and narrow rows, and rows with NaN and infinities.
    """
    usual = draw(4, 24) / 2.0
    usual[:2] += [[1000.0], [-1000.0]]
    long = np.append(EXTREMES, -EXTREMES)
    extremes = single(np.stack([long, long / 100.0, *usual, usual[3] * 0.0]))
    broken = draw(8, 9)
    broken[3, 4] = np.nan
    broken[5:7, 4] = np.inf, -np.inf
    special = extremes, extremes[:, 3:12], broken
    names = [name for name, declared in declarations(Kernels).items() if "losses" in declared.writes]
    for number, name in enumerate(names):
        masked = name == "softmax_cross_entropy"
        start = number % 3
        drawn = [draw(SIZES[i], SIZES[i - 4 - start]) / 2.0 for i in range(start, len(SIZES), 3)]
        logits = [(z, False) for z in (*drawn, draw(1, 1), draw(1025, 3))] + [(z, True) for z in special]
        for z, is_special in logits:
            batch, n = z.shape
            y = np.abs(draw(batch).astype(int) * 7) % n
            t = np.abs(draw(batch, n)) / 4.0
            if masked and n > 2 and not is_special:
                z[:, 1::3] = -np.inf
                y -= y % 3 == 1
                t[:, 1::3] = 0.0
                t[:, 2::7] = -0.25
            # p - t may cancel in a single number, so its error is measured relative to the sizes of p and t.
            relative = z.size > 1 and not is_special
            floor = 0.0 if relative else 1.0 / (batch if masked else batch * n)
            for form, targets in (("class numbers", y), ("rows", t)):
                arguments = z, targets, output_array(batch), output_array(batch, n)
                what = f"{form} {batch} x {n}"
                yield Call(name, what, arguments, n_terms=n, condition=2.0, floor=floor)


def norm_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield calls of the normalisations; in the last ones a column, or a row, contains a NaN."""
    for i, rows in enumerate(SIZES):
        n = SIZES[i - 5]
        x = draw(rows, n) / 2.0 + 1.0
        x[: (i > 15), :1] = np.nan
        x[:, 1::5] = 3.0  # constant columns
        gamma, beta, dy = draw(n) + 5.0, draw(n), np.nan_to_num(draw(rows, n) + x + 2.0)
        k = max(rows, n)
        epsilon = (0.01, 1e-5, 0.5)[i % 3]
        for axis, name in enumerate(("batch_norm", "layer_norm")):
            if x.shape[axis] < 7:
                continue
            mean, inverse = single(x.mean(axis=axis)), single(1.0 / np.sqrt(x.var(axis=axis) + epsilon))
            stats = output_array(len(mean)), output_array(len(mean))
            running = (draw(n), np.abs(draw(n)) + 1.0), ((0.3, 0.9, 0.01, 1.0)[i % 4], epsilon)
            middle: Any = (epsilon,) if axis else running
            arguments = x, gamma, beta, *middle, stats, output_array(rows, n)
            yield Call(name, f"{rows} x {n}", arguments, n_terms=k, condition=3.0)
            given = dy.copy()
            gradients = output_array(n), output_array(n), (None, given, output_array(rows, n))[i % 3]
            arguments = given, x, (mean, inverse), gamma, gradients
            yield Call(f"{name}_backward", f"{rows} x {n}", arguments, n_terms=k, condition=3.0)
    x = draw(50001, 2) / 2.0 + 1.0
    old: Any = (draw(2), np.abs(draw(2)) + 1.0), (0.3, 0.01)
    many = x, draw(2) + 5.0, draw(2), *old, (output_array(2), output_array(2)), output_array(*x.shape)
    # A long sequential sum of few different numbers rounds the same way again and again: its error is k u.
    yield Call("batch_norm", "50001 x 2", many, n_terms=50001.0**2, condition=3.0)
    stats = output_array(5), output_array(5)
    narrow = draw(5, 1), draw(1) + 5.0, draw(1), 0.01, stats, output_array(5, 1)
    yield Call("layer_norm", "5 x 1", narrow, n_terms=5, condition=3.0)
