"""Fixture that imports text as a module, such as layers and losses in a user's own file."""

import importlib.util
import sys

import pytest
from own_parts import TABLES


@pytest.fixture
def load_module(tmp_path, monkeypatch):
    """Return a function that imports a text as a module; afterwards tables and sys.modules are restored."""
    for table in TABLES:
        monkeypatch.setattr(table, "_entries", dict(table._entries))

    def make(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return make
