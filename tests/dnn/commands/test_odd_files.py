"""Odd run folders, odd files and a full stdout give one sentence and exit code 2; nothing is written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_lines import SCRIPTS, assert_refused, run_here
from helpers import input_error, others_slow

from dnn.commands.run_folder import read_config

MISSING_KEY = object()
LONG_NAME = "a" * 300


@pytest.fixture
def folder(page_folder, tmp_path):
    """Return a temporary folder with a copy of the run."""
    shutil.copytree(page_folder / "run", tmp_path / "run")
    return tmp_path


@pytest.mark.parametrize("command", ["evaluate run", "predict run a.png", "export run a.onnx"])
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("dataset", MISSING_KEY, "dataset is None"),
        ("dataset", "letters", "dataset is 'letters'"),
        ("dataset", ["mnist"], "dataset is ['mnist']"),
    ],
)
def test_rejects_invalid_configurations(folder, command, key, value, words):
    file = folder / "run" / "config.json"
    config = json.loads(file.read_text())
    del config[key]
    if value is not MISSING_KEY:
        config[key] = value
    file.write_text(json.dumps(config))
    assert_refused(run_here(command, cwd=folder), "config.json", words)
    assert sorted(os.listdir(folder)) == ["run"]


@pytest.mark.parametrize("name", [LONG_NAME, "a\0b"])
def test_folder_names_that_no_file_can_have(name):
    with input_error("is not a folder"):
        read_config(Path(name))


def test_a_run_folder_of_too_many_parts_is_refused_at_once(tmp_path):
    result = run_here("train --dataset digits --run-dir", tmp_path / "/".join("a" * 1500))
    assert_refused(result, "its path has more than 200 parts", "choose another --run-dir")
    assert not any(tmp_path.iterdir())


def test_a_picture_cannot_forge_an_answer(folder):
    """Its name has a line break, a bell and an escape sequence."""
    name = "new\nline: 7  probability 1.0000\a\x1b[2J.png"
    shutil.copy(folder / "run" / "curves.png", folder / name)
    for picture in (name, "missing\n\x1b[2J.png"):
        result = run_here("predict run", picture, cwd=folder)
        assert (result.stdout + result.stderr).count("\n") == 1
        assert (result.stdout + result.stderr).strip().isprintable()


@pytest.mark.parametrize(("name", "code"), [("result.json", 0), ("config.json", 2), ("model.safetensors", 2)])
@pytest.mark.parametrize("is_pipe", [True, False])
def test_pipes_and_huge_files_are_not_read(folder, name, code, is_pipe):
    path = folder / "run" / name
    if is_pipe:
        path.unlink()
        os.mkfifo(path)
    else:
        os.truncate(path, 3 << 30)  # sparse
    assert run_here("evaluate run", cwd=folder).returncode == code
    result = run_here("predict run missing.png", cwd=folder)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert (f"run/{name} " in result.stderr) == bool(code)
    assert ("it has more than 16 MB" in result.stderr) == (name == "config.json" and not is_pipe)


@pytest.mark.parametrize("name", ["missing/a.png", "a", "a.odd", ".png", LONG_NAME + ".png"])
def test_unwritable_pictures_are_reported(folder, name):
    said = run_here("evaluate run --dataset digits --calibration", name, cwd=folder)
    assert_refused(said, name[:100])
    assert sorted(os.listdir(folder)) == ["run"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    "command",
    others_slow(
        [
            "evaluate run",
            "evaluate run --json",
            "doctor",
            "agree --levels L0 --quick --dataset digits --backends numpy",
        ],
        ["doctor"],
    ),
)
def test_a_full_stdout_is_reported(folder, command):
    name, *words = command.split()
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, SCRIPTS / f"{name}.py", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
    assert_refused(done, "standard output cannot be")
