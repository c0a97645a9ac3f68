"""A folder of pictures and a CSV file: what comes of them, and what is refused in a sentence."""

import numpy as np
import pytest
from hostile import assert_sentence
from PIL import Image

from backends import InputError, get_backend
from dnn import Dense, Flatten, Sequential
from dnn.datasets import load_csv, load_image_folder


@pytest.fixture
def pictures(tmp_path):
    """path/CLASS/FILE: three classes, of formats, sizes and modes of all kinds."""
    rng = np.random.default_rng(4)
    for name, n in (("cat", 2), ("ant", 3), ("bee", 1)):
        (tmp_path / name).mkdir()
        for i in range(n):
            pixels = rng.integers(0, 256, (6 + i, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.{('png', 'bmp', 'jpg')[i]}")
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"no picture")
    (tmp_path / "readme.txt").write_text("beside the folders")
    return tmp_path


def test_a_folder_for_each_class(pictures):
    x, y, classes = load_image_folder(pictures, size=(6, 8), grey=False)
    assert classes == ("ant", "bee", "cat")
    assert y.tolist() == [0, 0, 0, 1, 2, 2]
    assert (x.shape, x.dtype, y.dtype) == ((6, 6, 8, 3), np.uint8, np.int64)
    with Image.open(pictures / "bee" / "0.png") as image:
        np.testing.assert_array_equal(x[3], np.asarray(image))
        grey = np.asarray(image.convert("L"))
    x, _, _ = load_image_folder(str(pictures), size=[6, 8])
    assert x.shape == (6, 6, 8, 1)
    np.testing.assert_array_equal(x[3, :, :, 0], grey)
    flat, _, _ = load_image_folder(pictures, size=(3, 4), flat=True)
    assert flat.shape == (6, 12)
    model = Sequential([Flatten(), Dense(3, "softmax")], input_shape=(6, 8, 1), backend=get_backend("numpy"))
    model.compile()
    model.fit(x, y)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "1", "CMYK"])
@pytest.mark.parametrize("grey", [True, False])
def test_modes_of_pictures(tmp_path, mode, grey):
    (tmp_path / "one").mkdir()
    if mode == "I;16":
        image = Image.fromarray(np.full((4, 4), 257 * 200, np.uint16))
        wanted = 200
    else:
        image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)) if "A" in mode else Image.new("RGB", (4, 4), "white")
        image, wanted = image.convert(mode), 255
    image.save(tmp_path / "one" / ("a.jpg" if mode == "CMYK" else "a.png"))
    x, _, _ = load_image_folder(tmp_path, size=(2, 2), grey=grey)
    assert np.abs(x.astype(int) - wanted).max() <= 1
    assert x.shape == (1, 2, 2, 1 if grey else 3)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda p: (p / "bee" / "0.png").write_bytes(b"\x89PNG"), {}, r"bee/0.png (is no|cannot be read)"),
        (lambda p: (p / "bee" / "notes.txt").write_text("x"), {}, r"bee/notes.txt is no image"),
        (lambda p: (p / "bee" / "more").mkdir(), {}, r"bee/more is a folder"),
        (lambda p: (p / "dog").mkdir(), {}, r"folder .*dog is empty"),
        (lambda p: None, {"size": (3,)}, r"size is \(3,\), expected \(height, width\)"),
        (lambda p: None, {"size": (0, 3)}, "size is 0, expected an integer of at least 1"),
        (lambda p: None, {"size": 28}, "size is 28, expected a list or a tuple"),
        (lambda p: None, {"path": "nowhere"}, "folder nowhere cannot be listed"),
    ],
)
def test_folders_refused(pictures, change, options, message):
    change(pictures)
    with pytest.raises(InputError, match=message) as caught:
        load_image_folder(**{"path": pictures, "size": (6, 8), **options})
    assert_sentence(caught.value)


def test_a_folder_without_classes(tmp_path):
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="holds no folder, expected one for each class"):
        load_image_folder(tmp_path, size=(3, 3))


CSV = "\ufeffheight, weight,kind,price\n1.5,2,cat,3\n\n-1e3,0.25,ant,4\n7,8,cat,5\n"


def write(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_with_classes(tmp_path):
    with pytest.raises(InputError, match=r"column 'kind' of .* holds 'cat' for example 1, expected a finite"):
        load_csv(write(tmp_path, CSV), "price")
    without = CSV.replace(",price", "").replace(",3\n", "\n").replace(",4\n", "\n").replace(",5\n", "\n")
    x, y, columns, classes = load_csv(write(tmp_path, without), target="kind")
    assert x.tolist() == [[1.5, 2.0], [-1000.0, 0.25], [7.0, 8.0]]
    assert y.tolist() == [1, 0, 1]
    assert (columns, classes) == (("height", "weight"), ("ant", "cat"))
    assert (x.dtype, y.dtype) == (np.float64, np.int64)


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
def test_a_table_with_numbers(tmp_path, values, wanted, dtype):
    text = "y;a\n" + "".join(f"{value};{i}\n" for i, value in enumerate(values.split()))
    table = load_csv(write(tmp_path, text), "y", delimiter=";")
    assert (table.y.tolist(), table.y.dtype, table.classes) == (wanted, dtype, ())
    assert table.x.tolist() == [[0], [1], [2]]


def test_a_table_with_several_targets(tmp_path):
    table = load_csv(write(tmp_path, "a,b,c\n1,2,3\n4,5,6\n"), ["c", "a"])
    assert table.y.tolist() == [[3, 1], [6, 4]]
    assert table.columns == ("b",)
    model = Sequential([Dense(2)], input_shape=(1,), backend=get_backend("numpy"))
    model.compile("mean_squared_error")
    model.fit(table.x, table.y)


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("a,b\n1,2\n", "c", "target is 'c', expected one of a, b"),
        ("a,b\n1,2,3\n", "b", "example 1 of .* has 3 cells, expected 2"),
        ("a,b\n1,2\n,2\n", "b", r"column 'a' of .* holds '' for example 2, expected a finite number"),
        ("a,b\n1,x\n1,\n", "b", r"column 'b' of .*holds 'x' for example 1"),
        ("a,b\nnan,2\n", "b", "holds 'nan' for example 1"),
        ("a,b\n1,x\n", ["b"], "column 'b' .* holds 'x'"),
        ("1,2\n3,4\n", "2", r"begins with .'1', '2'., expected another name for each column"),
        ("a,a\n3,4\n", "a", "begins with .'a', 'a'."),
        ("a,b\n", "b", r"begins with .'a', 'b'., and holds no example"),
        ("", "b", "cannot be read as a CSV file"),
        ('a,b\n"1,2\n', "b", "example 1 of .* has 1 cells"),
    ],
)
def test_tables_refused(tmp_path, text, target, message):
    with pytest.raises(InputError, match=message) as caught:
        load_csv(write(tmp_path, text), target)
    assert_sentence(caught.value)


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00\n")
    for path in (tmp_path / "nowhere.csv", tmp_path, tmp_path / "bytes"):
        with pytest.raises(InputError, match="cannot be read as a CSV file"):
            load_csv(path, "a")
