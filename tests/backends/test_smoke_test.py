"""The smoke test rejects backends without in-place writes, and those that fail on their device."""

import array_api_compat.numpy as npx
import pytest
import torch

from backends import BackendUnavailable, available_backends, get_backend
from backends.numpy.backend import NumpyBackend
from backends.numpy.kernels import NumpyKernels
from backends.smoke_test import run_smoke_test
from backends.torch import backend as torch_backend


class Immutable(NumpyBackend):
    """An array library with immutable arrays, such as JAX."""

    def zeros(self, shape, dtype=None):
        array = super().zeros(shape, dtype)
        array.flags.writeable = False
        return array


class Half(NumpyBackend):
    """Its arrays have another dtype than it says."""

    def zeros(self, shape, dtype=None):
        return super().zeros(shape, dtype or "float16")


class Copying(NumpyBackend):
    """As dask: views are copies, so writes do not reach the array."""

    def view(self, array, shape):
        return super().view(array, shape).copy()


class Wrong(NumpyBackend):
    """Its matrix product is wrong."""

    def kernel_class(self):
        class WrongKernels(NumpyKernels):
            def dense(self, x, W, b, z):
                z.fill(7.0)

        return WrongKernels


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            Immutable,
            ("writing into a view of an array fails", "ValueError: assignment destination is read-only"),
        ),
        (Half, ("an array of its dtype fails", "it gave float16, expected float32")),
        (Copying, ("writing into a view of an array fails", "it gave [0.0, 0.0, 0.0, 0.0]")),
        (Wrong, ("a product and a compiled kernel fails", "it gave [[7.0, 7.0]")),
    ],
)
def test_rejects_backends_that_cannot_train(register, kind, words):
    register(lambda: lambda device, dtype, fused: kind("mine", npx, "cpu", dtype, fused))
    with pytest.raises(BackendUnavailable) as caught:
        get_backend("mine")
    sentence = str(caught.value)
    assert sentence.startswith("backend 'mine' cannot run on cpu: ")
    assert sentence.endswith("; use another backend")
    assert all(word in sentence for word in words), sentence
    assert available_backends()["mine"] == sentence


@pytest.mark.parametrize("fused", [True, False])
def test_working_backends_pass(backend, fused):
    run_smoke_test(get_backend(backend.name, backend.device, fused=fused))


def test_rejects_torch_that_fails_on_its_gpu(monkeypatch):
    """As on a GPU that is too old for this torch."""

    def no_code(*arguments):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    for name, value in {"is_available": True, "device_count": 1, "current_device": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch_backend.TorchBackend, "zeros", no_code)
    with pytest.raises(
        BackendUnavailable, match=r"'torch' cannot run on cuda:0.*no kernel image.*the device 'cpu'"
    ):
        get_backend("torch", "cuda")


def test_a_backend_requested_by_name_has_no_reason(backend):
    assert backend.reason is None
    assert "reason" not in backend.describe()
