"""Error messages when CuPy cannot run: each cause, with a mock of CuPy."""

import sys
import types

import pytest

from backends import BackendUnavailable, available_backends, get_backend
from backends.cupy import diagnosis as cupy_diagnosis
from backends.nvidia import Card


@pytest.fixture
def cupy(monkeypatch):
    """Return a function that installs a mock of CuPy, of the driver and of nvidia-smi's report."""

    def make(driver=True, toolkit=12090, devices=1, capability="90", cards=()):
        def answer(value):
            if isinstance(value, str):
                raise RuntimeError(value)
            return value

        runtime = types.SimpleNamespace(
            runtimeGetVersion=lambda: answer(toolkit), getDeviceCount=lambda: answer(devices)
        )
        device = types.SimpleNamespace(compute_capability=capability)
        module = types.ModuleType("cupy")
        module.__version__ = "14.2.0"
        module.cuda = types.SimpleNamespace(runtime=runtime, Device=lambda number: device)
        monkeypatch.setattr(cupy_diagnosis, "query_cards", lambda: cards)
        monkeypatch.setattr(cupy_diagnosis, "has_gpu_driver", lambda: driver)
        monkeypatch.setitem(sys.modules, "cupy", module)

    return make


OLD_DRIVER = "cudaErrorInsufficientDriver"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"driver": False, "devices": OLD_DRIVER}, ("no NVIDIA driver is loaded; install", "nvidia-smi")),
        ({"devices": OLD_DRIVER, "cards": [Card(510, (9, 0))]},
         ("CUDA 12 needs NVIDIA driver 525 or newer, and this is 510; update the driver, or pip",)),
        ({"devices": OLD_DRIVER, "toolkit": 13000, "cards": [Card(550, (9, 0))]},
         ("CUDA 13 needs NVIDIA driver 580", 'update the driver, or pip install -e ".[cuda12]"')),
        ({"toolkit": 13000, "capability": "61"}, ("compute capability 7.5 or newer", '-e ".[cuda12]"')),
        ({"toolkit": "libcudart.so.12 not found"}, ("libcudart.so.12 not found",)),
        ({"devices": 0}, ("no CUDA device can be used (none is visible)", "CUDA_VISIBLE_DEVICES")),
        ({"devices": "cudaErrorNoDevice"}, ("cudaErrorNoDevice", "CUDA_VISIBLE_DEVICES")),
    ],
)  # fmt: skip
def test_each_failure_names_its_cure(cupy, setting, words):
    cupy(**setting)
    with pytest.raises(BackendUnavailable) as caught:
        get_backend("cupy")
    sentence = str(caught.value)
    assert sentence.startswith("backend 'cupy' cannot run: ")
    assert all(word in sentence for word in words), sentence
    assert available_backends()["cupy"] == sentence


def test_missing_cupy_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # import raises
    for cards, cure in (
        ([], r"cuda12.*driver 525.*cuda13"),
        ([Card(580, (9, 0))], r"\[cuda13\]\W* in a checkout"),
    ):
        monkeypatch.setattr(cupy_diagnosis, "query_cards", lambda cards=cards: cards)
        with pytest.raises(BackendUnavailable, match=rf"CuPy is not installed; pip install .*{cure}"):
            get_backend("cupy")


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("ImportError('libnvrtc.so.12 not found')", "pip install"),
        ("OSError(30, 'Read-only file system', '/home/me/.cupy')", "CUPY_CACHE_DIR"),
        ("RuntimeError('half of it is there already')", "pip install"),
    ],
)
def test_broken_cupy_shows_its_error(monkeypatch, tmp_path, error, cure):
    (tmp_path / "cupy.py").write_text(f"raise {error}")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailable, match=rf"cannot be imported \(.*\); .*{cure}") as caught:
        get_backend("cupy")
    assert error.split("'")[1] in str(caught.value)
    assert get_backend("auto").name != "cupy"
