"""Drawings that the page saves."""

import numpy as np
from helpers import input_error

from dnn.commands.page.drawings import save_drawing
from dnn.datasets import load_image_folder

PICTURE = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28)


def test_a_saved_drawing_is_read_back(tmp_path):
    folder = tmp_path / "kept"
    file = save_drawing(folder, PICTURE, 7)
    before = file.stat().st_mtime_ns
    assert save_drawing(folder, PICTURE, 7) == file
    assert file.stat().st_mtime_ns == before  # not overwritten
    save_drawing(folder, 255 - PICTURE, 1)
    found = load_image_folder(folder, (28, 28), grey=True)
    assert found.classes == ("1", "7")
    np.testing.assert_array_equal(found.x[1, :, :, 0], PICTURE)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_nothing_is_saved_outside_the_folder(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "kept" / "7").symlink_to(tmp_path / "outside")
    with input_error("link to another place"):
        save_drawing(tmp_path / "kept", PICTURE, 7)
    (tmp_path / "file").write_text("")
    with input_error("cannot be written"):
        save_drawing(tmp_path / "file", PICTURE, 7)
    assert list((tmp_path / "outside").iterdir()) == []
