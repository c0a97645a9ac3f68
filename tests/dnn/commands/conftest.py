"""A trained run for the tests of the drawing page."""

import pytest
from command_lines import serving, succeed


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory):
    """Return a folder with a trained run in its subfolder "run"."""
    page_folder = tmp_path_factory.mktemp("page")
    small = "--dataset digits --hidden 48 --epochs 20 --batch-size 20 --backend numpy"
    succeed(f"train {small} --quiet --run-dir run", cwd=page_folder)
    return page_folder


@pytest.fixture(scope="session")
def url(page_folder):
    """Return the address of a server for this run."""
    with serving("run", cwd=page_folder) as url:
        yield url
