"""A script runs the code of its own checkout, whatever is installed and wherever it is started."""

import os
import subprocess
import sys

import pytest
from command_lines import SCRIPTS
from helpers import MAX_SECONDS, others_slow

from dnn.__main__ import COMMANDS

OTHER = "raise SystemExit('the other copy was imported')"


def start(script, *arguments, first, folder, flags=()):
    """Run a script with ``first`` at the head of PYTHONPATH, like an installed copy."""
    paths = [str(first), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, *flags, str(script), *arguments]
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=MAX_SECONDS
    )


@pytest.fixture
def copy(tmp_path):
    """Create a folder with another ``dnn`` and ``backends`` that fail to import."""
    for package in ("dnn", "backends"):
        (tmp_path / "copy" / package).mkdir(parents=True)
        (tmp_path / "copy" / package / "__init__.py").write_text(OTHER)
    return tmp_path / "copy"


@pytest.mark.parametrize(
    "name",
    others_slow([*COMMANDS, "benchmark", "examples/predict_disease"], ["train", "examples/predict_disease"]),
)
@pytest.mark.parametrize("flags", [["-P"], ["-I", "-OO"]], ids=str)
def test_this_checkout_is_used_before_another_copy(name, flags, copy, tmp_path):
    found = start(SCRIPTS / f"{name}.py", "--help", first=copy, folder=tmp_path, flags=flags)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(f"usage: {name.rpartition('/')[2]}.py ")


def test_errors_during_imports_keep_their_traceback(copy, tmp_path):
    code = "import sys; sys.argv = ['train.py']; import checkout; raise ValueError('a bug')"
    found = start("-c", code, first=SCRIPTS, folder=tmp_path)
    assert (found.returncode, found.stderr.splitlines()[-1]) == (1, "ValueError: a bug")
    assert "Traceback" in found.stderr
