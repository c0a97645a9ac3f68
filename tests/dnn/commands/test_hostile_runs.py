"""Run folders that somebody has been at: train.py --resume, evaluate.py and predict.py refuse them in a
sentence and with exit code 2, or do what they say; nothing is written outside the folder.

Generated inputs, in this process: 250 configurations, 150 states and 20 odd files for --resume, 120
checkpoints for evaluate and 120 for predict: 660.
"""

import json
import os
import shutil

import pytest
from command_lines import SCRIPTS, assert_said, call
from hostile import TRIPS, altered, broken_bytes, broken_json, examples
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backends import InputError
from dnn.callbacks.training_checkpoint import FORMAT, VERSION
from dnn.commands.run_folder import RunFolder
from dnn.io import safetensors as tensor_files

CHECKPOINT = ("array-api-dnn", 1)


@pytest.fixture
def no_curves(monkeypatch):
    """A picture takes longer than a training, and ``draw`` lets no error of it out: test_odd_values draws."""
    monkeypatch.setattr(RunFolder, "draw", lambda self, history, title: None)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """(folder of a finished run of one epoch, its files' contents) in an empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    command = ["--dataset", "digits", "--hidden", "4", "--limit", "60", "--batch-size", "60", "--epochs", "2",
               "--backend", "numpy", "--quiet", "--run-dir", "run", "--keep", "9"]  # fmt: skip
    assert call("train", command, capsys)[0] == 0
    folder = tmp_path / "run"
    (folder / "state-00003-0000000.safetensors").unlink()  # as if it had ended after the first epoch
    (folder / "result.json").unlink()
    (folder / "curves.png").unlink()
    return folder, {path.name: path.read_bytes() for path in folder.iterdir()}


def restore(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def assert_only_the_run(folder):
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.slow
def test_configurations_to_go_on_with(run, no_curves, capsys):
    """250."""
    folder, files = run
    config = json.loads(files["config.json"])
    read = sorted(config.keys() - {"model", "optimizer_settings"})
    one = st.builds(
        lambda name, value: {**config, name: value}, st.sampled_from(read), st.sampled_from(TRIPS)
    )
    # Without the numbers that are allowed and mean hours.
    odd = (one | altered(config)).filter(
        lambda c: not (isinstance(c.get("epochs"), int) and c["epochs"] > 100)
    )
    texts = odd.map(lambda c: json.dumps(c).encode())

    @examples(250)
    @given(st.booleans().flatmap(lambda whole: texts if whole else broken_json(config)))
    def check(text):
        restore(folder, files)
        (folder / "config.json").write_bytes(text)
        code, said = call("train", ["--resume", "run"], capsys)
        assert_said(code, said, text)
        assert code != 0 or (folder / "result.json").exists()
        assert_only_the_run(folder)

    check()


@pytest.mark.slow
def test_states_to_go_on_with(run, no_curves, capsys):
    """150: broken ones, and forged ones with a right checksum."""
    folder, files = run
    name = "state-00002-0000000.safetensors"
    about, arrays = tensor_files.read(folder / name, FORMAT, VERSION, "state", InputError)

    def forged(facts):
        tensor_files.write(folder / name, FORMAT, VERSION, facts, arrays)
        return (folder / name).read_bytes()

    def as_found(case):
        return case if isinstance(case, bytes) else forged(case)

    @examples(150)
    @given(broken_bytes(files[name]) | altered(about) | altered(about))
    def check(case):
        restore(folder, files)
        (folder / name).write_bytes(as_found(case))
        code, said = call("train", ["--resume", "run"], capsys)
        assert_said(code, said, case)
        if code == 0:
            assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
        assert_only_the_run(folder)

    check()


@pytest.mark.slow
def test_odd_files_to_go_on_with(run, capsys):
    """20: one of the files is a folder, a pipe or a link."""
    folder, files = run
    kinds = st.sampled_from(["folder", "pipe", "link to nothing", "loop"])

    @examples(20)
    @given(st.sampled_from(sorted(files)), kinds)
    def check(name, kind):
        restore(folder, files)
        path = folder / name
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(path.name if kind == "loop" else "../outside")
        code, said = call("train", ["--resume", "run"], capsys)
        assert_said(code, said, (name, kind))
        assert_only_the_run(folder)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("script", ["evaluate", "predict"])
def test_checkpoints_to_use(run, capsys, script):
    """120 for each: broken, or forged with a right checksum."""
    folder, files = run
    path = folder / "model.safetensors"
    about, arrays = tensor_files.read(path, *CHECKPOINT, "checkpoint", InputError)
    page = Image.new("L", (40, 40), 255)
    page.paste(0, (15, 10, 20, 30))
    page.save(folder / "digit.png")
    arguments = ["run", *(["run/digit.png"] if script == "predict" else [])]

    @examples(120)
    @given(broken_bytes(files[path.name]) | altered(about) | altered(about))
    def check(case):
        if isinstance(case, bytes):
            path.write_bytes(case)
        else:
            tensor_files.write(path, *CHECKPOINT, case, arrays)
        code, said = call(script, arguments, capsys)
        assert_said(code, said, case)
        assert_only_the_run(folder)

    check()
    path.write_bytes(files[path.name])
    assert call(script, arguments, capsys)[0] == 0
