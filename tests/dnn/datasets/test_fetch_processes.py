"""Two processes fetch into one folder at once."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from helpers import MAX_SECONDS

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
fetch.RAW_FILES = {{n: (len(c), hashlib.md5(c).hexdigest()) for n, c in files.items()}}

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
    root = tmp_path / "data"
    go = tmp_path / "go"
    repository = Path(__file__).resolve().parents[3]
    code = FETCH.format(tests=str(repository / "tests"))
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
