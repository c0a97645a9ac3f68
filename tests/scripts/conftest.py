"""Figures that a test looks at."""

from contextlib import contextmanager

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch):
    """module -> a list of the figures that it draws from now on, none of which is written."""

    def watched(module):
        figures = []

        @contextmanager
        def picture(path, width, height):
            figures.append(Figure((width, height), layout="constrained"))
            yield figures[-1]

        monkeypatch.setattr(module, "picture", picture)
        return figures

    return watched
