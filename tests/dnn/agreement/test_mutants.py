"""Mutants: each is first rejected at its level, makes the mistake it describes, and no other."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
from helpers import others_slow
from sklearn.datasets import load_digits

from backends import get_backend
from backends.dispatch import kernel_keys
from dnn.agreement import (
    LEVELS,
    MUTANTS,
    QUICK,
    Data,
    bits_level,
    check,
    get_mutant,
    make_oracle,
    worst_record,
)
from dnn.agreement.fits import fit_level
from dnn.agreement.mutants import mutant as changes
from dnn.agreement.mutants.mutant import Mutant, MutantContender
from dnn.agreement.mutants.plans import edit_plan
from dnn.agreement.setup import Setup
from dnn.layers import Activation

REJECTED_EARLIER = {"statistics-of-the-batch-in-evaluation"}
"""L1's oracle shares this mistake, so L1 rejects it by the bounds of another layer."""
QUICK_MUTANTS = [
    *(name for name, mutant in MUTANTS.items() if mutant.level == "L0"), "tf32", "dropped-mean",
    "flipped-kernel", "swapped-label",
]  # fmt: skip


@pytest.mark.parametrize("name", others_slow(MUTANTS, QUICK_MUTANTS))
def test_each_mutant_is_first_rejected_at_its_level(name):
    x, y = load_digits(return_X_y=True)
    data = Data((x / 16).astype(np.float32), y.astype(np.int64), 10)
    level = MUTANTS[name].level
    earlier = [other for other in LEVELS if other < level and name not in REJECTED_EARLIER]
    assert all(r.holds for r in check([get_mutant(name)], data, levels=earlier, sizes=QUICK))
    # The worst violation is far beyond the bound, so rejection does not depend on rounding.
    mutant = [get_mutant(name)]
    if level == "bits":
        records = list(bits_level(mutant, data, quick=True))
    else:
        records = check(mutant, data, levels=[level], sizes=QUICK)
    assert worst_record(records).ratio > 100


def test_docs_list_every_mutant():
    page = Path(__file__).parents[3] / "docs" / "agreement.md"
    row = re.compile(r"^\| ([a-z0-9-]+) \| (.+) \| (L[0-9]|bits) \|$", re.MULTILINE)
    rows = row.findall(page.read_text(encoding="utf-8"))
    assert rows == [(name, mutant.mistake, mutant.level) for name, mutant in MUTANTS.items()]


# --------------------------------------------------------------------------- what is changed


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_changes_only_its_functions(name):
    mutant = MUTANTS[name]
    backend = get_backend("numpy")
    wrong = mutant.mutate(backend)
    found = {f"xp.{k}" for k, v in vars(wrong.xp).items() if v is not vars(backend.xp)[k]}
    found |= {f"backend.{k}" for k in set(vars(wrong)) - set(vars(backend.with_wrapper(wrong.wrap)))}
    for kernel, kind in kernel_keys():
        if wrong.wrap(kernel, kind, print) is not print:
            found.add(kernel if kernel in mutant.changes else f"{kernel} {kind}")
    shared = {part for part in mutant.changes if part.startswith("dnn.")}
    right = {part: resolve_name(part) for part in shared}
    with get_mutant(name).shared_mistake():
        assert all(resolve_name(part) is not right[part] for part in shared)
    assert all(resolve_name(part) is right[part] for part in shared)
    assert found | shared == set(mutant.changes)


def test_change_helpers():
    def right(a, b):
        a += b
        return len(a)

    def run(change, *calls):
        function = change(right)
        found = []
        for a, b in calls:
            a = np.asarray(a)
            found.append((function(a, b), a.tolist()))
        return found

    one = ([1, 2], 3)
    assert run(changes.wrap_call(lambda f, a, b: f(a, b * 2)), one) == [(2, [7, 8])]
    assert run(changes.edit_argument(1, lambda b: b + 1), one) == [(2, [5, 6])]
    assert run(changes.edit_after(lambda a, b: np.copyto(a, 0)), one) == [(None, [0, 0])]
    assert run(changes.restore_view(lambda a, b: a[1:]), one) == [(None, [4, 2])]
    zero = changes.edit_argument(1, lambda b: 0)
    assert [a for _, a in run(changes.on_late_calls(zero), *[one] * 1001)][-2:] == [[4, 5], [1, 2]]


# --------------------------------------------------------------------------- what is computed

EXACT = get_backend("numpy", dtype="float64", fused=False)
RNG = np.random.default_rng(0)


def list_arrays(tree):
    """Return all arrays in nested tuples."""
    if isinstance(tree, tuple):
        return [a for part in tree for a in list_arrays(part)]
    return [tree] if isinstance(tree, np.ndarray) else []


def call_kernel(kernel, arguments, mutant=None):
    """Call "KERNEL[ KIND]", or a mutant's, with copies of the arguments, and return all arrays."""
    backend = EXACT if mutant is None else MUTANTS[mutant].mutate(EXACT)
    arguments = copy.deepcopy(arguments)
    with np.errstate(all="ignore"):
        backend.kernel(*kernel.split())(*arguments)
    return list_arrays(arguments)


def assert_equal(found, expected):
    """Assert that arrays are equal up to a few roundings."""
    for got, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-9, atol=1e-12)


def adam_arguments(count=5.0, c2=0.02, settings=(0.8, 0.95, 0.01)):
    draw = np.random.default_rng(1)
    p, g, m, v = draw.normal(size=(4, 6))
    return p, g, (m, v * v), np.asarray([0.1, 0.4, c2, count]), settings


def dense_backward_arguments(W):
    dy = np.random.default_rng(2).normal(size=(3, W.shape[1]))
    return dy, X, np.zeros_like(dy), W, dy, (np.zeros(W.shape), np.zeros(W.shape[1]), np.zeros((3, 4)))


def centered_rmsprop(variance):
    numbers = (np.full(1, v) for v in (1.0, 2.0, variance, 1.0, 2.0))
    p, g, *slots = numbers
    return p, g, tuple(slots), np.ones(4), (0.5, 0.1, 0.9)


def round_tf32(a):
    """Round to 10 bits of mantissa, ties to even."""
    mantissa, exponent = np.frexp(np.float32(a))
    return np.ldexp(np.rint(mantissa * 2.0**11), exponent - 11).astype(np.float64)


def round_float16(a):
    return a.astype(np.float16).astype(np.float64)


X = RNG.normal(size=(3, 4))
W = RNG.normal(size=(4, 4))
IMAGES = RNG.normal(size=(2, 5, 4, 2))
FILTERS = RNG.normal(size=(3, 2, 2, 3))
TABLE = RNG.normal(size=7)
PICKED = np.asarray([0, 3, 6])
NORM = (RNG.normal(size=(6, 3)), np.ones(3), np.zeros(3))
RUNNING = (np.ones(3), np.full(3, 2.0))
KEPT = (np.zeros(3), np.zeros(3))
OUT = np.zeros((6, 3))
BATCH = (*NORM, RUNNING, (0.3, 0.01), KEPT, OUT)
ROWS = (*NORM, 0.01, (np.zeros(6), np.zeros(6)), OUT)
LOSS = (RNG.normal(size=(6, 3)), np.asarray([0, 1, 1, 2, 2, 2]), np.zeros(6), np.zeros((6, 3)))
SWAPPED = (LOSS[0], np.asarray([0, 2, 2, 1, 1, 1]), *LOSS[2:])
ONE_HOT = (LOSS[0], np.eye(3)[LOSS[1]], *LOSS[2:])
CONV = (np.zeros(3), (1, 1), ((0, 0), (0, 0)), np.zeros((2, 3, 3, 3)))
POOL = ((2, 2), (2, 2), ((0, 0), (0, 0)), np.zeros((2, 2, 2, 2)), np.zeros((2, 2, 2, 2), np.int64))
TIES = np.asarray(
    [[1 + 2.0**-11, 1 + 3 * 2.0**-11, -1 - 2.0**-11, 3.0], [0, 1 + 2.0**-12, 5, 1 + 0.7 * 2.0**-10]]
)
SAME = [
    ("pixel-256", "gather_rows", (TABLE, PICKED, np.zeros(3), 1.0)),
    ("transposed-weight", "dense_backward linear", dense_backward_arguments(W[:, :3])),
    ("naive-variance", "batch_norm", BATCH),
]  # fmt: skip


@pytest.mark.parametrize(("mutant", "kernel", "arguments"), SAME, ids=[f"{m} {k}" for m, k, _ in SAME])
def test_a_mutant_is_right_on_unaffected_arguments(mutant, kernel, arguments):
    assert_equal(call_kernel(kernel, arguments, mutant), call_kernel(kernel, arguments))


OTHER = [
    (
        "adam-epsilon",
        "adam",
        adam_arguments(),
        adam_arguments(settings=(0.8, 0.95, 0.01 / (0.95 * 0.02 + 0.05) ** 0.5)),
    ),
    (
        "transposed-weight",
        "dense_backward linear",
        dense_backward_arguments(W),
        dense_backward_arguments(W.T),
    ),
    ("swapped-label", "softmax_cross_entropy integer", LOSS, SWAPPED),
    ("swapped-label", "softmax_cross_entropy dense", ONE_HOT, (LOSS[0], np.eye(3)[SWAPPED[1]], *LOSS[2:])),
    ("flipped-kernel", "conv2d", (IMAGES, FILTERS, *CONV), (IMAGES, FILTERS[::-1, ::-1], *CONV)),
    (
        "tf32",
        "dense linear",
        (TIES, W, W[0], np.zeros((2, 4))),
        (round_tf32(TIES), round_tf32(W), W[0], np.zeros((2, 4))),
    ),
    ("float16", "conv2d", (IMAGES, FILTERS, *CONV), (round_float16(IMAGES), round_float16(FILTERS), *CONV)),
]


@pytest.mark.parametrize(
    ("mutant", "kernel", "given", "other"), OTHER, ids=[f"{m} {k}" for m, k, *_ in OTHER]
)
def test_a_mutant_equals_the_kernel_of_changed_arguments(mutant, kernel, given, other):
    """Outputs are those of the right kernel with the other arguments; inputs stay unchanged."""
    found = call_kernel(kernel, given, mutant)
    expected = call_kernel(kernel, other)
    read = list_arrays(given)
    assert len(found) == len(expected)
    written = [not np.array_equal(a, b) for a, b in zip(expected, list_arrays(other), strict=True)]
    assert any(written)
    assert_equal(found, [w if changed else a for w, changed, a in zip(expected, written, read, strict=True)])


def test_get_mutant_returns_the_named_mutant():
    mutant = get_mutant("softmax-of-64")
    assert mutant.name == "numpy!softmax-of-64"
    z = np.zeros((1, 65))
    found = mutant.use(Activation("softmax"), (65,), {}, [(z, z)])["y"]
    np.testing.assert_allclose(found, 1 / 64, rtol=1e-6)
    np.testing.assert_array_equal(mutant.use(Activation("relu"), (65,), {}, [(z, z)])["y"], z)


def test_a_plan_without_a_mistake_is_within_bounds():
    """The mutants of plans start from a correct program."""
    x, y = load_digits(return_X_y=True)
    data = Data((x / 16).astype(np.float32), y.astype(np.int64), 10)
    right = MutantContender(Mutant("right", "", "", "backend.compile_plan", edit_plan(lambda plan: plan)))
    records = list(fit_level(Setup("L4", [right], make_oracle(), data, QUICK, 0)))
    assert [r.tensor for r in records if not r.holds] == []
