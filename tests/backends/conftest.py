"""A fixture that registers a backend in the way another package would."""

import types

import pytest

from backends import registry


@pytest.fixture
def register(monkeypatch):
    """Return a function that makes ``load()`` the factory of the only registered backend, "mine"."""

    def add(load):
        point = types.SimpleNamespace(name="mine", load=load)
        monkeypatch.setattr(registry, "entry_points", lambda group: [point])

    return add
