"""Numba without a folder that it can write: the loops are compiled all the same, with one warning."""

import os
import shutil
import subprocess
import sys

import pytest

import backends

numba = pytest.importorskip("numba")
PROGRAM = """
import numpy as np
from backends import get_backend
backend = get_backend("auto", "cpu")
p, g = np.zeros(3, dtype=np.float32), np.ones(3, dtype=np.float32)
backend.kernel("adam")(p, g, (np.zeros_like(p), np.zeros_like(p)), np.zeros(4, dtype=np.float32) + 0.1,
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


@pytest.mark.parametrize("folder", [None, "/dev/null/cache"])
def test_with_a_package_and_a_home_that_cannot_be_written(package, folder):
    given = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    given |= {"HOME": "/dev/null", "PYTHONPATH": str(package)}
    if folder is not None:
        given["NUMBA_CACHE_DIR"] = folder
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=given, cwd=package, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["numba", "True"]
    assert done.stderr.count("RuntimeWarning") == 1
    assert "NUMBA_CACHE_DIR" in done.stderr


def test_one_warning_for_all_functions(monkeypatch):
    from backends.numba import optimizers

    def refuse(self):
        raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")

    monkeypatch.setattr(type(optimizers._adam), "enable_caching", refuse)
    optimizers._warn_of_no_cache.cache_clear()

    def double(x):
        return x + x

    with pytest.warns(RuntimeWarning, match=r"finds no folder.*NUMBA_CACHE_DIR") as seen:
        assert [optimizers.compiled(double)(n) for n in (1, 2)] == [2, 4]
    assert len(seen) == 1


def test_another_error_is_not_hidden(monkeypatch):
    from backends.numba import optimizers

    def fail(self):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(type(optimizers._adam), "enable_caching", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        optimizers.compiled(lambda x: x)
