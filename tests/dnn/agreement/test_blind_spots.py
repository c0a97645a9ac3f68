"""Backends that are subtly wrong where a check of single steps at usual numbers does not look.

Each is NumPy with one kernel, one function of the namespace or one method of the Backend changed; the part of
the check that must see it is named beside it.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import others_slow
from sklearn.datasets import load_digits

import dnn.optimizers.regularizers as regularizers
import dnn.training.step as step
import dnn.validation.examples as examples
from backends import get_backend
from dnn.agreement import QUICK, Data, get_contender, make_oracle
from dnn.agreement.bitwise import bitwise_level
from dnn.agreement.extremes import extreme_level
from dnn.agreement.fits import fit_level
from dnn.agreement.kernels import kernel_level
from dnn.agreement.late import late_level
from dnn.agreement.ours import BackendContender
from dnn.agreement.single_layers import layer_level
from dnn.layers import BatchNormalization, Dropout
from dnn.optimizers.schedules import Schedule
from dnn.sequential import Sequential
from dnn.training.totals import Totals

PARTS = {
    "unary": kernel_level,
    "bits": bitwise_level,
    "layers": layer_level,
    "extremes": extreme_level,
    "late": late_level,
    "fit": fit_level,
}
MUTANTS = {}
QUICK_MUTANTS = (  # each found by another level or kind of case, in less than a second
    "logits_clipped_at_30", "hidden_overflow", "rows_far_below_0_underflow", "loss_clipped_at_1e_7",
    "maximum_without_nan", "hinge_pulls_at_its_corner", "infinite_gradients_pass", "index_of_16_bits",
    "moves_without_their_sign", "last_row_is_out_of_reach",
)  # fmt: skip


def mutant(part, *names):
    """Plants what the decorated function makes of the thing of each name: kernel, xp.FUNCTION, be.METHOD."""

    def add(change):
        MUTANTS[change.__name__] = part, dict.fromkeys(names, change)
        return change

    return add


def planted(wrong):
    """The contender with these things wrong."""

    def change(name, kind, kernel):
        return wrong[name](kernel) if name in wrong else kernel

    def open_backend(dtype):
        backend = get_backend("numpy", dtype=dtype)
        functions = {n[3:]: f(getattr(backend.xp, n[3:])) for n, f in wrong.items() if n.startswith("xp.")}
        if functions:
            backend = replace(backend, xp=SimpleNamespace(**{**vars(backend.xp), **functions}))
        backend = backend.wrapped(change)
        for name in [n for n in wrong if n.startswith("be.")]:
            object.__setattr__(backend, name[3:], wrong[name](getattr(backend, name[3:])))
        return backend

    return BackendContender("numpy!", open_backend)


@pytest.fixture(scope="module")
def data():
    x, y = load_digits(return_X_y=True)
    return Data((x / 16).astype(np.float32), y.astype(np.int64), 10)


STEPS = ("sgd", "adam", "adamw", "adagrad", "rmsprop")


@mutant("late", *STEPS)
def late_calls(step):
    """From its own thousandth call on, gradients a little short."""
    calls = []

    def wrong(p, g, *rest):
        calls.append(None)
        step(p, g * g.dtype.type(0.999) if len(calls) > 1000 else g, *rest)

    return wrong


@mutant("late", *STEPS)
def counts_to_1024(step):
    def wrong(p, g, slots, control, settings):
        step(p, g, slots, control, settings)
        control[3] = min(control[3], 1024)

    return wrong


@mutant("late", *STEPS)
def flushes_what_matters(step):
    def wrong(p, g, slots, control, settings):
        step(p, g, slots, control, settings)
        for slot in slots if control[3] % 32 == 0 else ():
            slot[np.abs(slot) < 1e-7] = 0

    return wrong


@mutant("late", *STEPS)
def rate_of_the_first_update(step):
    rates = []

    def wrong(p, g, slots, control, settings):
        rates.append(float(control[0]))
        now, control[0] = float(control[0]), rates[0]
        step(p, g, slots, control, settings)
        control[0] = now

    return wrong


@mutant("late", "adam", "adamw")
def epsilon_built_in(step):
    return lambda *a: step(*a[:4], (*a[4][:2], 1e-8, *a[4][3:]))


@mutant("late", "adamw")
def weight_decay_built_in(step):
    return lambda *a: step(*a[:4], (*a[4][:3], 0.01))


@mutant("late", "adam", "adamw")
def second_block_forgotten(step):
    def wrong(p, g, slots, control, settings):
        old = slots[1][24576:].copy()
        step(p, g, slots, control, settings)
        slots[1][24576:] = old

    return wrong


@mutant("late", "adam", "sgd", "rmsprop")
def moments_stand_where_gradients_are_0(step):
    def wrong(p, g, slots, control, settings):
        old = [slot.copy() for slot in slots]
        step(p, g, slots, control, settings)
        for slot, before in zip(slots, old, strict=True):
            slot[g == 0] = before[g == 0]

    return wrong


@mutant("fit", "softmax_cross_entropy")
def loss_late(loss):
    calls = []

    def wrong(outputs, targets, losses, dy):
        calls.append(None)
        loss(outputs, targets, losses, dy)
        dy *= dy.dtype.type(0.999 if len(calls) > 1000 else 1)

    return wrong


@mutant("fit", "batch_norm")
def averages_late(normalise):
    calls = []

    def wrong(x, gamma, beta, running, settings, *rest):
        calls.append(None)
        momentum = settings[0] if len(calls) < 1000 else 0.0
        normalise(x, gamma, beta, running, (momentum, settings[1]), *rest)

    return wrong


@mutant("fit", "penalty")
def penalty_of_every_second_parameter(penalty):
    calls = []

    def wrong(w, g, l1, l2):
        calls.append(None)
        penalty(w, g, l1, l2 if len(calls) % 2 else 0.9 * l2)

    return wrong


@mutant("bits", "penalty")
def penalty_of_large_parameters(penalty):
    return lambda w, g, l1, l2: penalty(w, g, l1 if w.size > 200 else 0.0, l2)


@mutant("bits", "penalty")
def penalty_pulls_zeros(penalty):
    def wrong(w, g, l1, l2):
        penalty(w, g, l1, l2)
        g[w == 0] += l1

    return wrong


@mutant("fit", "gather_rows")
def rate_after(gather):
    def wrong(rows, index, *rest):
        rates = rows.ndim == 1 and rows.dtype.kind == "f"
        gather(rows, np.minimum(index + 1, len(rows) - 1) if rates else index, *rest)

    return wrong


@mutant("fit", "xp.minimum")
def schedule_ends_early(minimum):
    return lambda a, b: minimum(a, b - 1) if a.shape == (1,) else minimum(a, b)


@mutant("fit", "gather_rows")
def short_batch_repeats_a_row(gather):
    largest = [0]

    def wrong(rows, index, *rest):
        if rows.ndim > 1 and rows.dtype.kind != "i":
            largest[0] = max(largest[0], len(index))
            if 1 < len(index) < largest[0]:
                index = np.concatenate([index[:-1], index[:1]])
        gather(rows, index, *rest)

    return wrong


@mutant("bits", "gather_rows")
def index_of_16_bits(gather):
    return lambda rows, index, *rest: gather(rows, index.astype(np.uint16).astype(np.int64), *rest)


@mutant("fit", "be.capture")
def last_update_dropped(capture):
    def wrong(step, unroll=25):
        run = capture(step, unroll)
        return lambda n: run(n - 1 if n > 25 else n)

    return wrong


@mutant("fit", "xp.sum")
def losses_added_in_float16(add):
    def wrong(a, **keywords):
        total = add(a, **keywords)
        return total.astype(np.float16).astype(a.dtype) if a.ndim == 1 and total.ndim == 0 else total

    return wrong


@mutant("bits", "gather_rows")
def last_row_is_out_of_reach(gather):
    return lambda rows, index, *rest: gather(rows, np.minimum(index, len(rows) - 2), *rest)


@mutant("bits", "gather_rows")
def first_row_is_out_of_reach(gather):
    return lambda rows, index, *rest: gather(rows, np.maximum(index, 1), *rest)


@mutant("bits", "warp_images")
def moves_without_their_sign(warp):
    return lambda x, matrix, moves, y: warp(x, matrix, np.abs(moves), y)


@mutant("bits", "dropout")
def one_high_word_more_is_kept(dropout):
    return lambda bits, *rest: dropout(bits + 2**32, *rest)


@mutant("bits", "dropout")
def one_high_word_less_is_kept(dropout):
    return lambda bits, *rest: dropout(bits - 2**32, *rest)


@mutant("bits", "dropout")
def one_low_word_more_is_kept(dropout):
    return lambda bits, *rest: dropout(bits + 1, *rest)


@mutant("bits", "dropout")
def one_low_word_less_is_kept(dropout):
    return lambda bits, *rest: dropout(bits - 1, *rest)


@mutant("bits", "clip_value")
def only_from_above(clip):
    return lambda g, limit: np.minimum(g, limit, out=g)


@mutant("bits", "threefry")
def late_steps_repeat(threefry):
    return lambda key, high, *rest: threefry(key, np.where(high > 1000, high - 1, high), *rest)


@mutant("layers", "dropout")
def masks_shift_after_the_first(dropout):
    calls = []

    def wrong(bits, *rest):
        calls.append(None)
        dropout(np.roll(bits, 1, axis=0) if len(calls) > 1 else bits, *rest)

    return wrong


@mutant("layers", "xp.sqrt")
def epsilon_twice_in_evaluation(root):
    return lambda a: root(a + a.dtype.type(1e-5) if a.ndim == 1 and a.size < 64 else a)


@mutant("layers", "batch_norm")
def variance_of_the_longest_batch(normalise):
    largest = [0]

    def wrong(x, gamma, beta, running, settings, kept, y):
        before, n = running[1].copy(), len(x)
        normalise(x, gamma, beta, running, settings, kept, y)
        largest[0] = most = max(largest[0], n)
        old = (1 - settings[0]) * before
        running[1][...] = old + (running[1] - old) * ((n - 1) / n * most / (most - 1))

    return wrong


@mutant("layers", "layer_norm")
def naive_variance_of_rows(normalise):
    def wrong(x, gamma, beta, epsilon, kept, y):
        normalise(x, gamma, beta, epsilon, kept, y)
        variance = np.maximum(np.mean(x * x, axis=1) - kept[0] ** 2, 0)
        kept[1][...] = 1 / np.sqrt(variance + epsilon)
        y[...] = (x - kept[0][:, None]) * kept[1][:, None] * gamma + beta

    return wrong


@mutant("layers", "dense_backward")
def rows_beyond_a_multiple_of_4_lost(backward):
    def wrong(dy, x, y, W, dz, gradients):
        backward(dy, x, y, W, dz, gradients)
        n = len(x) // 4 * 4
        gradients[0][...] -= x[n:].T @ dz[n:]

    return wrong


@mutant("layers", "conv2d")
def short_batch_is_stale(conv):
    largest = [0]

    def wrong(*arguments):
        conv(*arguments)
        z = arguments[-1]
        largest[0] = max(largest[0], len(z))
        if len(z) < largest[0]:
            z[-1] = z[0]

    return wrong


@mutant("unary", "xp.argmax")
def last_of_equals(argmax):
    return lambda a, axis: a.shape[axis] - 1 - argmax(np.flip(a, axis), axis=axis)


@mutant("bits", "max_pool2d")
def maximum_without_nan(pool):
    return lambda x, *rest: pool(np.where(np.isnan(x), x.dtype.type(-np.inf), x), *rest)


@mutant("extremes", "softmax_cross_entropy")
def loss_clipped_at_1e_7(loss):
    def wrong(outputs, targets, losses, dy):
        loss(outputs, targets, losses, dy)
        np.minimum(losses, 16.118, out=losses)

    return wrong


@mutant("extremes", "softmax_cross_entropy")
def rows_far_below_0_underflow(loss):
    def wrong(outputs, targets, losses, dy):
        loss(outputs, targets, losses, dy)
        losses[outputs.max(axis=1) < -500] = 0

    return wrong


@mutant("extremes", "sigmoid_cross_entropy")
def logits_clipped_at_30(loss):
    return lambda outputs, *rest: loss(np.clip(outputs, -30, 30), *rest)


@mutant("extremes", "dense")
def hidden_overflow(dense):
    """NaN where e^z would overflow."""

    def wrong(x, W, b, y):
        dense(x, W, b, y)
        y[(x @ W + b > 89) & (y <= 1)] = np.nan

    return wrong


@mutant("bits", "clip_norm")
def infinite_gradients_pass(clip):
    return lambda g, limit: clip(g, limit) if np.isfinite(g).all() else None


@mutant("late", "adam", "adamw")
def epsilon_under_the_root(step):
    def wrong(p, g, slots, control, settings):
        (m, v, *_), (_, _, epsilon, *decay) = slots, settings
        old, rate = p * (1 - control[0] * decay[0] if decay else 1), float(control[0])
        step(p, g, slots, control, settings)
        p[...] = old - rate / control[1] * m / np.sqrt(v / control[2] + epsilon)

    return wrong


@mutant("late", "adam", "adamw")
def correction_of_the_update_before(step):
    def wrong(p, g, slots, control, settings):
        old, c = p.copy(), control[1].copy()
        step(p, g, slots, control, settings)
        if control[3] > 1:
            p[...] = old + (p - old) * (control[1] / c)

    return wrong


@mutant("bits", "max_pool2d")
def last_of_equal_pixels(pool):
    def wrong(x, size, strides, borders, y, index):
        pool(x, size, strides, borders, y, index)
        if size == strides and not any(map(any, borders)):
            h, w = y.shape[1:3]
            x = x[:, : h * size[0], : w * size[1]]
            windows = x.reshape(len(x), h, size[0], w, size[1], -1).transpose(0, 1, 3, 5, 2, 4)
            windows = windows.reshape(*windows.shape[:4], -1)
            last = windows.shape[-1] - 1 - np.argmax(windows[..., ::-1], axis=-1)
            index[...] = np.where(np.isnan(y), index, last)

    return wrong


@mutant("layers", "dropout")
def short_batch_is_not_scaled(dropout):
    largest = [0]

    def wrong(bits, x, rate, mask, y):
        dropout(bits, x, rate, mask, y)
        largest[0] = max(largest[0], len(x))
        if len(x) < largest[0]:
            y *= 1 - rate
            mask *= 1 - rate

    return wrong


@mutant("unary", "activation_backward")
def slope_at_0(backward):
    def wrong(dy, z, y, dz):
        seen = dy.copy()
        backward(dy, z, y, dz)
        dz[z == 0] = seen[z == 0]

    return wrong


@mutant("extremes", "hinge")
def hinge_pulls_at_its_corner(loss):
    def wrong(y, targets, losses, dy):
        loss(y, targets, losses, dy)
        t = np.eye(y.shape[1])[targets] if targets.ndim == 1 else targets
        s = np.where(t > 0, 1.0, -1.0)
        dy[s * y == 1] = -s[s * y == 1] / dy.size

    return wrong


@mutant("layers", "batch_norm")
def average_of_the_root(normalise):
    """A running standard deviation, squared."""

    def wrong(x, gamma, beta, running, settings, *rest):
        old, (keep, _) = running[1].copy(), settings
        normalise(x, gamma, beta, running, settings, *rest)
        now = (running[1] - (1 - keep) * old) / keep
        running[1][...] = ((1 - keep) * np.sqrt(old) + keep * np.sqrt(now)) ** 2

    return wrong


@pytest.mark.parametrize("name", others_slow(MUTANTS, QUICK_MUTANTS))
def test_is_rejected(name, data):
    part, wrong = MUTANTS[name]
    with np.errstate(all="ignore"):
        records = list(PARTS[part]([planted(wrong)], make_oracle(), data, QUICK, 0))
    ratio = max(record.ratio for record in records)
    assert ratio > 10


# --------------------------------------------------------------------------- mistakes above the backends


def _price_of_biases(monkeypatch):
    original = regularizers.Penalty.add_gradients

    def wrong(self):
        original(self)
        self._kernel(self.biases[0], self.biases[1], self.l1, self.l2)

    made = regularizers.Penalty.__init__

    def make(self, parameters, l1, l2):
        made(self, parameters, l1, l2)
        self.biases = parameters.value["dense_1.b"], parameters.gradient["dense_1.b"]

    monkeypatch.setattr(regularizers.Penalty, "add_gradients", wrong)
    monkeypatch.setattr(regularizers.Penalty, "__init__", make)


def _warm_up_one_update_early(monkeypatch):
    rates = Schedule.rates
    monkeypatch.setattr(Schedule, "rates", lambda self: rates(self)[1:] if self.warmup else rates(self))


def _mask_of_the_first_step(monkeypatch):
    apply = Dropout.apply

    def wrong(self, keep, x):
        apply(self, keep, x)
        self.state["step"][...] = 0

    monkeypatch.setattr(Dropout, "apply", wrong)


def _statistics_of_the_batch_in_evaluation(monkeypatch):
    forward = BatchNormalization.forward
    monkeypatch.setattr(
        BatchNormalization, "forward", lambda self, x, *, training: forward(self, x, training=True)
    )


def _weighted_sum_over_the_batch_size(monkeypatch):
    def wrong(xp, weights, losses, gradient, whole=None):
        losses *= weights
        gradient *= weights[:, None]

    monkeypatch.setattr(step, "weigh", wrong)


def _a_batch_that_counts_nothing_divided_by_its_weight(monkeypatch):
    def wrong(xp, weights, losses, gradient, whole=None):
        losses *= weights
        with np.errstate(invalid="ignore"):
            gradient *= (weights * len(weights) / weights.sum())[:, None]

    monkeypatch.setattr(step, "weigh", wrong)


def _class_weights_in_validation(monkeypatch):
    fit = Sequential.fit

    def wrong(self, x, y, *, class_weight=None, validation_data=None, **settings):
        if class_weight:
            table = np.array([class_weight.get(c, 1.0) for c in range(10)])
            validation_data = (*validation_data[:2], validation_data[2] * table[y])
        return fit(self, x, y, class_weight=class_weight, validation_data=validation_data, **settings)

    monkeypatch.setattr(Sequential, "fit", wrong)


def _ignored_examples_in_the_accuracy(monkeypatch):
    make = Totals.__init__

    def wrong(self, network, weighted=False, classes=True):
        ignored = network.goal.ignored
        object.__setattr__(network.goal, "ignore_index", None)
        make(self, network, weighted, classes)
        object.__setattr__(network.goal, "ignore_index", ignored)

    monkeypatch.setattr(Totals, "__init__", wrong)


def _ignored_examples_learnt_as_class_0(monkeypatch):
    weigh = examples.Door._weights
    wrong = lambda door, *a, **options: weigh(door._replace(ignored=None), *a, **options)  # noqa: E731
    monkeypatch.setattr(examples.Door, "_weights", wrong)


@pytest.mark.parametrize(
    "plant",
    [
        _weighted_sum_over_the_batch_size,
        _a_batch_that_counts_nothing_divided_by_its_weight,
        _class_weights_in_validation,
        _ignored_examples_in_the_accuracy,
        _ignored_examples_learnt_as_class_0,
        _price_of_biases,
        _warm_up_one_update_early,
        _mask_of_the_first_step,
        _statistics_of_the_batch_in_evaluation,
    ],
)
def test_a_mistake_that_all_backends_share_is_seen(plant, data, monkeypatch):
    """The training that is written out does not run through what they share."""
    plant(monkeypatch)
    records = list(fit_level([get_contender("numpy")], make_oracle(), data, QUICK, 0))
    assert max(record.ratio for record in records) > 100
