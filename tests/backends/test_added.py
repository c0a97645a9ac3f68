"""Activations and kernels added from outside work on every backend, also on existing ones."""

import types

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from helpers import BACKENDS, build_network, small_data
from host_cuda import CUPY_ON_NUMPY, find
from kernel_checks import assert_equals_reference

from backends import get_backend
from backends.reference import ACTIVATIONS, ActivationFunction, Kernels, declarations, kernel
from dnn import Conv2D, Dense, Flatten


def _sigmoid(xp, z):
    return 1.0 / (1.0 + xp.exp(-z))


def _silu_backward(xp, dy, z, y):
    s = _sigmoid(xp, z)
    return dy * (s + z * s * (1.0 - s))


MODULE = types.SimpleNamespace(
    added_silu=ActivationFunction(lambda xp, z: z * _sigmoid(xp, z), _silu_backward, rectifies=True),
    arctan=ActivationFunction(
        lambda xp, z: xp.atan(z), lambda xp, dy, z, y: dy * xp.cos(y) ** 2, from_output=True
    ),
)


@pytest.fixture(params=["added_silu", "arctan"])
def added_activation(request, monkeypatch):
    """The name of an added activation without overrides."""
    monkeypatch.setattr(ACTIVATIONS, "_entries", dict(ACTIVATIONS.items()))
    ACTIVATIONS.add(request.param, getattr(MODULE, request.param))
    return request.param


@pytest.mark.parametrize("layout", ["plain", "strided"])
@pytest.mark.parametrize("backend_id", [*BACKENDS, CUPY_ON_NUMPY])
def test_an_activation_without_overrides(make_backend, backend_id, added_activation, layout, monkeypatch):
    if backend_id == CUPY_ON_NUMPY:
        host_cuda.install(monkeypatch)
    backend = find(make_backend, backend_id, "float32")
    for name in ("activation", "activation_backward"):
        assert_equals_reference(backend, name, layout, only=added_activation)


@pytest.mark.parametrize("backend_id", BACKENDS)
def test_a_network_trains_with_an_added_activation(make_backend, backend_id, added_activation):
    x, y = small_data(40)
    losses = []
    for backend in (make_backend(backend_id), get_backend("numpy", dtype="float64", fused=False)):
        layers = [Conv2D(2, 2, added_activation), Flatten(), Dense(8, added_activation), Dense(3, "softmax")]
        model = build_network(layers, (2, 3, 1), backend, 3)
        model.compile(optimizer="sgd")
        images = x.reshape(-1, 2, 3, 1).astype(backend.dtype_name)
        losses.append(model.fit(images, y, epochs=3, batch_size=8).history["loss"])
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_subclass_may_declare_kernels_of_its_own():
    class More(Kernels):
        @kernel(writes=("y",))
        def twice(self, x, y):
            y[...] = 2.0 * x

    y = np.ones(3)
    More(npx).twice(npx.ones(3), y)
    assert y.tolist() == [2.0] * 3
    assert declarations(More)["twice"].writes == ("y",)
