"""Modified run folders: train.py resumes them or rejects them with one sentence and exit code 2.

Nothing is written outside the folder. Generated inputs, in this process: 250 configurations, 150 states and
20 special files for --resume, 420 in all.
"""

import json
import os
import shutil

import pytest
from hostile import TRIP_VALUES, alter_json, attempt_command, broken_bytes, broken_json, for_each
from hypothesis import strategies as st

from backends import InputError
from dnn.callbacks import training_checkpoint
from dnn.commands.run_folder import RunFolder
from dnn.io import safetensors

pytestmark = pytest.mark.slow
STATE_FILE = "state-00002-0000000.safetensors"
CHECKPOINT_FILE = "model.safetensors"
FILE_FORMAT = training_checkpoint.FORMAT, training_checkpoint.VERSION


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return (folder of a run stopped after epoch 1 of 2, its files' contents); change to its parent.

    No curves are drawn: a picture takes longer than a training.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RunFolder, "draw", lambda self, history, title: None)
    command = "--dataset digits --hidden 4 --limit 60 --batch-size 60 --epochs 2 --backend numpy --quiet"
    assert attempt_command("train", [*command.split(), "--run-dir", "run", "--keep", "9"]) == 0
    folder = tmp_path / "run"
    (folder / "state-00003-0000000.safetensors").unlink()
    (folder / "result.json").unlink()
    return folder, {path.name: path.read_bytes() for path in folder.iterdir()}


def attempt_on(run, changes, damage):
    """Resume the run after damaging some files; return its exit code."""
    folder, files = run
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for name, change in changes.items():
        damage(folder / name, change)
    code = attempt_command("train", ["--resume", "run"])
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    return code


def test_resume_with_broken_configurations(run):
    """250 cases."""
    folder, files = run
    config = json.loads(files["config.json"])
    names = st.sampled_from(sorted(config.keys() - {"model", "optimizer_settings"}))
    one = st.builds(lambda name, value: {**config, name: value}, names, st.sampled_from(TRIP_VALUES))
    # Without valid numbers of epochs that would take hours.
    odd = (one | alter_json(config)).filter(
        lambda c: not (isinstance(c.get("epochs"), int) and c["epochs"] > 100)
    )
    texts = odd.map(lambda c: json.dumps(c).encode())

    @for_each(250, st.booleans().flatmap(lambda is_json: texts if is_json else broken_json(config)))
    def check(text):
        code = attempt_on(run, {"config.json": text}, type(folder).write_bytes)
        assert code != 0 or (folder / "result.json").exists()


def test_resume_with_broken_states(run):
    """150 cases: the file is broken, or has forged metadata with a valid checksum."""
    folder, files = run
    about, arrays = safetensors.read(folder / STATE_FILE, *FILE_FORMAT, "file", InputError)

    def damage(path, change):
        if isinstance(change, bytes):
            path.write_bytes(change)
        else:
            safetensors.write(path, *FILE_FORMAT, change, arrays)

    @for_each(150, broken_bytes(files[STATE_FILE]) | alter_json(about) | alter_json(about))
    def check(change):
        if attempt_on(run, {STATE_FILE: change}, damage) == 0:
            assert (folder / CHECKPOINT_FILE).read_bytes() == files[CHECKPOINT_FILE]


def test_resume_with_special_files(run):
    """20 cases: one of the files is a folder, a pipe or a link."""

    def damage(path, kind):
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(path.name if kind == "loop" else "../outside")

    kinds = st.sampled_from(["folder", "pipe", "link to nothing", "loop"])

    @for_each(20, st.sampled_from(sorted(run[1])), kinds)
    def check(name, kind):
        attempt_on(run, {name: kind}, damage)
