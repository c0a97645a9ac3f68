"""Choice of the extra for a driver and its GPUs, here and in the Makefile, with a mock of nvidia-smi."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backends import nvidia

ROOT = Path(__file__).parents[2]
FAILED = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
CASES = {
    "H100": ("580.65.06, 9.0", "cuda13"),
    "H100 with an older driver": ("579.54.15, 9.0", "cuda12"),
    "GTX 1080 with a new driver": ("580.65.06, 6.1", "cuda12"),
    "T4": ("580.65.06, 7.5", "cuda13"),
    "the next one": ("610.12, 12.0", "cuda13"),
    "two cards, of which one is old": ("580.65.06, 9.0\n580.65.06, 7.0", "cuda12"),
    "a driver that is too old for both": ("524.82.01, 7.5", None),
    "the oldest driver and card": ("525.60.13, 5.0", "cuda12"),
    "a card that is too old": ("580.65.06, 4.9", None),
    "an error": (FAILED, None),
    "an old nvidia-smi": ('Field "compute_cap" is not a valid field to query.', None),
    "nothing": ("", None),
}


@pytest.fixture
def smi(monkeypatch, tmp_path):
    """Return a function that puts a mock nvidia-smi with this output first on PATH."""

    def install(text):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    if sys.platform == "win32":
        pytest.skip("a shell script stands in for nvidia-smi")
    return install


@pytest.mark.parametrize("name", CASES)
def test_find_extra_fits_all_gpus(smi, name):
    text, expected = CASES[name]
    smi(text)
    assert nvidia.find_extra(nvidia.query_cards()) == expected


def test_no_gpus_without_nvidia_smi(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia.query_cards() == []


def test_no_gpus_if_nvidia_smi_hangs(monkeypatch):
    def hang(command, **settings):
        raise subprocess.TimeoutExpired(command, settings["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert nvidia.query_cards() == []


@pytest.mark.parametrize(
    ("cuda", "card", "words"),
    [
        (13, (550, (9, 0)), "CUDA 13 needs NVIDIA driver 580 or newer, and this is 550"),
        (13, (580, (7, 0)), "CUDA 13 needs compute capability 7.5 or newer, and this card has 7.0"),
        (12, (510, (9, 0)), "CUDA 12 needs NVIDIA driver 525 or newer, and this is 510"),
        (12, (550, (9, 0)), None),
        (11, (550, (9, 0)), None),
    ],
)
def test_find_obstacle_names_the_obstacle(cuda, card, words):
    assert nvidia.find_obstacle(cuda, [nvidia.Card(*card)]) == words


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("text", "backend", "extras"),
    [
        ("580.65.06, 9.0", "cupy", "[fast,cuda13]"),
        ("580.65.06, 6.1", "auto", "[fast,cuda12]"),
        ("550.54.15, 9.0", "torch", "[fast,cuda12]"),
        ("580.65.06, 9.0", "numpy", "[fast]"),
        (FAILED, "cupy", "[fast]"),
    ],
)
def test_make_train_installs_the_extra(smi, tmp_path, text, backend, extras):
    smi(text)
    words = [f"PYTHON={sys.executable}", f"VENV={tmp_path / 'venv'}", f"BACKEND={backend}"]
    done = subprocess.run(["make", "--dry-run", "train", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (
        f"pip install --quiet 'pip>=24' && {tmp_path}/venv/bin/python -m pip install --editable '.{extras}'"
        in (done.stdout)
    )
