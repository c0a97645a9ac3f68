"""CuPy's backend over a CuPy made of NumPy: it is tried out when made, and works on its own device alone."""

from __future__ import annotations

import contextlib
import sys
import types

import array_api_compat
import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest

from backends import BackendUnavailable, InputError, available_backends, get_backend
from backends.cupy import backend as cupy_backend
from backends.cupy import compiled
from backends.cupy import diagnosis as cupy_diagnosis

pytestmark = pytest.mark.skipif(host_cuda.COMPILER is None, reason="no C++ compiler")


class Cards:
    """CuPy's namespace: NumPy's, which notes on which device each call is made."""

    def __init__(self, count: int) -> None:
        self.count, self.current, self.worked_on = count, 0, set()
        self.broken = {}  # name -> error
        cards = self

        class Device(contextlib.AbstractContextManager):
            def __init__(self, number):
                self.id, self.before = number, []

            def __repr__(self):
                return f"<CUDA Device {self.id}>"

            def use(self):
                cards.current = self.id

            def __enter__(self):
                self.before.append(cards.current)
                self.use()

            def __exit__(self, *error):
                cards.current = self.before.pop()

            def synchronize(self):
                cards("synchronize")

        runtime = types.SimpleNamespace(
            driverGetVersion=lambda: 12080,
            runtimeGetVersion=lambda: 12090,
            getDeviceCount=lambda: count,
            getDeviceProperties=lambda number: {"name": b"H100"},
            CUDARuntimeError=RuntimeError,
        )
        self.module = types.ModuleType("cupy")
        self.module.__version__ = "14.2.0"
        self.module.cuda = types.SimpleNamespace(runtime=runtime, Device=Device)
        self.module.asnumpy = self.noting("asnumpy", lambda array: np.array(array))
        self.module.asarray = self.noting("asarray", np.asarray)
        self.xp = types.SimpleNamespace(**vars(npx))
        self.xp.zeros = self.noting("zeros", lambda shape, dtype, device: np.zeros(shape, dtype))
        self.xp.matmul = self.noting("matmul", np.matmul)

    def __call__(self, name: str) -> None:
        if name in self.broken:
            raise self.broken[name]
        self.worked_on.add((name, self.current))

    def noting(self, name, function):
        def call(*arguments, **options):
            self(name)
            return function(*arguments, **options)

        return call


@pytest.fixture
def cards(monkeypatch):
    def make(count=1):
        cards = Cards(count)
        monkeypatch.setattr(cupy_diagnosis, "installed_wheels", lambda: ["cupy-cuda12x"])
        for name, module in (
            ("cupy", cards.module),
            ("array_api_compat.cupy", cards.xp),
            ("cupy._core", None),
        ):
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(array_api_compat, "cupy", cards.xp, raising=False)
        monkeypatch.setattr(cupy_backend, "tf32", lambda wanted=None: False)
        elementwise = lambda name: cards.noting("kernel", host_cuda.Elementwise(name))  # noqa: E731
        monkeypatch.setattr(compiled, "elementwise", elementwise)
        monkeypatch.setattr(
            compiled, "raw_kernel", lambda n, real: cards.noting("kernel", host_cuda.raw(n, real))
        )
        return cards

    return make


def test_a_cupy_that_works_is_taken(cards):
    cards = cards()
    backend = get_backend("auto")
    assert (backend.name, backend.device_type) == ("cupy", "cuda")
    assert backend.reason == "cupy runs on the GPU"
    assert {"matmul", "kernel", "synchronize"} <= {name for name, _ in cards.worked_on}
    facts = {"device_name": "H100", "cuda": 12090, "driver": 12080, "tf32": False, "threads": None}
    assert (facts | {"graphs": False, "tested_on_gpu": False}).items() <= backend.describe().items()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("matmul", ImportError("libcublas.so.12: cannot open shared object file")),
        ("kernel", RuntimeError("cuda_fp16.h: No such file or directory")),
        ("synchronize", RuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")),
    ],
)
def test_a_cupy_that_fails_is_refused_and_auto_goes_on(cards, call, error):
    cards().broken[call] = error
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


def test_two_devices_in_one_process(cards):
    cards = cards(2)
    first, second = get_backend("cupy", "cuda:0"), get_backend("cupy", "cuda:1")
    for number, backend in enumerate((first, second)):
        for current in (0, 1):  # as in another thread, or after the other backend was made
            cards.current = current
            cards.worked_on.clear()
            x, b = backend.from_host(np.ones((2, 2), dtype=np.float32)), backend.zeros(2)
            y, dz, dW = (backend.zeros((2, 2)) for _ in range(3))
            backend.kernel("dense", "relu")(x, x, b, y)
            backend.kernel("dense_backward", "relu")(x, x, y, x, dz, (dW, b, None))
            backend.capture(lambda: cards("step"))(3)
            backend.to_host(y)
            names = {name for name, _ in cards.worked_on}
            assert names == {"asarray", "zeros", "matmul", "kernel", "step", "asnumpy"}
            assert {device for _, device in cards.worked_on} == {number}
            assert cards.current == current
    assert second.kernel("sgd") is second.kernel("sgd")
    assert (
        second.kernel("dense", "relu").args == second.wrapped(lambda n, k, f: f).kernel("dense", "relu").args
    )


def test_the_device_that_is_meant(cards):
    cards = cards(2)
    for said, number in ((None, 0), ("cuda", 0), ("cuda:1", 1), (1, 1), (cards.module.cuda.Device(1), 1)):
        assert get_backend("cupy", said).device.id == number
    for said in ("gpu", "cuda:x", "cuda:-1", "1" * 10):
        with pytest.raises(InputError, match="expected 'cuda' or 'cuda:N'"):
            get_backend("cupy", said)
    for said in ("cuda:2", "1" * 9):
        with pytest.raises(BackendUnavailable, match=r"has 2 CUDA device.*expected cuda:0 to cuda:1"):
            get_backend("cupy", said)


def test_precision_and_graphs_are_passed_on(cards, monkeypatch):
    cards()
    asked = []
    monkeypatch.setattr(cupy_backend, "tf32", lambda wanted=None: asked.append(wanted))
    backend = get_backend("cupy", precision="tf32", graphs=True)
    assert (backend.precision, backend.graphs, get_backend("cupy").graphs) == ("tf32", True, False)
    assert asked == [True, False]


def test_the_private_switch_of_tf32_is_taken_where_it_is(monkeypatch):
    kinds = {}
    linalg = types.SimpleNamespace(
        COMPUTE_TYPE_TF32=3,
        COMPUTE_TYPE_DEFAULT=0,
        set_compute_type=kinds.__setitem__,
        get_compute_type=lambda dtype: kinds.get(dtype, 0),
    )
    monkeypatch.setitem(sys.modules, "cupy._core", types.SimpleNamespace(_routines_linalg=linalg))
    assert [cupy_backend.tf32(wanted) for wanted in (None, True, None, False)] == [False, True, True, False]
    assert kinds == {np.dtype("float32"): 0}


def test_one_device_needs_no_switching(cards):
    cards()
    backend = get_backend("cupy")
    assert backend.kernel("sgd").func is not cupy_backend._on
