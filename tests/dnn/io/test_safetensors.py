"""Our writer of safetensors files against the reader and writer of safetensors."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

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


def test_safetensors_reads_our_files(tmp_path):
    path = tmp_path / "file"
    tensor_files.write(path, "kind", 3, {"a": [1, "b"]}, ARRAYS)
    found = load(path.read_bytes())
    about, mine = tensor_files.read(path, "kind", 3, "file", InputError)
    assert about == {"a": [1, "b"]}
    assert found.keys() == mine.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        for read in (found[name], mine[name]):
            assert read.dtype == array.dtype.newbyteorder("=")
            assert read.shape == array.shape
            np.testing.assert_array_equal(read, array)


def test_our_files_equal_those_of_safetensors(tmp_path):
    """Equal except for the wording of the header."""
    plain = {name: np.array(a, dtype=a.dtype.newbyteorder("="), order="C") for name, a in ARRAYS.items()}
    path = tmp_path / "file"
    tensor_files.write(path, "kind", 3, {}, plain)

    def parts(content):
        length = int.from_bytes(content[:8], "little")
        assert length % 8 == 0
        header = json.loads(content[8 : 8 + length])
        return header.pop("__metadata__").keys(), header, content[8 + length :]

    mine, theirs = parts(path.read_bytes()), parts(save(plain, {"kind": "x"}))
    assert mine[0] == theirs[0]
    assert {n: (e["dtype"], e["shape"]) for n, e in mine[1].items()} == {
        n: (e["dtype"], e["shape"]) for n, e in theirs[1].items()
    }
    for name, entry in mine[1].items():
        a, b = (slice(*e["data_offsets"]) for e in (entry, theirs[1][name]))
        assert mine[2][a] == theirs[2][b]
        assert a.start % plain[name].itemsize == 0  # so that it can be memory-mapped
    assert len(mine[2]) == len(theirs[2])


@pytest.mark.parametrize("array", [np.zeros(2, complex), np.array(["a"])])
def test_rejects_dtypes_without_a_format_name(tmp_path, array):
    with pytest.raises(KeyError):
        tensor_files.write(tmp_path / "file", "kind", 1, {}, {"a": array})
    assert not (tmp_path / "file").exists()
