"""Fixtures that register a backend in the way another package would, and run CuPy's kernels on the host."""

import types

import host_cuda
import pytest

from backends import registry


@pytest.fixture
def register(monkeypatch):
    """Return a function that makes ``load()`` the factory of the only registered backend, "mine"."""

    def add(load):
        point = types.SimpleNamespace(name="mine", load=load)
        monkeypatch.setattr(registry, "entry_points", lambda group: [point])

    return add


@pytest.fixture
def on_the_host(monkeypatch):
    host_cuda.install(monkeypatch)
