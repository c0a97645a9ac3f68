"""Validation of examples and targets: accepted and rejected arrays."""

import numpy as np
import pytest
import scipy.sparse
from helpers import input_error, same_bits

from dnn.inputs import arrays as inputs

# A call of a model ignores NumPy's warnings; these tests call what is below it.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")
F4 = np.float32
X = np.ones((4, 2, 3), dtype=F4)


def with_one(value, like=X):
    changed = like.copy()
    changed.flat[5] = value
    return changed


REFUSED_X = {
    "list": ([[1.0]], r"x has shape \(1, 1\)"),
    "ragged list": ([[1.0], [1.0, 2.0]], "x is .*expected an array of numbers"),
    "text": (X.astype("U4"), "x has dtype <U4, expected numbers; leave it out or encode it one-hot"),
    "objects": (X.astype(object), "x has dtype object, expected numbers"),
    "complex": (X.astype("c8"), "x has dtype complex64, expected numbers"),
    "dates": (X.astype("M8[s]"), r"x has dtype datetime64\[s\], expected numbers"),
    "bytes": (X.tobytes(), "x is a builtins.bytes"),
    "a class": (np.ndarray, "x is a builtins.type"),
    "masked": (np.ma.masked_array(X), "x is a numpy.ma.MaskedArray"),
    "too large": (
        with_one(1e39, X.astype("f8")),
        "x holds NaN or infinity, or a number too large for float32",
    ),
    "not a number in float64": (with_one(np.nan, X.astype("f8")), "x holds NaN"),
    "none": (None, "x is a builtins.NoneType"),
    "0-d": (np.array(1, F4), r"x has shape \(\), expected \(N, 2, 3\)"),
    "flat rows": (X.reshape(4, 6), r"x has shape \(4, 6\).*; use .*x.*\.reshape\(\(4, 2, 3\)\)"),
    "one example": (X[0], r"x has shape \(2, 3\), expected \(N, 2, 3\); use .*x.*\[None, ...\]"),
    "other shape": (np.ones((4, 3, 3), F4), r"x has shape \(4, 3, 3\), expected \(N, 2, 3\)$"),
    "no rows": (X[:0], "x has no rows"),
    "nan": (with_one(np.nan), "x holds NaN or infinity"),
}
ROWS = np.full((4, 3), 0.5, dtype=F4)
REFUSED_Y = {
    "words": (["a", "b", "c", "a"], r"y has dtype <U1, expected numbers; .*numpy.unique\(y, return_inv"),
    "words as objects": (np.asarray(["a", "b", "c", "a"], object), "y has dtype object, .*numpy.unique"),
    "sparse": (scipy.sparse.csr_array(np.eye(4, 3)), r"y is sparse.*use y.toarray\(\)"),
    "0-d": (np.array(1), r"y has shape \(\), expected \(4,\) class numbers or \(4, 3\) rows"),
    "too few": (np.zeros(3, "i8"), r"y has shape \(3,\)"),
    "column": (np.zeros((4, 1), "i8"), r"y has shape \(4, 1\).*use .*y.*\.reshape\(-1\)"),
    "3 axes": (np.zeros((4, 3, 1), F4), r"y has shape \(4, 3, 1\)"),
    "float classes": (np.zeros(4, F4), "y has dtype float32, expected integers for class numbers"),
    "class too high": (np.array([0, 1, 2, 3]), "class numbers from 0 to 3, expected 0 to 2"),
    "class below 0": (np.array([0, 1, -1, 2]), "class numbers from -1 to 2, expected 0 to 2"),
    "complex rows": (ROWS.astype("c8"), "y has dtype complex64, expected numbers"),
    "too large": (ROWS.astype("f8") * 1e39, "y holds NaN or infinity, or a number too large for float32"),
    "nan": (with_one(np.nan, ROWS), "y holds NaN or infinity"),
}


def variants(backend, value):
    """Yield the host array, and the same array on the device."""
    yield value
    if type(value) is np.ndarray and hasattr(backend.xp, value.dtype.name):
        yield backend.from_host(value)


@pytest.mark.parametrize("case", REFUSED_X)
def test_rejects_invalid_examples(backend, case):
    value, message = REFUSED_X[case]
    for x in variants(backend, value):
        with backend.isolated(), input_error(message):
            inputs.check_examples(backend, "x", x, (2, 3))


@pytest.mark.parametrize("case", REFUSED_Y)
def test_rejects_invalid_targets(backend, case):
    value, message = REFUSED_Y[case]
    for y in variants(backend, value):
        with backend.isolated(), input_error(message):
            inputs.check_targets(backend, "y", y, 4, 3)


def test_rejects_arrays_on_other_devices(backend, make_backend):
    foreign = make_backend("strict:device2").from_host(X)
    with input_error(r"x is a .*from_host"):
        inputs.check_examples(backend, "x", foreign, (2, 3))
    with input_error(r"y is a .*from_host"):
        inputs.check_targets(backend, "y", foreign, 4, 3)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint16"])
def test_class_numbers_become_int64(backend, dtype):
    for y in variants(backend, np.asarray([0, 2, 1, 2], dtype=dtype)):
        checked = inputs.check_targets(backend, "y", y, 4, 3)
        assert backend.owns(checked)
        assert same_bits(backend.to_host(checked), np.asarray([0, 2, 1, 2]))


def test_one_output_accepts_one_value_per_example(backend):
    for dtype in ("int64", "bool", "float32", "float64"):
        y = np.asarray([0, 1, 1, 0], dtype)
        for array in variants(backend, y):
            checked = inputs.check_targets(backend, "y", array, 4, 1)
            assert same_bits(backend.to_host(checked), np.asarray([[0.0], [1.0], [1.0], [0.0]], F4))
