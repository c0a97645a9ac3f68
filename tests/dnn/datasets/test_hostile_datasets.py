"""Special files in place of a data set's are rejected with one sentence. Generated inputs: 60 trees."""

import os

import pytest
from hostile import for_each
from hypothesis import strategies as st
from small_sets import write_raw_files

from backends import InputError
from dnn.datasets import load_dataset


def test_rejects_special_files(small_files, tmp_path, tried_sources):
    """60 cases: a folder, a pipe or a link to nothing in place of a file or folder."""
    places = st.sampled_from(["MNIST", "MNIST/raw", *(f"MNIST/raw/{name}" for name in small_files)])
    number = iter(range(10_000))

    @for_each(
        60, places, st.sampled_from(["folder", "pipe", "loop", "link to nothing", "file"]), st.booleans()
    )
    def check(place, kind, download):
        root = tmp_path / str(next(number))
        raw = write_raw_files(root, small_files)
        path = root / place
        path.rename(root / "away")
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "file":
            path.write_bytes(b"")
        else:
            path.symlink_to(path.name if kind == "loop" else root / "nothing")
        with pytest.raises(InputError) as caught:  # a long one: it has the names and digests of four files
            load_dataset("mnist", root, download)
        assert "\n" not in str(caught.value)
        assert not (root / "nothing").exists() or kind == "link to nothing"
        assert raw.parent.parent == root
