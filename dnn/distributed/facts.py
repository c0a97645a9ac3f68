"""The version of the code, which must be equal in all workers."""

import hashlib
from pathlib import Path


def code_version() -> str:
    """Return a digest of the source code of ``backends`` and ``dnn``."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    paths = [path for package in ("backends", "dnn") for path in (root / package).rglob("*.py")]
    for path in sorted(paths, key=Path.as_posix):  # paths compare without case on Windows
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()
