"""Our files are read by safetensors, with arrays of any memory layout."""

from pathlib import Path

import numpy as np
import pytest
from helpers import input_error
from safetensors.numpy import load

from backends import InputError
from dnn.io import safetensors as tensor_files

RNG = np.random.default_rng(2)
ARRAYS = {
    "matrix": RNG.normal(size=(5, 3)).astype(np.float32),
    "fortran": np.asfortranarray(RNG.normal(size=(4, 3, 2))),
    "backwards": RNG.normal(size=7).astype(np.float32)[::-1],
    "big": np.arange(5, dtype=">i4"),
    "number": np.array(3.5),
    "nothing": np.zeros((0, 4), np.float32),
    "bytes": np.arange(5, dtype=np.uint8),
    "true": np.array([True, False]),
    "half": np.ones(3, np.float16),
    "count": np.arange(3),
    "\u00e9\u4e2d name": np.ones(2, np.float32),
    "frozen": np.broadcast_to(np.float64(2.0), (2, 2)),
}


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="no /proc/self/mem")
def test_an_unreadable_file_is_not_called_truncated():
    """The memory of this process is a regular file that cannot be read from its beginning."""
    with input_error("cannot be read") as caught:
        tensor_files.read(Path("/proc/self/mem"), "kind", 3, "file", InputError)
    assert "truncated" not in str(caught.value)


def test_safetensors_reads_our_files(tmp_path):
    path = tmp_path / "file"
    tensor_files.write(path, "kind", 3, {"a": [1, "b"]}, ARRAYS)
    found = load(path.read_bytes())
    about, arrays = tensor_files.read(path, "kind", 3, "file", InputError)
    assert about == {"a": [1, "b"]}
    assert found.keys() == arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        for read in (found[name], arrays[name]):
            assert read.dtype == array.dtype.newbyteorder("=")
            assert read.shape == array.shape
            np.testing.assert_array_equal(read, array)
