"""Data sets are verified and complete, or one sentence says what is wrong.

Most tests use a MNIST of a few images with its own sizes and digests, so they need neither the real files nor
a network.
"""

import hashlib
import os
import sys

import numpy as np
import pytest
from helpers import input_error
from small_sets import IMAGES, small_set, write_raw_files

from dnn.datasets import DatasetError, fetch, load_dataset
from dnn.datasets import download as fetching

# Loaded arrays


def test_mnist_is_loaded_as_flat_uint8_rows(mnist_dir):
    data = load_dataset("mnist", mnist_dir, download=False)
    assert data.x_train.shape == (60_000, 784)
    assert data.x_test.shape == (10_000, 784)
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert (data.name, data.image_shape, data.classes) == ("mnist", (28, 28), 10)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        assert x.flags.c_contiguous
        assert x.flags.writeable  # torch.from_numpy warns of arrays that are not


def test_digits_need_no_file(tmp_path):
    data = load_dataset("digits", tmp_path / "not there")
    assert (data.x_train.shape, data.x_test.shape, len(data.y_train)) == ((1437, 64), (360, 64), 1437)
    assert (data.x_train.dtype, data.y_train.dtype) == (np.uint8, np.int64)
    assert (data.name, data.image_shape, data.classes) == ("digits", (8, 8), 10)
    from sklearn.datasets import load_digits

    raw = load_digits()
    both = np.concatenate([data.x_train, data.x_test])
    assert np.array_equal(np.rint(both / (255 / 16)), raw.data)  # rounding lost nothing
    assert both.max() == 255
    assert np.array_equal(np.concatenate([data.y_train, data.y_test]), raw.target)


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DatasetError, match=r'pip install -e "\.\[sklearn\]"'):
        load_dataset("digits")


@pytest.mark.parametrize("load", [load_dataset, fetch])
def test_rejects_unknown_names(load):
    with input_error(r"dataset is 'fashion-mnist', expected .*mean 'fashion_mnist'"):
        load("fashion-mnist")


def test_data_folder_precedence(small_files, tmp_path, monkeypatch):
    for name in ("argument", "variable", "data"):
        write_raw_files(tmp_path / name, small_files)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DNN_DATA_DIR", raising=False)
    assert fetch("mnist") == tmp_path / "data" / "MNIST" / "raw"
    monkeypatch.setenv("DNN_DATA_DIR", str(tmp_path / "variable"))
    assert fetch("mnist") == tmp_path / "variable" / "MNIST" / "raw"
    assert fetch("mnist", tmp_path / "argument") == tmp_path / "argument" / "MNIST" / "raw"


# Existing files


def test_complete_files_need_no_download(small_files, tried_sources, tmp_path):
    write_raw_files(tmp_path, small_files)
    data = load_dataset("mnist", tmp_path)
    assert data.x_train.tobytes() == small_files[IMAGES][16:]
    assert data.y_train.tolist() == [0, 1, 2, 3, 4]
    assert not tried_sources


@pytest.mark.parametrize("damage", ["truncated", "altered", "longer"])
def test_a_damaged_file_is_reported_and_kept(damage, small_files, tried_sources, tmp_path):
    good = small_files[IMAGES]
    bad = {
        "truncated": good[:1000], "altered": good[:-1] + bytes([good[-1] ^ 1]), "longer": good + b"\0",
    }[damage]  # fmt: skip
    path = write_raw_files(tmp_path, {**small_files, IMAGES: bad}) / IMAGES
    with pytest.raises(DatasetError) as caught:
        load_dataset("mnist", tmp_path)
    message = str(caught.value)
    sizes = f"got {len(bad)} bytes, expected {len(good)}"
    digests = f"got md5 {hashlib.md5(bad).hexdigest()}, expected {hashlib.md5(good).hexdigest()}"
    for part in (str(path), digests if damage == "altered" else sizes, "delete or move it"):
        assert part in message
    assert path.read_bytes() == bad
    assert not tried_sources


def test_a_huge_file_is_not_read(tmp_path, small_files):
    path = write_raw_files(tmp_path, small_files) / IMAGES
    os.truncate(path, 40 << 30)  # sparse
    with pytest.raises(DatasetError, match=f"got {40 << 30} bytes, expected"):
        load_dataset("mnist", tmp_path)


def test_rejects_a_small_fake_of_mnist(tmp_path):
    write_raw_files(tmp_path, small_set())
    with pytest.raises(DatasetError, match="got 3936 bytes, expected 47040016"):
        load_dataset("mnist", tmp_path, download=False)


def test_data_sets_without_digests_are_checked_by_size(tmp_path):
    sizes = {name: size for name, (size, _) in fetching.RAW_FILES.items()}
    raw = write_raw_files(tmp_path, {name: bytes(size) for name, size in sizes.items()}, "FashionMNIST")
    data = load_dataset("fashion_mnist", tmp_path)
    assert (data.x_train.shape, data.y_test.shape) == ((60_000, 784), (10_000,))
    (raw / "t10k-labels-idx1-ubyte").write_bytes(bytes(10_007))
    with pytest.raises(DatasetError, match=r"t10k-labels-idx1-ubyte is .*got 10007 bytes, expected 10008"):
        load_dataset("fashion_mnist", tmp_path)
