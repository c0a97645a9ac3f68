"""The CuPy backend on a mock of CuPy made of NumPy: its smoke test, and errors for unsupported settings."""

import sys
import types

import array_api_compat
import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from helpers import input_error

from backends import BackendUnavailable, available_backends, get_backend, registry
from backends.cupy import backend as cupy_backend
from backends.cupy import compilation


class Card:
    """A mock of CuPy's namespace: NumPy's, with recorded calls and errors on request."""

    def __init__(self):
        self.called = set()
        self.broken = {}  # name -> error
        self.capability = "90"
        card = self

        class Device:
            def __init__(self, number):
                self.id = number

            @property
            def compute_capability(self):
                return card.capability

            def __repr__(self):
                return f"<CUDA Device {self.id}>"

            def use(self):
                card("use")

            def synchronize(self):
                card("synchronize")

        runtime = types.SimpleNamespace(
            driverGetVersion=lambda: 12080,
            runtimeGetVersion=lambda: 12090,
            getDeviceCount=lambda: 2,
            getDeviceProperties=lambda number: {"name": b"H100"},
        )
        self.module = types.ModuleType("cupy")
        self.module.__version__ = "14.2.0"
        self.module.cuda = types.SimpleNamespace(runtime=runtime, Device=Device)
        self.module.asnumpy = self.noting("asnumpy", lambda array: np.array(array))
        self.xp = types.SimpleNamespace(**vars(npx))
        self.xp.asarray = lambda array, dtype, device: np.asarray(array, dtype)
        self.xp.zeros = lambda shape, dtype, device: np.zeros(shape, dtype)
        self.xp.matmul = self.noting("matmul", np.matmul)

    def __call__(self, name):
        if name in self.broken:
            raise self.broken[name]
        self.called.add(name)

    def noting(self, name, function):
        def call(*arguments, **options):
            self(name)
            return function(*arguments, **options)

        return call


@pytest.fixture
def card(monkeypatch, on_the_host):
    card = Card()
    monkeypatch.setattr(registry, "has_gpu_driver", lambda: True)
    for name, module in (("cupy", card.module), ("array_api_compat.cupy", card.xp), ("cupy._core", None)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(array_api_compat, "cupy", card.xp, raising=False)
    monkeypatch.setattr(cupy_backend, "set_tf32", lambda wanted: None)
    monkeypatch.setattr(
        compilation, "elementwise", lambda name: card.noting("kernel", host_cuda.Elementwise(name))
    )
    monkeypatch.setattr(
        compilation, "raw_kernel", lambda *which: card.noting("kernel", host_cuda.raw(*which))
    )
    return card


def test_auto_uses_a_working_cupy(card):
    backend = get_backend("auto")
    assert (backend.name, backend.device_type) == ("cupy", "cuda")
    assert backend.reason == "cupy runs on the GPU"
    assert {"use", "matmul", "kernel", "synchronize"} <= card.called
    facts = {"device_name": "H100", "cuda": 12090, "driver": 12080, "threads": 1}
    assert (facts | {"graphs": False, "tested_on_gpu": False}).items() <= backend.describe().items()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("matmul", ImportError("libcublas.so.12: cannot open shared object file")),
        ("kernel", RuntimeError("cuda_fp16.h: No such file or directory")),
        ("synchronize", RuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")),
    ],
)
def test_auto_skips_a_failing_cupy(card, call, error):
    card.broken[call] = error
    with pytest.raises(BackendUnavailable) as caught:
        get_backend("cupy")
    sentence = str(caught.value)
    assert f"a product and a compiled kernel fails ({type(error).__name__}: {error})" in sentence
    assert "nvidia-smi" in sentence
    assert 'pip install -e ".[cuda12]"' in sentence
    assert available_backends()["cupy"] == sentence
    backend = get_backend("auto")
    assert backend.name in ("numba", "numpy")
    assert str(error) in backend.reason


def test_uses_the_first_visible_gpu(card):
    for device in (None, "cuda", "cuda:0", card.module.cuda.Device(0)):
        assert get_backend("cupy", device).device.id == 0
    for device in ("gpu", "cpu", 0):
        with input_error("expected 'cuda' for the backend 'cupy'"):
            get_backend("cupy", device)
    with pytest.raises(
        BackendUnavailable, match=r"first visible GPU, got device 'cuda:1'; .* CUDA_VISIBLE_DEVICES$"
    ):
        get_backend("cupy", "cuda:1")


def test_passes_on_precision_and_graphs(card, monkeypatch):
    asked = []
    monkeypatch.setattr(cupy_backend, "set_tf32", asked.append)
    backend = get_backend("cupy", precision="tf32", graphs=True)
    assert (backend.precision, backend.graphs, get_backend("cupy").graphs) == ("tf32", True, False)
    assert asked == [True, False]


@pytest.mark.parametrize(("capability", "holds"), [("75", False), ("80", True), ("120", True)])
def test_rejects_tf32_on_old_gpus(card, capability, holds):
    card.capability = capability
    if holds:
        assert get_backend("cupy", precision="tf32").precision == "tf32"
    else:
        with input_error(r"'tf32' on compute capability 7\.5, expected .* 8\.0 or newer"):
            get_backend("cupy", precision="tf32")
    assert get_backend("cupy").precision == "float32"


def test_uses_the_private_tf32_switch_if_present(monkeypatch):
    kinds = {}
    linalg = types.SimpleNamespace(
        COMPUTE_TYPE_TF32=3,
        COMPUTE_TYPE_DEFAULT=0,
        set_compute_type=kinds.__setitem__,
    )
    monkeypatch.setitem(sys.modules, "cupy._core", types.SimpleNamespace(_routines_linalg=linalg))
    for wanted, kind in ((True, 3), (False, 0)):
        cupy_backend.set_tf32(wanted)
        assert kinds == {np.dtype("float32"): kind}
