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
from small_sets import IMAGES, REAL_MD5, idx_bytes, small_set, write_raw_files

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
    with pytest.raises(DatasetError, match=r'pip install -e "\.\[apps\]"'):
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
    for part in (str(path), f"got {len(bad)} bytes", hashlib.md5(bad).hexdigest(), "delete or move it"):
        assert part in message
    assert f"expected {len(good)} bytes with md5 {hashlib.md5(good).hexdigest()}" in message
    assert path.read_bytes() == bad
    assert not tried_sources


def test_a_huge_file_is_not_read(tmp_path, small_files):
    path = write_raw_files(tmp_path, small_files) / IMAGES
    os.truncate(path, 40 << 30)  # sparse
    with pytest.raises(DatasetError, match=f"got {40 << 30} bytes, expected"):
        load_dataset("mnist", tmp_path)


def test_rejects_a_small_fake_of_mnist(tmp_path):
    write_raw_files(tmp_path, small_set())
    with pytest.raises(DatasetError, match=f"expected 47040016 bytes with md5 {REAL_MD5[IMAGES]}"):
        load_dataset("mnist", tmp_path, download=False)


def fashion():
    """Return four black files with Fashion-MNIST's sizes and headers."""
    return {
        name: idx_bytes(*header, content=bytes(size - 4 * len(header)))
        for name, (size, header, _) in fetching.RAW_FILES.items()
    }


def test_data_sets_without_digests_are_checked_by_header_size_and_labels(tmp_path):
    files = fashion()
    raw = write_raw_files(tmp_path, files, "FashionMNIST")
    name = "t10k-labels-idx1-ubyte"
    good = files["t10k-labels-idx1-ubyte"]
    (raw / name).write_bytes(good[:-1] + b"\x09")
    data = load_dataset("fashion_mnist", tmp_path)
    assert (data.x_train.shape, data.y_test[-1]) == ((60_000, 784), 9)
    for bad, complaint in (
        (good[:-1], "got 10007 bytes with md5 .*, expected 10008 bytes"),
        (idx_bytes(2051, 10_000) + good[8:], r"IDX header \(2051, 10000\), expected \(2049, 10000\)"),
        (good[:-1] + b"\x0a", "got a label of 10, expected 0 to 9"),
    ):
        (raw / name).write_bytes(bad)
        with pytest.raises(DatasetError, match=f"{name} is .*{complaint}"):
            load_dataset("fashion_mnist", tmp_path)
