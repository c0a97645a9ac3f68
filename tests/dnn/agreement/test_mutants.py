"""Mutants: each is wrong in the one way that it says, and right in all others."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from backends import get_backend
from dnn.agreement import MUTANTS, get_mutant

EXACT = get_backend("numpy", dtype="float64", fused=False)
RNG = np.random.default_rng(0)
KIND = {"softmax_cross_entropy": "integer", "mean_absolute_error": "integer", "dense": "tanh"}


def arrays(tree):
    """Those in nested tuples."""
    if isinstance(tree, tuple):
        return [a for part in tree for a in arrays(part)]
    return [tree] if isinstance(tree, np.ndarray) else []


def right(kernel, kind=None):
    """The reference kernel, of copies of its arguments; returns all arrays after it."""

    def run(*arguments):
        arguments = copy.deepcopy(arguments)
        with np.errstate(all="ignore"):
            EXACT.kernel(name, kind or KIND.get(name))(*arguments)
        return arrays(arguments)

    name = kernel.split()[0]
    return run


def wrong(mutant, kernel, kind=None):
    """The mutant's kernel, in the same way."""
    name, *own = kernel.split()
    made = MUTANTS[mutant][kernel](EXACT.kernel(name, kind or (own[0] if own else KIND.get(name))))

    def run(*arguments):
        arguments = copy.deepcopy(arguments)
        with np.errstate(all="ignore"):
            made(*arguments)
        return arrays(arguments)

    return run


def assert_equal(found, wanted):
    """These arrays, to a few roundings."""
    for got, expected in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def adam(count=5.0, c2=0.02, settings=(0.8, 0.95, 0.01)):
    draw = np.random.default_rng(1)
    p, g, m, v = draw.normal(size=(4, 6))
    return p, g, (m, v * v), np.asarray([0.1, 0.4, c2, count]), settings


X, W = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4))
IMAGES, FILTERS = RNG.normal(size=(2, 5, 4, 2)), RNG.normal(size=(3, 2, 2, 3))
TABLE, ROWS = RNG.normal(size=7), RNG.normal(size=(7, 2))
PICKED = np.asarray([0, 3, 6])
NORM = (RNG.normal(size=(6, 3)), np.ones(3), np.zeros(3))
RUNNING, KEPT, OUT = (np.ones(3), np.full(3, 2.0)), (np.zeros(3), np.zeros(3)), np.zeros((6, 3))
LOSS = (RNG.normal(size=(6, 3)), np.asarray([0, 1, 1, 2, 2, 2]), np.zeros(6), np.zeros((6, 3)))
SWAPPED = (LOSS[0], np.asarray([0, 2, 2, 1, 1, 1]), *LOSS[2:])
ONE_HOT = (LOSS[0], np.eye(3)[LOSS[1]], *LOSS[2:])
FAR = (1000 * LOSS[0], *ONE_HOT[1:])
TURNED = np.ascontiguousarray(FILTERS[::-1, ::-1])
CONV = (np.zeros(3), (1, 1), ((0, 0), (0, 0)), np.zeros((2, 3, 3, 3)))
VIEWS = (np.tile(np.eye(2), (2, 1, 1)), RNG.uniform(-2, 2, (2, 2, 5, 4)), np.zeros(IMAGES.shape))
CENTERED = (
    np.ones(1),
    np.full(1, 3.0),
    (np.full(1, 9.0), np.ones(1), np.ones(1)),
    np.ones(4),
    (0.5, 0.1, 0.9),
)


def dense_backward(W, dx=True):
    dy = np.random.default_rng(2).normal(size=(3, W.shape[1]))
    gradients = np.zeros(W.shape), np.zeros(W.shape[1]), np.zeros((3, 4)) if dx else None
    return dy, X, np.zeros_like(dy), W, dy, gradients


def tf32(a):
    """10 bits behind the point, to nearest even."""
    mantissa, exponent = np.frexp(np.float32(a))
    return np.ldexp(np.rint(mantissa * 2.0**11), exponent - 11).astype(np.float64)


def half(a):
    return a.astype(np.float16).astype(np.float64)


TIES = np.asarray(
    [[1 + 2.0**-11, 1 + 3 * 2.0**-11, -1 - 2.0**-11, 3.0], [0, 1 + 2.0**-12, 5, 1 + 0.7 * 2.0**-10]]
)
OTHER_ARGUMENTS = {
    "adam-epsilon adam": (adam(), adam(settings=(0.8, 0.95, 0.01 / (0.95 * 0.02 + 0.05) ** 0.5))),
    "late-bias adam": (adam(1000.0), adam(1000.0, 1.0)),
    "late-bias adam, before": (adam(999.0), adam(999.0)),
    "fixed-beta adam": (adam(), adam(settings=(0.9, 0.95, 0.01))),
    "negative-variance rmsprop_centered, where it is above 0": (CENTERED, CENTERED),
    "half-penalty penalty": ((X[0], X[1], 0.5, 0.25), (X[0], X[1], 0.5, 0.125)),
    "rate-before gather_rows": tuple((TABLE, i, np.zeros(3), 1.0) for i in (PICKED, np.asarray([0, 2, 5]))),
    "rate-before gather_rows, rows": ((ROWS, PICKED, np.zeros((3, 2)), 1.0),) * 2,
    "rate-before gather_rows, labels": ((PICKED, PICKED[:1], np.zeros(1, np.int64), 1.0),) * 2,
    "pixel-256 gather_rows": tuple((ROWS, PICKED, np.zeros((3, 2)), scale) for scale in (0.1, 1 / 256)),
    "pixel-256 gather_rows, others": ((ROWS, PICKED, np.zeros((3, 2)), 1.0),) * 2,
    "repeated-mask threefry": (
        ((7, 8), np.asarray([5]), np.arange(3), np.zeros(3, np.int64)),
        ((7, 8), np.asarray([0]), np.arange(3), np.zeros(3, np.int64)),
    ),
    "fixed-momentum batch_norm": tuple((*NORM, RUNNING, (m, 0.01), KEPT, OUT) for m in (0.3, 0.1)),
    "naive-variance batch_norm": ((*NORM, RUNNING, (0.3, 0.01), KEPT, OUT),) * 2,
    "transposed-weight dense_backward": (dense_backward(W), dense_backward(W.T)),
    "transposed-weight dense_backward, oblong": (dense_backward(W[:, :3]),) * 2,
    "swapped-label softmax_cross_entropy": (LOSS, SWAPPED),
    "swapped-label softmax_cross_entropy, rows": (ONE_HOT, (LOSS[0], np.eye(3)[SWAPPED[1]], *LOSS[2:])),
    "unshifted softmax_cross_entropy": (LOSS, LOSS),
    "unshifted softmax_cross_entropy, rows": (FAR, FAR),
    "unshifted-softmax activation softmax": ((X, np.zeros((3, 4))),) * 2,
    "flipped-kernel conv2d": ((IMAGES, FILTERS, *CONV), (IMAGES, TURNED, *CONV)),
    "nearest-pixel warp_images": ((IMAGES, *VIEWS), (IMAGES, VIEWS[0], np.rint(VIEWS[1]), VIEWS[2])),
    "tf32 dense": ((TIES, W, W[0], np.zeros((2, 4))), (tf32(TIES), tf32(W), W[0], np.zeros((2, 4)))),
    "float16 conv2d": ((IMAGES, FILTERS, *CONV), (half(IMAGES), half(FILTERS), *CONV)),
}  # fmt: skip


WRITTEN = {
    "adam": (0, 2, 3), "rmsprop_centered": (0, 2, 3, 4, 5), "dense_backward": (-3, -2, -1), "penalty": (1,),
    "batch_norm": (3, 4, 5, 6, 7), "softmax_cross_entropy": (-2, -1),
}  # fmt: skip
"""Which arrays; else the last."""


@pytest.mark.parametrize("name", OTHER_ARGUMENTS)
def test_a_mutant_is_the_right_kernel_of_other_arguments(name):
    """Of what is written; what is read may be another array."""
    mutant, kernel = name.partition(",")[0].split(" ", 1)
    given, other = OTHER_ARGUMENTS[name]
    kind = "softmax" if kernel.endswith("softmax") else "linear" if kernel.startswith("dense") else None
    if kernel.endswith("entropy") and given[1].ndim == 2:
        kind = "dense"
    found, wanted = wrong(mutant, kernel, kind)(*given), right(kernel, kind)(*other)
    assert len(found) == len(wanted)
    for i in WRITTEN.get(kernel, (-1,)):
        np.testing.assert_allclose(found[i], wanted[i], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("mutant", "rounded"), [("tf32", tf32), ("float16", half)])
def test_backward_rounds_every_factor(mutant, rounded):
    dy, x, y, W_, dz, gradients = dense_backward(W)
    found = wrong(mutant, "dense_backward", "linear")(dy, x, y, W_, dz, gradients)
    dy = rounded(dy)
    assert_equal(found[-3:], [rounded(x).T @ dy, dy.sum(axis=0), dy @ rounded(W_).T])
    dz = RNG.normal(size=(2, 3, 3, 3))
    gradients = np.zeros(FILTERS.shape), np.zeros(3), np.zeros(IMAGES.shape)
    found = wrong(mutant, "conv2d_backward")(dz, IMAGES, FILTERS, (1, 1), ((0, 0), (0, 0)), gradients)
    wanted = right("conv2d_backward")(
        rounded(dz), rounded(IMAGES), rounded(FILTERS), (1, 1), ((0, 0), (0, 0)), gradients
    )
    assert_equal(found[-3:], wanted[-3:])


def test_a_flipped_convolution_has_its_own_gradients():
    """They are the adjoint of its forward, which is linear in its filters and in its images."""
    dz = RNG.normal(size=(2, 3, 3, 3))
    gradients = np.zeros(FILTERS.shape), np.zeros(3), np.zeros(IMAGES.shape)
    *_, z = wrong("flipped-kernel", "conv2d")(IMAGES, FILTERS, *CONV)
    found = wrong("flipped-kernel", "conv2d_backward")(dz, IMAGES, FILTERS, *CONV[1:3], gradients)
    assert np.sum(found[-3] * FILTERS) == pytest.approx(np.sum(dz * z))
    assert np.sum(found[-1] * IMAGES) == pytest.approx(np.sum(dz * z))
    np.testing.assert_allclose(found[-2], dz.sum(axis=(0, 1, 2)))


@pytest.mark.parametrize(
    ("mutant", "factors"),
    [("dropped-mean", [6, 2, 1]), ("ddof1", [6 / 5, 2, 1]), ("short-batch", [1, 1 / 3, 1 / 6])],
)
def test_gradients_of_losses_have_another_factor(mutant, factors):
    """Of batches of 6, 2 and 1; the losses are right."""
    run = wrong(mutant, "softmax_cross_entropy")
    for n, factor in zip((6, 2, 1), factors, strict=True):
        some = tuple(a[:n] for a in LOSS)
        found, wanted = run(*some), right("softmax_cross_entropy")(*some)
        assert_equal(found[2:], [wanted[2], factor * wanted[3]])
    assert set(MUTANTS[mutant]) >= {"softmax_cross_entropy", "sigmoid_cross_entropy", "hinge"}


def test_what_optimizers_keep_is_old_or_short():
    found, wanted = wrong("stale-momentum", "adam")(*adam()), right("adam")(*adam())
    assert_equal(found, [*wanted[:2], adam()[2][0], *wanted[3:]])
    for before, after in ((32766.0, 32767.0), (32767.0, -32768.0)):
        found, wanted = wrong("short-count", "adam")(*adam(before)), right("adam")(*adam(before))
        assert_equal(found, [*wanted[:4], np.asarray([*wanted[4][:3], after])])
    given = (
        np.ones(1),
        np.full(1, 2.0),
        (np.full(1, 0.5), np.ones(1), np.full(1, 2.0)),
        np.ones(4),
        (0.5, 0.1, 0.9),
    )
    p, _, v, velocity, mean, control = wrong("negative-variance", "rmsprop_centered")(*given)
    assert (v.item(), mean.item(), control[3]) == (2.25, 2.0, 2.0)
    assert velocity.item() == pytest.approx(0.9 + 2 / (1.75**0.5 + 0.1))
    assert p.item() == pytest.approx(1 - velocity.item())


def test_others():
    given = (*NORM, RUNNING, (0.3, 0.01), KEPT, OUT)
    found, wanted = wrong("biased-variance", "batch_norm")(*given), right("batch_norm")(*given)
    assert_equal(found, [*wanted[:4], 0.7 * 2 + 0.3 * NORM[0].var(axis=0), *wanted[5:]])
    y, t = np.asarray([[0.0, 1.0], [2.0, 3.0]]), np.asarray([1, 0])
    found = wrong("sign-of-zero", "mean_absolute_error")(y, t, np.zeros(2), np.zeros((2, 2)))
    np.testing.assert_array_equal(found[-1], np.full((2, 2), 0.25))
    found = wrong("lost-nan", "dense", "linear")(np.asarray([[np.nan], [np.inf], [-np.inf]]), np.ones((1, 1)),
                                                 np.zeros(1), np.zeros((3, 1)))  # fmt: skip
    np.testing.assert_array_equal(found[-1], [[0.0], [np.inf], [-np.inf]])
    found = wrong("lost-duplicates", "scatter_rows")(ROWS[:3], np.asarray([1, 0, 1]), np.zeros((3, 2)))
    np.testing.assert_array_equal(found[-1], [ROWS[1], ROWS[2], [0, 0]])
    shares = np.full((5, 5), 20.0)
    given = (RNG.integers(0, 2**62, (2, 8)), shares, shares, 8.0, np.zeros((2, 2, 5, 5)))
    found, wanted = wrong("one-field", "smooth_moves")(*given)[-1], right("smooth_moves")(*given)[-1]
    np.testing.assert_array_equal(found, wanted[:, [0, 0]])
    far = wrong("unshifted", "softmax_cross_entropy")(*FAR[:1], *LOSS[1:])
    assert not np.isfinite(far[2]).all()
    far = wrong("unshifted-softmax", "activation softmax")(1000 * X, np.zeros((3, 4)))
    assert np.isnan(far[-1]).any()


def test_a_mutant_has_the_name_and_the_kernels_that_it_was_asked_for():
    mutant = get_mutant("unshifted-softmax")
    assert mutant.name == "numpy!unshifted-softmax"
    z = np.asarray([[0.0, 1000.0]])
    assert np.isnan(mutant.activation("softmax", z, z)[0]).any()
    np.testing.assert_array_equal(mutant.activation("relu", z, z)[0], z)
