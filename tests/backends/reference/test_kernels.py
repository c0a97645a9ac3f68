"""The reference kernels, which define correct results, against PyTorch and known answers in float64.

test_layer_kernels.py has dropout and noise, and tests/dnn/interop/torch layers, activations, losses and
optimizers.
"""

import array_api_compat.numpy as npx
import numpy as np
import pytest
import torch
from helpers import assert_close
from oracles import TIGHT, T

from backends.reference import ACTIVATIONS, Kernels


def run(name, *args):
    getattr(Kernels(npx), name)(*args)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activation_properties(kind):
    """A gated f falls below 0 and returns to 0. One that rectifies has f(0) = 0, and f' rises from 0 to 1."""
    z = np.concatenate([np.linspace(-20.0, 20.0, 401), [0.0, 1e-9, -1e-9]])[:, None]
    y, dz = np.empty_like(z), np.empty_like(z)
    run("activation", kind, z, y)
    run("activation_backward", kind, np.ones_like(z), z, y, dz)
    (low, *_, high), zero = dz[:401, 0], y[-3, 0]
    measured = {
        "kink": abs(dz[-2, 0] - dz[-1, 0]) > 0.1,
        "gated": y.min() < -0.1 and abs(y[0, 0]) < 1e-6,
        "rectifies": abs(zero) < 1e-6 and abs(low) < 0.1 and abs(high - 1) < 0.1,
    }
    for name, value in measured.items():
        assert getattr(ACTIVATIONS[kind], name) == value, f"{name} of {kind} in ACTIVATIONS"


def test_reference_cross_entropy_of_rows_with_any_sum():
    rng = np.random.default_rng(4)
    outputs, targets = rng.normal(size=(7, 5)) * 5, rng.uniform(size=(7, 5))
    losses, gradient = np.empty(7), np.empty((7, 5))
    run("softmax_cross_entropy", outputs, targets, losses, gradient)
    leaf = T(outputs).requires_grad_()
    torch.nn.functional.cross_entropy(leaf, T(targets)).backward()
    assert_close(gradient, leaf.grad.numpy(), TIGHT)


def test_reference_hinge_of_nan():
    losses, gradient = np.empty(1), np.empty((1, 2))
    run("hinge", np.asarray([[np.nan, 2.0]]), np.ones((1, 2)), losses, gradient)
    assert np.isnan(losses[0])
    assert gradient[0, 1] == 0.0


def test_reference_cross_entropy_of_an_infinite_logit():
    losses, gradient = np.empty(1), np.empty((1, 2))
    with np.errstate(invalid="ignore"):
        run("softmax_cross_entropy", np.asarray([[-np.inf, 1.0]]), np.asarray([1]), losses, gradient)
    assert losses.tolist() == [0.0]
    assert gradient.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
@pytest.mark.parametrize("limit", [1e-3, 0.5, 1e3])
@pytest.mark.parametrize("special", [None, np.nan, np.inf])
def test_reference_clipping(name, limit, special):
    g = np.random.default_rng(8).normal(size=40)
    if special is not None:
        g[3] = special
    leaf = torch.zeros(40, dtype=torch.float64, requires_grad=True)
    leaf.grad = T(g)
    getattr(torch.nn.utils, name.replace("clip", "clip_grad") + "_")([leaf], limit)
    before = g.copy()
    with np.errstate(invalid="ignore"):
        run(name, g, limit)
    assert_close(g, leaf.grad.numpy(), TIGHT)
    if special is None:
        assert np.array_equal(g, before) == (limit == 1e3)


def test_reference_gather_rows():
    pixels, out = np.asarray([[0, 51], [255, 102]], dtype=np.uint8), np.empty((3, 2))
    run("gather_rows", pixels, np.asarray([1, 0, 1]), out, 1 / 255)
    assert_close(out, np.asarray([[1.0, 0.4], [0.0, 0.2], [1.0, 0.4]]), 1e-15)


# Known answers of the Random123 distribution (kat_vectors, threefry2x32, 20 rounds).
KNOWN = {
    ((0, 0), (0, 0)): (0x6B200159, 0x99BA4EFE),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF)): (0x1CB996FC, 0xBB002BE7),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3)): (0xC4923A9C, 0x483DF7A0),
}


def test_threefry_known_answers(backend):
    for (key, counter), (first, second) in KNOWN.items():
        high, low = (backend.from_host(np.asarray([word])) for word in counter)
        out = backend.zeros(1, dtype=backend.xp.int64)
        backend.kernels.threefry(key, high, low, out)
        assert int(backend.to_host(out)[0]) == (first >> 1) << 32 | second
