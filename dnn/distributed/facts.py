"""The facts of a training that must be equal in all workers."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from backends.errors import shorten
from dnn.typing import Json


def code_version() -> str:
    """Return a digest of the source code of ``backends`` and ``dnn``."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(p for package in ("backends", "dnn") for p in (root / package).rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def find_difference(facts: Sequence[Json]) -> str | None:
    """Return a message about the first fact of a worker that differs from that of worker 0, or None.

    Args:
        facts: of each worker, by rank.
    """
    expected = facts[0]
    for rank, found in enumerate(facts):
        for name in {**expected, **found}:
            if found.get(name) != expected.get(name):
                a, b = (shorten(f.get(name), 60) for f in (found, expected))
                return f"worker {rank} differs in {name}: {a}, expected that of worker 0, {b}"
    return None
