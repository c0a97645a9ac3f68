"""Broken files of data sets, hundreds of them; and two processes that fetch into one folder at once."""

import os
import threading

import numpy as np
import pytest
from small_sets import put
from test_hostile_input import TIMES, broken_file, refused

from dnn import fetch as fetching
from dnn.datasets import DatasetError, load_dataset


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_broken_files_are_refused_or_hold_images(small, tmp_path, name, folder):
    """Fashion-MNIST has no digests here: then sizes, headers and labels decide."""
    rng, raw = np.random.default_rng(17), put(tmp_path, small, folder)
    taken = 0
    for _ in range(300 * TIMES):
        which = str(rng.choice(list(small)))
        while True:
            try:
                broken = broken_file(rng, small[which])
                break
            except (ValueError, UnicodeDecodeError, KeyError, StopIteration):
                continue  # the change of a safetensors header, which these files have not
        (raw / which).write_bytes(broken)
        try:
            data = load_dataset(name, tmp_path, download=False)
        except DatasetError as error:
            refused(error)
        else:
            taken += 1
            assert data.x_train.shape == (5, 784)
            assert data.y_train.max() <= 9
            assert name == "fashion_mnist" or broken == small[which]
        (raw / which).write_bytes(small[which])
    assert (taken < 10) == (name == "mnist")


def test_two_at_once_fetch_whole_files(small, tmp_path, monkeypatch):
    """Each fetcher writes its own temporary files; the last one to finish replaces whole by whole."""
    barrier = threading.Barrier(2)

    def source(dataset, names, into):
        barrier.wait(10)
        for name in names:
            with open(into / name, "wb") as file:
                for start in range(0, len(small[name]), 97):
                    file.write(small[name][start : start + 97])
                    os.sched_yield()

    monkeypatch.setattr(fetching, "from_torchvision", source)
    found, errors = [], []

    def fetch():
        try:
            found.append(load_dataset("mnist", tmp_path).x_train)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert len(found) == 2
    np.testing.assert_array_equal(*found)
    raw = tmp_path / "MNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == small
