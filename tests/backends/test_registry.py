"""Backends by name: devices, dtypes, errors, registered backends; light imports."""

import importlib.util
import os
import sys
import types
from importlib.metadata import EntryPoint

import array_api_compat.numpy as npx
import numpy as np
import pytest
import torch
from command_lines import run_code
from helpers import both_dtypes, input_error, no_gpu

from backends import BackendUnavailable, available_backends, backend_names, get_backend, registry
from backends.numpy.backend import NumpyBackend

# --------------------------------------------------------------------------- get_backend


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("jax", {}, "backend is 'jax', expected one of auto, numpy, numba, cupy, torch, strict"),
        ("nunpy", {}, "did you mean 'numpy'"),
        ("GPU", {}, "cupy, or torch; .*--backend torch --device cuda"),
        ("numpy", {"dtype": "float16"}, "dtype is 'float16', expected one of float32, float64"),
        ("auto", {"dtype": "int8"}, "dtype is 'int8'"),
        ("numpy", {"fused": 1}, r"fused and graphs are \(1, False\), expected True or False"),
        ("numpy", {"graphs": "yes"}, "fused and graphs are .*'yes'"),
        ("auto", {"cpu_first": "cupy"}, "cpu_first is 'cupy', expected one of numba, torch"),
        ("numpy", {"precision": "tf23"}, "precision is 'tf23', expected one of float32, tf32"),
        ("numpy", {"device": "cuda"}, "device is 'cuda', expected 'cpu'"),
        ("strict", {"device": "cuda"}, "device is 'cuda', expected one of CPU_DEVICE, device1"),
        ("strict", {"device": "no_float64", "dtype": "float64"}, "expected 'float32'"),
        ("torch", {"device": "gpu"}, "device is 'gpu', expected 'cpu', 'cuda'"),
        ("torch", {"device": "meta"}, "device is 'meta', expected 'cpu', 'cuda'"),
        ("torch", {"device": "cpu:3"}, "device is 'cpu:3', expected 'cpu'"),
        ("torch", {"device": 1.5}, "device is 1.5"),
        ("torch", {"device": 10**400}, "device is 1000"),
        ("strict", {"device": 10**400}, "device is 1000"),
        ("strict", {"device": 1}, "device is 1, expected one of CPU_DEVICE"),
        ("torch", {"threads": 0}, "threads is 0, expected a whole number from 1 to 1024"),
        ("torch", {"threads": 1025}, "threads is 1025, expected a whole"),
        ("torch", {"threads": True}, "threads is True"),
        ("strict", {"threads": 1}, "threads is 1, expected None: the backend 'strict'"),
        ("strict", {"threads": 1024}, "threads is 1024, expected None"),
    ],
)
def test_refused(name, options, message):
    with input_error(message):
        get_backend(name, **options)


@pytest.mark.parametrize(
    ("name", "device", "shown"),
    [
        ("numpy", "cpu", "cpu"),
        ("torch", None, "cpu"),
        ("torch", "cpu:0", "cpu"),
        ("torch", torch.device("cpu"), "cpu"),
        ("strict", "cpu", "CPU_DEVICE"),
        ("strict", "device2", "device2"),
        ("strict", "no_float64", "no_float64"),
    ],
)
def test_devices(name, device, shown):
    backend = get_backend(name, device)
    assert shown in str(backend.device)
    assert backend.owns(backend.zeros(3))


def test_the_number_of_threads():
    backend = get_backend("torch", threads=2)
    assert backend.thread_count == 2


def test_accepts_the_backends_device_object(backend):
    again = get_backend(backend.name, backend.device)
    assert again.owns(backend.zeros(1))


@both_dtypes
def test_dtype(dtype):
    for name in ("numpy", "torch", "strict"):
        backend = get_backend(name, dtype=dtype)
        assert backend.dtype == getattr(backend.xp, dtype) == backend.zeros(1).dtype


@no_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")])
def test_torch_cuda_without_a_gpu(device):
    with pytest.raises(BackendUnavailable, match=r"needs a CUDA device.*the device 'cpu'"):
        get_backend("torch", device)


@no_gpu
def test_auto_without_a_gpu_uses_numba():
    cpu = "numba" if importlib.util.find_spec("numba") else "torch"
    backend = get_backend("auto", dtype="float64", fused=False)
    assert (backend.name, backend.dtype_name, backend.fused) == (cpu, "float64", False)
    assert backend.describe()["reason"] == backend.reason
    assert get_backend("auto", device="cpu").name == cpu
    with pytest.raises(BackendUnavailable, match="CUDA"):
        get_backend("auto", device="cuda")


GPUS = "cupy", "torch on cuda"
CPUS = "numba", "torch on cpu", "numpy"
FAST = "numba is the fastest on the CPU"
NO_NUMBA = "numba is missing; pip install numba"
SLOWEST = f"numpy runs everywhere; {NO_NUMBA}"


@pytest.fixture
def only(monkeypatch):
    """Make stand-ins the only backends that can run, with or without a GPU's driver."""

    def make_only(able, driver):
        def factory(name):
            def make(device, dtype, fused):
                place = f"torch on {device}" if name == "torch" else name
                if place not in able:
                    raise BackendUnavailable(f"{place} is missing; pip install {name}")
                return NumpyBackend(name, npx, device or "cpu", dtype, fused)

            return make

        monkeypatch.setattr(registry, "_factory", factory)
        monkeypatch.setattr(registry, "has_gpu_driver", lambda: driver)

    return make_only


TORCH_FIRST = "torch is the fastest on the CPU"
NO_TORCH = "torch on cpu is missing; pip install torch"


def test_auto_prefers_numba_for_the_reproducible_precision():
    chosen = get_backend("auto", "cpu", precision="reproducible", cpu_first="torch")
    assert chosen.name == get_backend("auto", "cpu").name


@pytest.mark.parametrize(
    ("first", "able", "driver", "device", "place", "reason"),
    [
        ("numba", (*GPUS, *CPUS), True, None, ("cupy", "cpu"), "cupy runs on the GPU"),
        ("numba", (*GPUS[1:], *CPUS), True, None, ("torch", "cuda"),
         "torch runs on the GPU; cupy is missing; pip install cupy"),
        ("numba", CPUS, True, None, ("numba", "cpu"), f"{FAST}; cupy is missing; pip install cupy"),
        ("numba", CPUS, False, None, ("numba", "cpu"), f"{FAST}; there is no NVIDIA driver"),
        ("numba", (*GPUS, *CPUS), True, "cpu", ("numba", "cpu"), FAST),
        ("numba", CPUS[1:], False, None, ("torch", "cpu"), f"torch is faster than NumPy; {NO_NUMBA}"),
        ("numba", CPUS[2:], False, None, ("numpy", "cpu"), SLOWEST),
        ("numba", CPUS[2:], True, "cpu", ("numpy", "cpu"), SLOWEST),
        ("numba", (*GPUS[1:], *CPUS), False, "cuda", ("torch", "cuda"),
         "torch runs on the GPU; cupy is missing; pip install cupy"),
        ("torch", (*GPUS, *CPUS), True, None, ("cupy", "cpu"), "cupy runs on the GPU"),
        ("torch", CPUS, False, None, ("torch", "cpu"), f"{TORCH_FIRST}; there is no NVIDIA driver"),
        ("torch", CPUS, True, "cpu", ("torch", "cpu"), TORCH_FIRST),
        ("torch", ("numba", "numpy"), False, None, ("numba", "cpu"),
         f"numba is faster than NumPy; {NO_TORCH}"),
        ("torch", CPUS[2:], False, None, ("numpy", "cpu"), f"numpy runs everywhere; {NO_TORCH}"),
    ],
)  # fmt: skip
def test_auto_uses_the_fastest_and_names_a_faster_one(only, first, able, driver, device, place, reason):
    only(able, driver)
    chosen = get_backend("auto", device, cpu_first=first)
    assert ((chosen.name, chosen.device), chosen.reason) == (place, reason)
    assert chosen.with_wrapper(lambda name, kernel: kernel).reason == reason


def test_auto_raises_the_last_reason(only):
    only(CPUS, driver=False)
    with pytest.raises(BackendUnavailable, match=r"^torch on cuda is missing"):
        get_backend("auto", "cuda")
    only((), driver=True)
    with pytest.raises(BackendUnavailable, match=r"^numpy is missing"):
        get_backend("auto")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("numba", ModuleNotFoundError("-", name="numba"), "numba is not installed; pip install numba"),
        ("torch", ModuleNotFoundError("No x.y", name="x_y.z"),
         "backend 'torch' cannot run: x-y is not installed; pip install x-y"),
        ("numba", ImportError("needs NumPy 2"), r".*needs NumPy 2\); pip install --force-reinstall numba"),
        ("numba", ValueError("NUMBA_X is 3"), r"backend 'numba' cannot run \(ValueError: NUMBA_X is 3\)"),
    ],
)  # fmt: skip
def test_names_what_cannot_be_imported(monkeypatch, name, error, message):
    def fail(module):
        raise error

    for variable in [v for v in os.environ if v.startswith("NUMBA_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setattr(registry.importlib, "import_module", fail)
    with pytest.raises(BackendUnavailable, match=f"^{message}$"):
        get_backend(name)


@pytest.mark.parametrize("name", ["numpy", "numba", "torch", "auto"])
def test_without_array_api_compat(monkeypatch, name):
    """Each backend imports it when it is created."""
    for module in [m for m in sys.modules if m.partition(".")[0] == "array_api_compat"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "array_api_compat", None)
    with pytest.raises(BackendUnavailable, match="array-api-compat is not installed; pip install array-api-"):
        get_backend(name)


def test_available_backends():
    verdicts = available_backends()
    assert tuple(verdicts) == backend_names()
    assert [verdicts[n] for n in ("numpy", "torch", "strict")] == [None, None, None]
    assert all(verdict is None or "cupy" in verdict for verdict in verdicts.values())


# --------------------------------------------------------------------------- entry points


def test_registered_backend(monkeypatch):
    def make(device, dtype, fused):
        return NumpyBackend("mine", npx, "cpu", dtype, fused)

    points = [
        types.SimpleNamespace(name="mine", load=lambda: make),
        types.SimpleNamespace(name="numpy", load=lambda: pytest.fail("shadows a built-in name")),
    ]
    asked = []
    monkeypatch.setattr(registry, "entry_points", lambda group: asked.append(group) or points)
    assert backend_names() == ("numpy", "numba", "cupy", "torch", "strict", "mine")
    assert get_backend("mine", dtype="float64").dtype == np.float64
    assert get_backend("numpy").name == "numpy"
    assert available_backends()["mine"] is None
    with input_error("did you mean 'mine'"):
        get_backend("mime")
    assert set(asked) == {"dnn.backends"}


FACTORIES = {
    "nothing": lambda device, dtype, fused: None,
    "float16": lambda device, dtype, fused: NumpyBackend("mine", npx, "cpu", "float16", fused),
    "two_arguments": lambda device, dtype: NumpyBackend("mine", npx, "cpu", dtype),
}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("my_pakage:make", "No module named 'my_pakage'.*; correct its entry point in 'dnn.backends'"),
        ("backends.strict:mkae", "has no attribute 'mkae'.*; correct its entry point"),
        ("backends.strict", "is not a callable object"),
        ("mine:nothing", "it returned a NoneType with dtype None, expected a Backend with dtype 'float32'"),
        (
            "mine:float16",
            "it returned a NumpyBackend with dtype 'float16', expected a Backend with dtype 'float32'",
        ),
        ("mine:two_arguments", "takes 2 positional arguments but 3 were given"),
    ],
)
def test_a_wrong_registration_is_one_sentence(monkeypatch, register, target, message):
    monkeypatch.setitem(sys.modules, "mine", types.SimpleNamespace(**FACTORIES))
    register(EntryPoint("mine", target, registry.ENTRY_POINT_GROUP).load)
    with pytest.raises(BackendUnavailable, match=message) as raised:
        get_backend("mine")
    assert str(raised.value).startswith("backend 'mine' cannot run (")
    assert str(raised.value).endswith(registry.REGISTRATION_CURE)
    assert available_backends()["mine"] == str(raised.value)


def test_a_registered_backend_refuses_a_device_itself(register):
    register(lambda: lambda device, dtype, fused: get_backend("numpy", "cuda"))
    with input_error("device is 'cuda', expected 'cpu'"):
        get_backend("mine")


# --------------------------------------------------------------------------- imports


@pytest.mark.parametrize("package", ["dnn", "dnn.datasets", "backends", "backends.cupy.backend"])
def test_import_loads_nothing_heavy(package, request):
    heavy = {"torch", "cupy", "matplotlib", "torchvision", "array_api_strict", "sklearn"}
    code = f"import sys, {package}; print(*({heavy!r} & sys.modules.keys()))"
    assert run_code(code, cwd=request.config.rootpath).stdout.split() == []
