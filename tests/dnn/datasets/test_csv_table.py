"""A CSV file is read correctly, or rejected with the column, the line and the cure."""

import os

import numpy as np
import pytest
from helpers import build_network, input_error
from hostile import assert_sentence

from dnn import Dense
from dnn.datasets import load_csv

CSV = "\ufeffheight, weight,kind,price\n1.5,2,cat,3\n\n-1e3,0.25,ant,4\n7,8,cat,5\n"


def write(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_table_with_classes(tmp_path):
    with input_error(
        r"column 'kind' of .* holds 'cat' on line 2, expected a finite number; write .*, or encode"
    ):
        load_csv(write(tmp_path, CSV), "price")
    without = CSV.replace(",price", "").replace(",3\n", "\n").replace(",4\n", "\n").replace(",5\n", "\n")
    x, y, columns, classes, lines = load_csv(write(tmp_path, without), target="kind")
    assert x.tolist() == [[1.5, 2.0], [-1000.0, 0.25], [7.0, 8.0]]
    assert y.tolist() == [1, 0, 1]
    assert (columns, classes) == (("height", "weight"), ("ant", "cat"))
    assert [without.splitlines()[line - 1].split(",")[2] for line in lines] == ["cat", "ant", "cat"]
    assert (x.dtype, y.dtype) == (np.float64, np.int64)


def test_a_huge_file_without_lines_is_not_read(tmp_path):
    path = write(tmp_path, CSV)
    os.truncate(path, 40 << 30)  # sparse
    with input_error("a line has more than 16777216 characters"):
        load_csv(path, "kind")


@pytest.mark.parametrize(
    ("values", "wanted", "dtype"),
    [
        ("0 1 -2", [0, 1, -2], "int64"),
        ("0 1 2.5", [0, 1, 2.5], "float64"),
        ("1.0 1 2", [1, 1, 2], "float64"),
        (f"{2**53 - 1} -1 2", [2**53 - 1, -1, 2], "int64"),
        (f"1 2 {10**20}", [1, 2, 1e20], "float64"),
    ],
)
def test_table_with_numbers(tmp_path, values, wanted, dtype):
    text = "y;a\n" + "".join(f"{value};{i}\n" for i, value in enumerate(values.split()))
    table = load_csv(write(tmp_path, text), "y", delimiter=";")
    assert (table.y.tolist(), table.y.dtype, table.classes) == (wanted, dtype, ())
    assert table.x.tolist() == [[0], [1], [2]]


def test_table_with_several_targets(tmp_path):
    table = load_csv(write(tmp_path, "a,b,c\n1,2,3\n4,5,6\n"), ["c", "a"])
    assert table.y.tolist() == [[3, 1], [6, 4]]
    assert table.columns == ("b",)
    model = build_network([Dense(2)], (1,))
    model.compile("mean_squared_error")
    model.fit(table.x, table.y)


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("a,b\n1,2\n", "c", "target is 'c', expected one of a, b"),
        ("a,b\n1,2,3\n", "b", "line 2 of .* has 3 cells, expected 2"),
        ("a,b\n1,2\n,2\n", "b", r"column 'a' of .* holds '' on line 3, expected a finite number; remove"),
        (
            "a,b\n1,x\n1,\n",
            "b",
            r"column 'b' of .*holds '' on line 3, expected a number or the name",
        ),
        ("a,b\n1,2.5\n1,NaN\n2,1.5\n", "b", "'b' of .*holds 'NaN' on line 3, .*SimpleImputer"),
        (
            "a,b\n1,2.5\n1,inf\n2,1.5\n",
            "b",
            "'b' of .*'inf' on line 3, expected a finite number; write",
        ),
        ("a,b\n1,2\n1,N/A\n", "b", "'b' of .*holds 'N/A' on line 3"),
        ("a,b\n1,2\n1,x\n1,3\n", "b", "holds 'x' on line 3, expected only numbers, or only class names"),
        ("a,b\n1,x\n1,3\n1,y\n", "b", "holds '3' on line 3, expected only numbers, or only class names"),
        (f"a,b\n1,2\n1,{'9' * 5000}\n", "b", "holds '9+...' on line 3, expected a finite number"),
        ("a,b\n1_000,2\n", "b", "holds '1_000' on line 2, expected a finite number; write it as 1000"),
        ("a,b\n\u0661,2\n", "b", "on line 2, expected a finite number"),
        ('a,b\n"1\n",2\nx,3\n', "b", "holds 'x' on line 4, .*, or encode text columns"),
        ("a,b\n1,2\n", [], "target is .*, expected the name of a column"),
        ("a,b\n1,2\n", ["b", "b"], "target is .*, expected each name once"),
        ("a,b\n1,x\n", ["b"], "column 'b' .* holds 'x' on line 2"),
        ("1,2\n3,4\n", "2", r"begins with .'1', '2'., expected a different name for each column"),
        ("a,a\n3,4\n", "a", "begins with .'a', 'a'."),
        ("a,b\n", "b", r"has the header .'a', 'b'. and no examples"),
        ("", "b", "cannot be read as a CSV file"),
        ("a,b\n05.01.2024,1\n", "b", "holds '05.01.2024' .*; write dates as numbers"),
        ("a,b\n1,2024-01-05\n", "b", "holds '2024-01-05' .*; write dates as numbers"),
        ('a,b\n"1,5",1\n', "b", "holds '1,5' .*; write it as 1000, -0.5 or 1e-3$"),
        ('a,b\n1,"1,5"\n', "b", "holds '1,5' .*, expected a number or the name of a class; write it as"),
        ("a,b\n12 kg,1\n", "b", "holds '12 kg' .*; write it as 1000, .*, or encode text columns"),
        ("a\tb\n1\t2\n", "c", r"begins with 'a.tb', expected cells separated by ','; use delimiter='.t'"),
        ("# of 2024\na,b\n1,2\n", "b", "line 2 of .* has 2 cells, expected 1 as in its first line .'# of"),
        ('a,b\n"1,2\n', "b", "line 2 of .* has 1 cells"),
    ],
)
def test_rejects_bad_tables(tmp_path, text, target, message):
    with input_error(message) as caught:
        load_csv(write(tmp_path, text), target)
    assert_sentence(caught.value)


def test_rejects_files_that_are_not_tables(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00\n")
    for path in (tmp_path / "nowhere.csv", tmp_path, tmp_path / "bytes"):
        with input_error("cannot be read as a CSV file"):
            load_csv(path, "a")


def test_rejects_pipes_and_devices(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with input_error(r"cannot be read as a CSV file \(not a regular file\)"):
            load_csv(path, "a")


def test_signs_are_class_names(tmp_path):
    table = load_csv(write(tmp_path, "a,b\n1,+\n2,-\n"), "b")
    assert (table.classes, table.y.tolist()) == (("+", "-"), [0, 1])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("wrong", [",", ";"])
def test_another_delimiter(tmp_path, delimiter, wrong):
    """The delimiter that the message names reads the file."""
    name = f"b{wrong} in cm" if wrong != delimiter else "b"
    path = write(tmp_path, "\n".join(map(delimiter.join, (("a", name, "c"), "12p", "34q"))))
    if delimiter != wrong:
        with input_error("begins with 'a.*, expected cells separated by") as caught:
            load_csv(path, "c", wrong)
        delimiter = eval(str(caught.value).split("; use delimiter=")[1])
    assert load_csv(path, "c", delimiter).x.tolist() == [[1, 2], [3, 4]]


def test_chosen_columns(tmp_path):
    path = write(tmp_path, ",name,a,b,kind\n0,Jo,1,2,x\n1,Al,3,,y\n")
    for columns in (["a", ""], ("a", "kind", "")):
        table = load_csv(path, "kind", columns=columns)
        assert (table.columns, table.x.tolist(), table.y.tolist()) == (("a", ""), [[1, 0], [3, 1]], [0, 1])
    for columns, message in [
        (["a", "c"], "columns is 'c', expected one of , name, a, b, kind"),
        ([0], "columns is 0, expected one of"),
        ("a", "columns is 'a', expected a list"),
        ([], r"columns is \[\], expected the name of a column"),
        (["a", "a"], "columns is .*, expected each name once"),
        (["b"], "'b' .* holds '' on line 3"),
    ]:
        with input_error(message):
            load_csv(path, "kind", columns=columns)


def test_a_column_without_a_name_is_no_input(tmp_path):
    """It is the index of a DataFrame, or a delimiter at the end of each line."""
    for text in (",a,k\n0,2,x\n1,4,y\n", "a,k,\n2,x,\n4,y,\n"):
        path = write(tmp_path, text)
        with input_error(r"has a column without a name, .*leave it out with columns=\['a'\]"):
            load_csv(path, "k")
        assert load_csv(path, "k", columns=["a"]).x.tolist() == [[2], [4]]
