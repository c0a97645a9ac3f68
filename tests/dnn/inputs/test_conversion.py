"""Arrays of other libraries: shared on the device, never moved between devices."""

import numpy as np
import pytest
import torch
from helpers import NUMPY, input_error, same_bits

from dnn.inputs.arrays import check_examples, check_targets
from dnn.inputs.conversion import as_array

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def address(backend, array):
    return array.data_ptr() if backend.name == "torch" else backend.to_host(array).ctypes.data


@pytest.mark.parametrize("name", ["numpy", "numba", "torch"])
def test_a_tensor_on_the_same_device_is_not_copied(make_backend, name):
    backend = make_backend(name)
    tensor = torch.from_numpy(X.copy())
    checked = check_examples(backend, "x", tensor, (3,))
    assert backend.owns(checked)
    assert address(backend, checked) == tensor.data_ptr()
    tensor[0, 0] = 9.0
    assert backend.to_host(checked)[0, 0] == 9.0


def test_an_array_of_strict_is_shared_with_torch(make_backend):
    backend = make_backend("torch")
    array = make_backend("strict").from_host(X.copy())
    assert address(backend, as_array(backend, "x", array)) == np.from_dlpack(array).ctypes.data


class Elsewhere:
    """An array that DLPack reports on a CUDA device."""

    shape = (4, 3)
    dtype = "float32"
    device = "cuda:0"

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **options):
        raise AssertionError("it was moved implicitly")


@pytest.mark.parametrize("kind", [1, 3, 11])
def test_host_readable_memory_is_shared(kind):
    """DLPack's device types of CPU memory, and of memory pinned by CUDA or ROCm."""
    host = X.copy()

    class Pinned(Elsewhere):
        device = "cpu"

        def __dlpack_device__(self):
            return kind, 0

        def __dlpack__(self, **options):
            return host.__dlpack__(**options)

    assert as_array(NUMPY, "x", Pinned()).ctypes.data == host.ctypes.data


REFUSED = {
    "on CUDA": (
        Elsewhere(),
        "Elsewhere on device cuda:0, expected .* arrays are not copied between devices implicitly",
    ),
    "without memory": (torch.empty(4, 3, device="meta"), "x (is|cannot be read)"),
    "sparse": (torch.from_numpy(X).to_sparse(), r"x (is sparse.*x.to_dense\(\)|cannot be read)"),
    "complex": (torch.ones(4, 3, dtype=torch.complex64), "x has dtype complex64, expected numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rejects_invalid_arguments(backend, case):
    if backend.device_type == "cuda" and case == "on CUDA":
        pytest.skip("it is there")
    array, message = REFUSED[case]
    with input_error(message):
        check_examples(backend, "x", array, (3,))


def test_bfloat16(make_backend):
    half = torch.from_numpy(X).bfloat16()
    assert same_bits(check_examples(make_backend("torch"), "x", half, (3,)).numpy(), X)
    with input_error("cannot be read through DLPack"):
        check_examples(NUMPY, "x", half, (3,))


def test_accepts_tables_without_column_dtypes():
    """pyarrow's tables are an example."""
    table = type("Table", (), {"columns": [X[:, 0], X[:, 1]], "__array__": lambda self, **_: X})()
    assert as_array(NUMPY, "x", table) is X


def test_pandas(backend):
    pandas = pytest.importorskip("pandas")

    def checked(x):
        return backend.to_host(check_examples(backend, "x", x, (x.shape[1],)))

    frame = pandas.DataFrame({"a": X[:, 0].astype("f8"), "b": [1, 2, 3, 4], "c": [True, False, True, True]})
    wanted = np.stack([X[:, 0], [1, 2, 3, 4], [1, 0, 1, 1]], axis=1).astype("f4")
    assert same_bits(checked(frame), wanted)
    frame["b"] = frame["b"].astype("Int64")
    assert same_bits(checked(frame), wanted)
    pair = frame[["a", "c"]]
    assert same_bits(checked(pair), wanted[:, ::2])
    pixels = pair.astype("u1")
    assert checked(pixels).dtype == np.uint8
    labels = check_targets(backend, "y", frame["b"] - 1, 4, 4)
    assert backend.to_host(labels).tolist() == [0, 1, 2, 3]
    for hole in (np.nan, -np.inf):
        broken = pandas.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, hole, hole]}, index=["i", "j", "k"])
        where = r"column 'b' of x holds NaN or infinity, first in example 1.*fillna"
        with input_error(where):
            checked(broken)
        with input_error(where):
            checked(broken.assign(a=[1, 2, 3]))
    frame.loc[2, "b"] = pandas.NA
    for x in (frame, frame[["b"]]):
        with input_error("column 'b' of x holds NA, first in example 2.*fillna"):
            checked(x)
    for kind in ("str", "object", "category"):
        frame["town"] = pandas.Series(list("abca"), dtype=kind)
        with input_error(r"column 'town' of x is .*expected numbers.*get_dummies"):
            checked(frame)
        with input_error(r"column 'town' of y is .*numpy.unique"):
            check_targets(backend, "y", frame["town"], 4, 3)


@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "Float32", "Float64", "boolean"])
def test_pandas_nullable_dtypes_are_numbers_unless_one_is_missing(dtype):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [0, 1, 1], "b": [1, 0, 1]}).astype(dtype)
    for data in (frame, frame["b"], frame["b"].array, pandas.Index(frame["b"])):
        array = as_array(NUMPY, "x", data)
        assert str(array.dtype) == {"boolean": "bool"}.get(dtype, dtype.lower())
        assert array.tolist() == np.asarray(data, "f8").tolist()
    frame.loc[1, "b"] = pandas.NA
    for data in (frame, frame.assign(c=0.5), frame["b"], frame["b"].array, pandas.Index(frame["b"])):
        with input_error("x holds NA, first in example 1, expected numbers"):
            as_array(NUMPY, "x", data)


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_rejects_nested_tensors(backend, layout):
    nested = torch.nested.nested_tensor([torch.ones(3), torch.ones(3)], layout=layout)
    with input_error("x is a nested tensor, expected a dense array"):
        as_array(backend, "x", nested)
