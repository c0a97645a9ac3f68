"""Numba without a writable cache folder: loops are compiled anyway, with one warning."""

import os
import shutil

import pytest
from command_lines import run_code
from helpers import others_slow

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
    variables = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    variables |= {"PYTHONPATH": str(package), **settings}
    done = run_code(PROGRAM, env=variables, cwd=package)
    assert done.stdout.split() == ["numba", "True"]
    return done.stderr


@pytest.mark.parametrize("folder", others_slow(["", "/dev/null/cache"], [""]))
def test_unwritable_package_and_home(package, folder):
    said = run(package, HOME="/dev/null", NUMBA_CACHE_DIR=folder)
    assert said.count("RuntimeWarning") == 1
    assert "NUMBA_CACHE_DIR" in said


def zeros(content):
    """A file that a full disk or a crash has left without its second half."""
    half = len(content) // 2
    return content[:half] + bytes(len(content) - half)


@pytest.mark.parametrize("damage", [zeros, lambda content: content[:20], lambda content: b""])
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_file_is_made_again(tmp_path, monkeypatch, ending, damage):
    from backends.numba import compilation

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    compilation._warn.cache_clear()

    def triple(x):
        return x + x + x

    assert compilation.jit_cached(triple)(1) == 3
    (path,) = tmp_path.rglob(f"*.{ending}")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(RuntimeWarning, match="compiled and written again"):
        assert compilation.jit_cached(triple)(1) == 3
    function = compilation.jit_cached(triple)
    assert function(1) == 3
    assert sum(function.stats.cache_hits.values()) == 1


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("NUMBA_DISABLE_JIT", "1", "compiles nothing; unset NUMBA_DISABLE_JIT"),
        pytest.param("NUMBA_NUM_THREADS", "0", "> 0.); correct or unset NUMBA_", marks=pytest.mark.slow),
    ],
)
def test_auto_goes_on_if_a_variable_keeps_numba_from_compiling(variable, value, words):
    program = "from backends import get_backend; b = get_backend('auto', 'cpu'); print(b.name, b.reason)"
    variables = {name: kept for name, kept in os.environ.items() if not name.startswith("NUMBA_")}
    variables[variable] = value
    done = run_code(program, env=variables)
    assert done.stdout.startswith(("torch", "numpy"))
    assert words in done.stdout
    assert "pip install" not in done.stdout


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
