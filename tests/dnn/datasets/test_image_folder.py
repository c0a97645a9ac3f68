"""Folders of pictures: the arrays that they give, and the folders that are rejected."""

import numpy as np
import pytest
from helpers import input_error
from hostile import assert_sentence
from PIL import Image

from dnn.datasets import load_image, load_image_folder


@pytest.fixture
def pictures(tmp_path):
    """Write path/CLASS/FILE for three classes, in various formats, sizes and modes."""
    rng = np.random.default_rng(4)
    for name, n in (("cat", 2), ("ant", 3), ("bee", 1)):
        (tmp_path / name).mkdir()
        for i in range(n):
            pixels = rng.integers(0, 256, (6 + i, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.{('png', 'bmp', 'jpg')[i]}")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "no_suffix", ".hidden.png"):
        (tmp_path / "cat" / name).write_bytes(b"no picture")
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / "0.PNG")
    (tmp_path / "readme.txt").write_text("beside the folders")
    return tmp_path


def test_one_folder_per_class(pictures, caplog):
    x, y, classes = load_image_folder(pictures, size=(6, 8))
    assert caplog.text.count("6 pictures of (height, width) (6, 8) to (8, 8), read as (6, 8, 3)") == 1
    assert "3 classes: ant, bee, cat" in caplog.text
    assert classes == ("ant", "bee", "cat")
    assert y.tolist() == [0, 0, 0, 1, 2, 2]
    assert (x.shape, x.dtype, y.dtype) == ((6, 6, 8, 3), np.uint8, np.int64)
    with Image.open(pictures / "bee" / "0.png") as image:
        np.testing.assert_array_equal(x[3], np.asarray(image))
        grey = np.asarray(image.convert("L"))
    x, _, _ = load_image_folder(str(pictures), size=[6, 8], grey=True)
    assert x.shape == (6, 6, 8, 1)
    np.testing.assert_array_equal(x[3, :, :, 0], grey)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "1", "CMYK"])
@pytest.mark.parametrize("grey", [True, False])
def test_picture_modes(tmp_path, mode, grey):
    (tmp_path / "one").mkdir()
    if mode == "I;16":
        image = Image.fromarray(np.full((4, 4), 257 * 200, np.uint16))
        wanted = 200
    else:
        image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)) if "A" in mode else Image.new("RGB", (4, 4), "white")
        image = image.convert(mode)
        wanted = 255
    image.save(tmp_path / "one" / ("a.jpg" if mode == "CMYK" else "a.png"))
    x, _, _ = load_image_folder(tmp_path, size=(2, 2), grey=grey)
    assert np.abs(x.astype(int) - wanted).max() <= 1
    assert x.shape == (1, 2, 2, 1 if grey else 3)


def break_two(folder):
    (folder / "bee" / "0.png").write_bytes(b"")
    (folder / "cat" / "a.tif").write_bytes(b"a form that is not read")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda p: (p / "bee" / "0.png").write_bytes(b"\x89PNG"),
            {},
            r"pictures .*: bee/0.png, .*; the first: ",
        ),
        (lambda p: (p / "bee" / "no.HEIC").write_text("x"), {}, r"bee/no.HEIC cannot be read as"),
        (break_two, {}, r"pictures .*: bee/0.png, cat/a.tif, expected .* the first: .*bee/0.png cannot"),
        (break_two, {"size": None}, r"pictures .*: bee/0.png, cat/a.tif, expected"),
        (lambda p: (p / "bee" / "more").mkdir(), {}, r"bee/more is a folder, .*bee; move it"),
        (
            lambda p: (p / "loop").symlink_to(p),
            {},
            "loop/ant is a folder, .*; remove the link .*/loop, which",
        ),
        (lambda p: (p / "bee" / "loop.png").symlink_to("loop.png"), {}, "cannot be read: bee/loop.png,"),
        (lambda p: (p / "bee" / "0.png").rename(p / "bee" / "0.txt"), {}, r"bee holds no picture, .*\.png"),
        (lambda p: (p / "dog").mkdir(), {}, r"folder .*dog holds no picture"),
        (lambda p: None, {"size": (3,)}, r"size is \(3,\), expected \(height, width\)"),
        (lambda p: None, {"size": (0, 3)}, "size is 0, expected an integer of at least 1"),
        (lambda p: None, {"size": (10**6, 10**6)}, "size is .*, expected at most 50 megapixels"),
        (lambda p: None, {"size": 28}, "size is 28, expected a list or a tuple"),
        (lambda p: None, {"grey": np.ones(2)}, "grey is .*, expected True or False"),
        (lambda p: None, {"path": "nowhere"}, "folder nowhere cannot be listed"),
    ],
)
def test_rejects_bad_folders(pictures, change, options, message):
    change(pictures)
    with input_error(message) as caught:
        load_image_folder(**{"path": pictures, "size": (6, 8), **options})
    assert_sentence(caught.value)


def test_unreadable_pictures_are_skipped_and_listed(pictures, caplog):
    expected = load_image_folder(pictures, size=(6, 8))
    (pictures / "ant" / "00.png").write_bytes(b"")
    (pictures / "cat" / "a.tif").write_bytes(b"a form that is not read")
    found = load_image_folder(pictures, size=(6, 8), skip_unreadable=True)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "2 pictures of folder" in caplog.text
    assert "cannot be read: ant/00.png, cat/a.tif; they are skipped" in caplog.text
    break_two(pictures)
    with input_error("bee holds no picture that can be read"):
        load_image_folder(pictures, skip_unreadable=True)


def test_rejects_a_folder_without_classes(tmp_path):
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    with input_error("holds no folder, expected one with pictures for each class"):
        load_image_folder(tmp_path, size=(3, 3))


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ([(9, 9), (5, 8), (5, 8)], (9, 9)),
        ([(300, 600), (1, 1)], (128, 256)),
        ([(3, 4000)], (1, 256)),
        ([(256, 256)], (256, 256)),
    ],
)
def test_default_size_is_that_of_the_first_picture(tmp_path, sizes, wanted):
    (tmp_path / "one").mkdir()
    for i, (height, width) in enumerate(sizes):
        Image.new("L", (width, height)).save(tmp_path / "one" / f"{i}.png")
    assert load_image_folder(tmp_path).x.shape == (len(sizes), *wanted, 3)


@pytest.mark.parametrize("folder", ["train", "test"])
def test_folders_of_classes_in_a_folder(pictures, folder):
    """The call that the message names reads them."""
    (pictures / folder).mkdir()
    for name in ("ant", "bee"):
        (pictures / name).rename(pictures / folder / name)
    with input_error(r"is a folder, expected only .*; load the folder ") as caught:
        load_image_folder(pictures)
    found = load_image_folder(str(caught.value).split("load the folder ")[1].split()[0])
    assert found.classes == ("ant", "bee")


def test_one_picture_is_read_like_those_of_a_folder(pictures):
    for grey, channels in ((False, 3), (True, 1)):
        x, y, _ = load_image_folder(pictures, grey=grey)
        one = load_image(pictures / "bee" / "0.png", x.shape[1:3], grey=grey)
        np.testing.assert_array_equal(one, x[y == 1][0])
        assert (one.dtype, one.shape) == (np.uint8, (*x.shape[1:3], channels))
    assert load_image(str(pictures / "bee" / "0.png"), [3, 4]).shape == (3, 4, 3)
    with input_error("nowhere.png is not an existing file"):
        load_image("nowhere.png", (3, 4))
