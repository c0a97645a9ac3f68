"""The model's door: everything it refuses, and what it lets in."""

import numpy as np
import pytest
from helpers import same_bits

from backends import InputError, get_backend
from dnn.validation import arrays as inputs
from dnn.validation.settings import positive_integer

F4 = np.float32
X = np.ones((4, 2, 3), dtype=F4)


def with_one(value, like=X):
    changed = like.copy()
    changed.flat[5] = value
    return changed


REFUSED_X = {
    "list": ([[1.0]], r"x is a builtins.list, expected an array of the backend"),
    "none": (None, "x is a builtins.NoneType"),
    "0-d": (np.array(1, F4), r"x has shape \(\), expected \(N, 2, 3\)"),
    "flat rows": (X.reshape(4, 6), r"x has shape \(4, 6\).*; use x.reshape\(\(4, 2, 3\)\)"),
    "one example": (X[0], r"x has shape \(2, 3\), expected \(N, 2, 3\)$"),
    "other shape": (np.ones((4, 3, 3), F4), r"x has shape \(4, 3, 3\), expected \(N, 2, 3\)$"),
    "no rows": (X[:0], "x has no rows"),
    "float64": (X.astype("f8"), "x has dtype float64, expected uint8 .*float32; convert it with"),
    "int64": (X.astype("i8"), "x has dtype int64"),
    "bool": (X.astype(bool), "x has dtype bool"),
    "nan": (with_one(np.nan), "x holds NaN or infinity"),
    "inf": (with_one(-np.inf), "x holds NaN or infinity"),
}
ROWS = np.full((4, 3), 0.5, dtype=F4)
REFUSED_Y = {
    "list": ([0, 1, 2, 0], "y is a builtins.list"),
    "0-d": (np.array(1), r"y has shape \(\), expected \(4,\) class numbers or \(4, 3\) rows"),
    "too few": (np.zeros(3, "i8"), r"y has shape \(3,\)"),
    "too few rows": (ROWS[:3], r"y has shape \(3, 3\)"),
    "column": (np.zeros((4, 1), "i8"), r"y has shape \(4, 1\).*use y.reshape\(-1\)"),
    "too many outputs": (np.zeros((4, 4), F4), r"y has shape \(4, 4\)"),
    "3 axes": (np.zeros((4, 3, 1), F4), r"y has shape \(4, 3, 1\)"),
    "float classes": (np.zeros(4, F4), "y has dtype float32, expected integers for class numbers"),
    "bool classes": (np.zeros(4, bool), "y has dtype bool, expected integers"),
    "class too high": (np.array([0, 1, 2, 3]), "class numbers from 0 to 3, expected 0 to 2"),
    "class below 0": (np.array([0, 1, -1, 2]), "class numbers from -1 to 2, expected 0 to 2"),
    "integer rows": (ROWS.astype("i8"), "y has dtype int64, expected float32"),
    "float64 rows": (ROWS.astype("f8"), "y has dtype float64, expected float32"),
    "nan": (with_one(np.nan, ROWS), "y holds NaN or infinity"),
}


def variants(backend, value):
    """The host's array, and the same one already on the device."""
    yield value
    if isinstance(value, np.ndarray):
        yield backend.from_host(value)


@pytest.mark.parametrize("case", REFUSED_X)
def test_examples_refused(backend, case):
    value, message = REFUSED_X[case]
    for x in variants(backend, value):
        with pytest.raises(InputError, match=message):
            inputs.examples(backend, "x", x, (2, 3))


@pytest.mark.parametrize("case", REFUSED_Y)
def test_targets_refused(backend, case):
    value, message = REFUSED_Y[case]
    for y in variants(backend, value):
        with pytest.raises(InputError, match=message):
            inputs.targets(backend, "y", y, 4, 3)


@pytest.mark.parametrize("give", ["numpy", "torch", "strict:device2"])
def test_foreign_arrays_refused(backend, make_backend, give):
    foreign = make_backend(give).from_host(X)
    if give == "numpy" or backend.owns(foreign):
        assert backend.owns(inputs.examples(backend, "x", foreign, (2, 3)))
        return
    with pytest.raises(InputError, match=r"x is a .*from_host"):
        inputs.examples(backend, "x", foreign, (2, 3))
    with pytest.raises(InputError, match=r"y is a .*from_host"):
        inputs.targets(backend, "y", foreign, 4, 3)


class Subclass(np.ndarray):
    """Masked arrays and matrices have other rules for the same operators."""


def test_subclass_of_ndarray_refused_elsewhere():
    with pytest.raises(InputError, match=r"x is a .*Subclass"):
        inputs.examples(get_backend("torch"), "x", X.view(Subclass), (2, 3))


LAYOUTS = {
    "plain": X,
    "uint8": X.astype(np.uint8),
    "fortran": np.asfortranarray(X),
    "reversed": X[::-1, ::-1],
    "strided": np.repeat(X, 2, axis=2)[:, :, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_examples_admitted(backend, layout):
    x = LAYOUTS[layout].copy(order="K") * np.asarray(2, LAYOUTS[layout].dtype)
    x.flags.writeable = False
    there = inputs.examples(backend, "x", x, (2, 3))
    assert backend.owns(there)
    assert same_bits(backend.to_host(there), x)
    assert inputs.examples(backend, "x", there, (2, 3)) is there
    assert inputs.scale_of(there) == (1 / 255 if layout == "uint8" else 1.0)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint16"])
def test_class_numbers_become_int64(backend, dtype):
    for y in variants(backend, np.asarray([0, 2, 1, 2], dtype=dtype)):
        there = inputs.targets(backend, "y", y, 4, 3)
        assert backend.owns(there)
        assert same_bits(backend.to_host(there), np.asarray([0, 2, 1, 2]))


@pytest.mark.parametrize("value", [0, -1, 1.0, "3", None, True])
def test_positive_integer_refused(value):
    with pytest.raises(InputError, match=r"epochs is .*expected an integer of at least 1"):
        positive_integer("epochs", value)


def test_positive_integer():
    assert type(positive_integer("n", np.int32(3))) is int


def test_one_output_takes_a_value_for_each_example(backend):
    for y in (np.asarray([0, 1, 1, 0]), np.asarray([False, True, True, False]), np.asarray([0, 1, 1, 0], F4)):
        for given in variants(backend, y):
            there = inputs.targets(backend, "y", given, 4, 1)
            assert same_bits(backend.to_host(there), np.asarray([[0.0], [1.0], [1.0], [0.0]], F4))
    with pytest.raises(InputError, match="y has dtype float64, expected float32"):
        inputs.targets(backend, "y", np.zeros(4), 4, 1)
