"""Error messages: their parts, and shortening to one line; names that a table rejects."""

import pytest
from helpers import input_error

from backends.errors import (
    MEMORY_CURE,
    BackendUnavailable,
    InputError,
    UnknownName,
    one_line,
    report_unavailable,
    reraise,
    shorten,
    unknown_name_error,
)
from backends.table import Table


def test_input_error_joins_its_parts():
    assert str(InputError("a is 1")) == "a is 1"
    assert str(InputError("a is 1", cure="leave\nit out")) == "a is 1; leave it out"


def test_long_texts_are_cut():
    assert one_line("x" * 1200) == "x" * 1200
    assert one_line("a" * 800 + "b" * 101 + "c" * 300) == "a" * 800 + " ... " + "c" * 300
    assert shorten("x" * 160) == "x" * 160
    assert shorten("x" * 161) == "x" * 157 + "..."
    assert (shorten("\udc80 a"), one_line("\udc80 a")) == ("\\udc80 a",) * 2  # as in a file name


@pytest.mark.parametrize(
    ("error", "got", "sentence"),
    [
        (OSError(2, "No such file", "name"), "file cannot be read:", "file cannot be read: No such file"),
        (OSError("odd"), "file cannot be read", "file cannot be read (odd)"),
        (OSError("failed to map segment"), "a", f"a (failed to map segment); {MEMORY_CURE}"),
        (OSError("x" * 401), "a", f"a ({'x' * 397}...)"),
    ],
)
def test_reraise_converts_errors(error, got, sentence):
    with pytest.raises(UnknownName) as caught, reraise(OSError, got, error_type=UnknownName):
        raise error
    assert str(caught.value) == sentence


@pytest.mark.parametrize("error", [MemoryError(), ImportError("x.so: failed to map segment from shared")])
def test_too_little_memory_is_not_cured_by_an_installation(error):
    with pytest.raises(BackendUnavailable, match=f"{MEMORY_CURE}$"), report_unavailable("torch"):
        raise error


def test_unknown_name_error_suggests_the_nearest_name():
    assert str(unknown_name_error("a", "NUMPY", ["numpy"])).endswith(
        "expected one of numpy; did you mean 'numpy'?"
    )
    assert str(unknown_name_error("a", "zz", ["numpy", "torch"])) == "a is 'zz', expected one of numpy, torch"


def test_table_rejects_duplicates_unless_overwrite():
    table = Table("fruit", {"apple": 1})
    for name, words in (("apple", "fruit 'apple' exists already"), ("", "named ''"), (3, "named 3")):
        with input_error(words):
            table.add(name, 2)
    assert dict(table) == {"apple": 1}
    table.add("apple", 2, overwrite=True)
    assert (dict(table), len(table), repr(table)) == ({"apple": 2}, 1, "Table('fruit', ['apple'])")
