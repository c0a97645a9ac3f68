"""torch's CUDA-only behaviour, as far as it can be tested without a GPU."""

import types

import pytest
import torch
from helpers import input_error, on_meta
from torch.cuda.jiterator import _CodeParser
from torch.utils._python_dispatch import TorchDispatchMode

from backends import BackendUnavailable, get_backend
from backends.cupy import sources
from backends.nvidia import Card
from backends.reference import Kernels
from backends.torch import backend as torch_backend
from backends.torch import kernels
from backends.torch.backend import _parse_device, make

STEPS = {"sgd": (0.9, False), "rmsprop": (0.9, 1e-8, 0.9), "adagrad": (1e-8,), "adam": (0.9, 0.999, 1e-8)}


class Calls(TorchDispatchMode):
    """Count torch's calls."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.fixture
def cards(monkeypatch):
    """Mock two CUDA devices of torch; the second is current."""
    for name, value in (("is_available", True), ("device_count", 2), ("current_device", 1)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)


def test_parses_devices(cards, monkeypatch):
    for said, index in (("cuda", 1), ("cuda:0", 0), ("cuda:1", 1)):
        assert _parse_device(said) == torch.device("cuda", index)
    with pytest.raises(BackendUnavailable, match=r"has 2 CUDA device.*expected cuda:0 to cuda:1"):
        _parse_device("cuda:2")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert _parse_device("mps") == torch.device("mps", 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(BackendUnavailable, match="needs Apple's Metal"):
        _parse_device("mps")


REPLACE = r'pip uninstall -y torch torchvision && pip install -e "\.'


@pytest.mark.parametrize(
    ("cuda", "cards", "words"),
    [
        (
            "13.0",
            [Card(550, (9, 0))],
            rf"CUDA 13\.0, and CUDA 13 needs NVIDIA driver 580 .*; {REPLACE}\[cuda12\]",
        ),
        (
            "12.8",
            [Card(470, (7, 5))],
            "CUDA 12 needs NVIDIA driver 525 or newer, .*; update the NVIDIA driver",
        ),
        ("12.8", [Card(550, (9, 0))], "torch finds none; use the device 'cpu', or check"),
        ("12.8", [], "torch finds none; use the device 'cpu', or check"),
        (None, [], "this torch is a CPU build; use the device 'cpu', or install the NVIDIA driver first"),
        (None, [Card(470, (7, 5))], "this torch is a CPU build; update the NVIDIA driver"),
        (None, [Card(550, (9, 0))], rf"this torch is a CPU build; {REPLACE}\[cuda12\]"),
        (None, [Card(580, (9, 0))], rf"this torch is a CPU build; {REPLACE}\[cuda13\]"),
    ],
)
def test_explains_missing_cuda(monkeypatch, cuda, cards, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch_backend, "query_cards", lambda: cards)
    with pytest.raises(BackendUnavailable, match=words):
        _parse_device("cuda")


@pytest.mark.parametrize(("precision", "products"), [("float32", "highest"), ("tf32", "high")])
def test_precision_sets_torchs_switches(cards, monkeypatch, precision, products):
    asked, convolutions = [], types.SimpleNamespace()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    monkeypatch.setattr(torch.backends, "cudnn", convolutions)
    made = make("cuda", "float32", True, precision, True)
    assert (made.device, made.precision, made.graphs) == (torch.device("cuda", 1), precision, True)
    assert (asked, convolutions.allow_tf32) == ([products], precision == "tf32")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"number {device.index}")
    facts = made.describe_library()
    assert (facts["device_name"], facts["graphs"], facts["tested_on_gpu"]) == ("number 1", True, False)


def test_rejects_tf32_on_old_gpus(cards, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with input_error(r"'tf32' on compute capability 7\.5, expected .* capability 8\.0 or newer; use"):
        make("cuda", "float32", True, "tf32")


def test_only_the_cpu_has_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert (get_backend("torch").thread_count, on_meta().thread_count) == (7, 1)
    with input_error("the backend 'torch' does not support it"):
        on_meta().set_threads(2)


@pytest.mark.parametrize("name", STEPS)
def test_cuda_launches_no_kernel_for_tiny_moments(name, monkeypatch):
    monkeypatch.setattr(torch, "_fused_adamw_", lambda *rest, **settings: None)  # not implemented for "meta"
    backend = on_meta()
    p, g, *slots = (backend.zeros(5) for _ in range(2 + (1 if name in ("sgd", "adagrad") else 2)))
    with Calls() as calls:
        getattr(backend.kernels, name)(p, g, tuple(slots), backend.zeros(4), STEPS[name])
    assert not {"hardshrink", "remainder", "where"} & set(calls.names), calls.names


# --------------------------------------------------------------------------- the random generator


def test_torch_parses_the_generators_text():
    text = sources.function("threefry")
    assert _CodeParser(text).function_name == "threefry"
    assert "DNN_HD" not in text


def call(high, low, key0, key1):
    """Stand in for the compiled generator: the reference."""
    out = torch.zeros_like(low)
    Kernels(torch).threefry((key0, key1), high, low, out)
    return out


@pytest.mark.parametrize(("made", "holds"), [(call, True), (lambda high, low, **key: low, False)])
def test_uses_the_compiled_generator_if_correct(monkeypatch, made, holds):
    asked = []

    def create(text, **settings):
        asked.append((text, settings))
        return made

    monkeypatch.setattr(torch.cuda, "jiterator", types.SimpleNamespace(_create_jit_fn=create), raising=False)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    kernels._compiled_threefry.cache_clear()
    assert kernels.compiles_threefry() is holds
    assert asked == [(sources.function("threefry"), {"key0": 0, "key1": 0})]
    kernels._compiled_threefry.cache_clear()


def test_falls_back_to_the_reference_without_a_compiler(monkeypatch):
    monkeypatch.delattr(torch.cuda, "jiterator", raising=False)
    kernels._compiled_threefry.cache_clear()
    assert kernels.compiles_threefry() is False
