"""Broken data set files are rejected with one sentence or give images and labels that fit.

Generated inputs: 2 x 350 broken files and 60 trees with special files, 760 in all.
"""

import os

import numpy as np
import pytest
from hostile import Refusal, attempt, broken_bytes, for_each
from hypothesis import strategies as st
from small_sets import small_set, write_raw_files

from backends import InputError
from dnn.datasets import DatasetError, load_dataset

SMALL = small_set()
BROKEN = st.one_of([broken_bytes(content).map(lambda b, n=name: (n, b)) for name, content in SMALL.items()])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_broken_files_are_rejected_or_hold_images(small_files, tmp_path, name, folder):
    """350 for each data set. Fashion-MNIST has no digests: sizes decide."""
    raw = write_raw_files(tmp_path, small_files, folder)
    accepted = []

    @for_each(350, BROKEN)
    def check(case):
        which, broken = case
        (raw / which).write_bytes(broken)
        data = attempt(load_dataset, name, tmp_path, download=False, refusals=(DatasetError,))
        (raw / which).write_bytes(small_files[which])
        if isinstance(data, Refusal):
            return
        accepted.append(which)
        assert len(broken) == len(small_files[which])
        assert data.x_train.shape == (5, 784)
        parts = dict(zip(small_files, (data.x_train, data.y_train, data.x_test, data.y_test), strict=True))
        assert parts[which].astype(np.uint8).tobytes() == broken[16 if "images" in which else 8 :]

    assert (not accepted) == (name == "mnist")
    assert {path.name for path in raw.iterdir()} == set(small_files)


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
