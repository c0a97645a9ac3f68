"""NumPy's BLAS is found beside another one, also where NumPy is imported through a link."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from command_lines import run_code

FINDS = """
import ctypes, json, os, sys
ctypes.CDLL(sys.argv[1])
from threadpoolctl import threadpool_info
from backends.numpy.blas import _find_by_threadpoolctl, _find_openblas

found = []
for blas in (_find_openblas(), _find_by_threadpoolctl()):
    with blas.threads.section(2):
        found += [os.path.realpath(one["filepath"]) for one in threadpool_info() if one["num_threads"] == 2]
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries of wheels for Linux")
def test_the_blas_of_a_linked_numpy_beside_another(tmp_path):
    packages = Path(np.__file__).parents[1]
    numpys = [*packages.glob("numpy.libs/*openblas*")]
    others = [*packages.glob("scipy.libs/*openblas*")]
    if len(numpys) != 1 or len(others) != 1:
        pytest.skip("NumPy or SciPy has no OpenBLAS of its own")
    for name in ("numpy", "numpy.libs"):
        (tmp_path / name).symlink_to(packages / name)
    other = shutil.copytree(others[0].parent, tmp_path / "another") / others[0].name
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = run_code(FINDS, other, env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"})
    assert json.loads(done.stdout) == [os.path.realpath(numpys[0])] * 2
