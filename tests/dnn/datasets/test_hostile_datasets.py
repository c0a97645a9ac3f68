"""Broken data set files are rejected with one sentence or give images and labels that fit.

Two processes fetch into one folder at once. Generated inputs: 2 x 350 broken files and 60 trees with special
files, 760 in all.
"""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import MAX_SECONDS
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
    """350 for each data set. Fashion-MNIST has no digests: sizes, headers and labels decide."""
    raw, accepted = write_raw_files(tmp_path, small_files, folder), []

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
        assert data.y_train.max() <= 9
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


FETCH = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import hashlib
from small_sets import small_set
from dnn.datasets import download as fetch
from dnn.datasets import load_dataset

root, go = Path(sys.argv[1]), Path(sys.argv[2])
files = small_set()
lengths = {{n: range(0, 16 if "images" in n else 8, 4) for n in files}}
headers = {{n: tuple(int.from_bytes(c[i : i + 4], "big") for i in lengths[n]) for n, c in files.items()}}
fetch.RAW_FILES = {{n: (len(c), headers[n], hashlib.md5(c).hexdigest()) for n, c in files.items()}}

def source(dataset, names, into):
    (go.parent / ("here-" + sys.argv[3])).touch()
    while not go.exists():
        time.sleep(0.005)
    for name in names:
        with open(into / name, "wb") as file:
            for start in range(0, len(files[name]), 97):
                file.write(files[name][start : start + 97])
                file.flush()
                time.sleep(0.0002)

fetch.fetch_from_torchvision = source
print(load_dataset("mnist", root).x_train.sum())
"""


def test_two_processes_fetch_complete_files_into_one_folder(small_files, tmp_path):
    """Each process writes its own temporary files while the other fetches; both end with all files."""
    root, go = tmp_path / "data", tmp_path / "go"
    code = FETCH.format(tests=os.path.dirname(__file__))
    repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(root), str(go), str(i)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=repository,
        )
        for i in range(2)
    ]  # fmt: skip
    try:
        deadline = time.monotonic() + MAX_SECONDS
        while not all((tmp_path / f"here-{i}").exists() for i in range(2)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        go.touch()
        while any(process.poll() is None for process in processes):
            assert time.monotonic() < deadline
            for name, content in small_files.items():  # a file under its final name is complete
                path = root / "MNIST" / "raw" / name
                assert not path.exists() or path.read_bytes() == content
            time.sleep(0.001)
        answers = [process.communicate(timeout=MAX_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], answers
    sums = {int(out) for out, _ in answers}
    assert sums == {int(np.frombuffer(small_files["train-images-idx3-ubyte"], np.uint8)[16:].sum(dtype=int))}
    raw = root / "MNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == small_files
