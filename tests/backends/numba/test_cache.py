"""Numba without a writable cache folder: loops are compiled anyway, with one warning."""

import os
import shutil
import subprocess
import sys

import pytest
from helpers import MAX_SECONDS, others_slow

import backends

numba = pytest.importorskip("numba")
PROGRAM = """
import numpy as np
from backends import get_backend
backend = get_backend("auto", "cpu")
p, g = np.zeros(3, dtype=np.float32), np.ones(3, dtype=np.float32)
backend.kernels.adam(p, g, (np.zeros_like(p), np.zeros_like(p)), np.zeros(4, dtype=np.float32) + 0.1,
                       (0.9, 0.999, 1e-8))
print(backend.name, p[0] < 0)
"""


@pytest.fixture
def package(tmp_path):
    """A copy of ``backends`` with a file where the folder for byte code and Numba's loops would be."""
    source = os.path.dirname(backends.__file__)
    shutil.copytree(source, tmp_path / "backends", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "backends" / "numba" / "__pycache__").touch()
    return tmp_path


def run(package, **settings):
    """Train in a subprocess, which must succeed; return its stderr."""
    given = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    given |= {"PYTHONPATH": str(package), **settings}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, capture_output=True, text=True, env=given, cwd=package, timeout=MAX_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["numba", "True"]
    return done.stderr


@pytest.mark.parametrize("folder", others_slow(["", "/dev/null/cache"], [""]))
def test_unwritable_package_and_home(package, folder):
    said = run(package, HOME="/dev/null", NUMBA_CACHE_DIR=folder)
    assert said.count("RuntimeWarning") == 1
    assert "NUMBA_CACHE_DIR" in said


@pytest.mark.slow
def test_damaged_cache_files(package, tmp_path):
    folder = tmp_path / "cache"
    assert "RuntimeWarning" not in run(package, NUMBA_CACHE_DIR=str(folder))
    cache_files = list(folder.rglob("*.nb?"))
    assert cache_files
    for path in cache_files:
        path.write_bytes(path.read_bytes()[:20])
    assert run(package, NUMBA_CACHE_DIR=str(folder)).count("RuntimeWarning") == 1


def test_full_disk(monkeypatch):
    from backends.numba import compilation

    def full(self, *what):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compilation.FunctionCache, "load_overload", lambda self, *what: None)
    monkeypatch.setattr(compilation.FunctionCache, "save_overload", full)
    compilation._warn.cache_clear()

    def double(x):
        return x + x

    function = compilation.jit_cached(double)
    with pytest.warns(RuntimeWarning, match=r"cannot write its compiled.*NUMBA_CACHE_DIR") as seen:
        assert [function(x) for x in (1, 2, 1.5)] == [2, 4, 3.0]
    assert len(seen) == 1
