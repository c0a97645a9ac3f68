"""Atomic writes, and the mode of the files."""

import os
import stat
import threading
from pathlib import Path

import pytest

from dnn.io.atomic_files import unfinished_files, write_atomically


def test_replaces_atomically_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "file"
    for content in (b"old", b"new", b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="no such devices on Windows")
def test_a_device_is_never_replaced_and_a_link_to_one_is(tmp_path):
    """Without this check root would replace /dev/null by a file."""
    for place in (os.devnull, "/", "."):
        with pytest.raises(OSError, match="not the name of a file that can be replaced"):
            write_atomically(Path(place), b"x")
    (tmp_path / "link").symlink_to(os.devnull)
    write_atomically(tmp_path / "link", b"x")
    assert (tmp_path / "link").read_bytes() == b"x"
    assert Path(os.devnull).is_char_device()


@pytest.mark.skipif(os.name == "nt", reason="no modes on Windows")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_mode_follows_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", b"x")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask
        assert os.umask(umask) == umask  # and it was not touched
    finally:
        os.umask(before)


def test_the_order_on_the_disk(tmp_path, monkeypatch):
    """The content is flushed before the rename, and the rename before the return."""
    done = []
    fsync = os.fsync
    replace = os.replace

    def record_flush(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def record_rename(*names):
        done.append("rename")
        replace(*names)

    monkeypatch.setattr(os, "fsync", record_flush)
    monkeypatch.setattr(os, "replace", record_rename)
    write_atomically(tmp_path / "file", b"x")
    assert done == ["file", "rename", "folder"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch, broken):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_many_writers_of_one_file(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([i]) * 100_000 for i in range(4)]

    def write(content):
        for _ in range(20):
            write_atomically(path, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_finds_files_of_killed_writers(tmp_path):
    """A run folder removes them (tests/dnn/commands/test_run_folder.py)."""
    keep = [tmp_path / name for name in (".lock", "state-1.safetensors", "x.unfinished")]
    left = tmp_path / ".state-1.safetensors.0123.unfinished"
    for path in (*keep, left):
        path.write_bytes(b"x")
    assert unfinished_files(tmp_path) == [left]
