"""A trained run for the tests of the page on which one draws, and pictures that a test looks at."""

from contextlib import contextmanager

import pytest
from command_lines import run_here
from matplotlib.figure import Figure


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with a trained run, whose name is run."""
    place = tmp_path_factory.mktemp("page")
    small = ["--dataset", "digits", "--hidden", "48", "--epochs", "20", "--batch-size", "20"]
    trained = run_here("train", *small, "--backend", "numpy", "--quiet", "--run-dir", "run", cwd=place)
    assert trained.returncode == 0, trained.stderr
    return place


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
