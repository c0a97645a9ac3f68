"""The wheel, installed in a new environment and used outside the repository, and the command ``dnn``."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from command_lines import assert_refused
from documents import ROOT
from helpers import MAX_SECONDS

import dnn
from dnn.__main__ import COMMANDS
from dnn.datasets import load_dataset

PROGRAM = '''\
"""A user's program, as mypy --strict sees it."""

from pathlib import Path

import numpy as np
from backends import Backend, InputError, get_backend
from dnn import Adam, Dense, Dropout, EarlyStopping, Evaluation, History, Sequential, __version__
from dnn.checkpoints import load_model, save_model
from numpy.typing import NDArray


def network(inputs: int, classes: int, backend: Backend) -> Sequential:
    layers = [Dense(16, "relu"), Dropout(0.1), Dense(classes, "softmax")]
    model = Sequential(layers, input_shape=(inputs,), backend=backend, seed=1)
    model.compile("categorical_crossentropy", Adam(1e-2))
    return model


def main() -> float:
    stream = np.random.default_rng(0)
    x: NDArray[np.float32] = stream.random((60, 8), dtype=np.float32)
    y = (x.sum(1) > 4).astype(np.int64)
    model = network(8, 2, get_backend("numpy"))
    callbacks = [EarlyStopping("loss", 3)]
    history: History = model.fit(x, y, batch_size=20, epochs=2, callbacks=callbacks, verbose=0)
    result: Evaluation = model.evaluate(x, y)
    save_model(model, Path("model.safetensors"))
    try:
        again = load_model(Path("model.safetensors"), get_backend("numpy"))
    except InputError as error:
        raise SystemExit(str(error)) from None
    print(__version__, history.epoch, again.predict(x).shape, result.accuracy)
    return float(result.loss)


main()
'''


def call(command, folder, expected=0):
    """Run a command in this folder, with nothing of this repository on the path."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [*map(str, command)]
    done = subprocess.run(
        words, cwd=folder, env=variables, capture_output=True, text=True, timeout=MAX_SECONDS
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="it builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder]
    call([sys.executable, "-m", "pip", "wheel", ROOT, *options], folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def place(wheel, tmp_path_factory):
    """Return (folder, its programs) of a new environment with the wheel, which sees this one's packages."""
    folder = tmp_path_factory.mktemp("user")
    call([sys.executable, "-m", "venv", "--without-pip", "env"], folder)
    programs = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", programs / "python"]
    call([*pip, "install", "--no-deps", "--quiet", wheel], folder)
    (packages,) = (path.parent for path in (folder / "env").rglob("dnn") if path.is_dir())
    # Its .pth files are not read again, so that an editable install of this project stays unseen.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return folder, programs


@pytest.fixture(scope="module")
def trained(place):
    folder, programs = place
    small = ["--dataset", "digits", "--hidden", "16", "--epochs", "2", "--backend", "numpy"]
    return call([programs / "dnn", "train", *small, "--run-dir", "run"], folder)


def test_the_wheel_contains_both_packages(wheel):
    paths = [
        path for package in ("backends", "dnn") for path in (ROOT / package).rglob("*") if path.is_file()
    ]
    expected = {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == expected


@pytest.mark.slow
def test_there_is_one_version(place):
    folder, programs = place
    ask = (
        "import dnn; from importlib.metadata import version\n"
        "print(dnn.__file__, dnn.__version__, version('array-api-dnn'))"
    )
    where, *versions = call([programs / "python", "-c", ask], folder).stdout.split()
    assert Path(where).is_relative_to(folder)
    assert versions == [dnn.__version__] * 2
    said = call([programs / "dnn", "--version"], folder)
    assert said.stdout == f"array-api-dnn {dnn.__version__}\n"


@pytest.mark.slow
def test_it_trains_evaluates_and_predicts(place, trained):
    from PIL import Image

    folder, programs = place
    wanted = trained.stdout.splitlines()[-1].split()[:6]
    assert call([programs / "dnn", "evaluate", "run"], folder).stdout.split()[:6] == wanted
    picture = 255 - load_dataset("digits").x_test[0].reshape(8, 8)
    Image.fromarray(picture).resize((64, 64)).save(folder / "digit.png")
    predicted = call([programs / "dnn", "predict", "run", "digit.png", "--json"], folder)
    (read,) = json.loads(predicted.stdout)["images"]
    assert read["image"] == "digit.png"


@pytest.mark.slow
def test_help_names_the_command(place):
    folder, programs = place
    helped = call([programs / "dnn", "evaluate", "--help"], folder).stdout
    assert helped.startswith("usage: dnn evaluate ")
    assert "example: dnn evaluate runs/first" in " ".join(helped.split())
    refused = call([programs / "dnn", "tarin"], folder, expected=2)
    assert_refused(refused, "dnn: error: command is 'tarin'", "mean 'train'?")
    listed = call([programs / "dnn"], folder)
    for name in COMMANDS:
        assert f"\n    {name} " in listed.stdout


@pytest.mark.slow
def test_a_users_program_is_typed_and_runs(place):
    pytest.importorskip("mypy")
    folder, programs = place
    (folder / "user.py").write_text(PROGRAM)
    options = ["--strict", "--python-executable", programs / "python", "--cache-dir", "types"]
    call([sys.executable, "-m", "mypy", *options, "user.py"], folder)
    ran = call([programs / "python", "user.py"], folder)
    assert ran.stdout.startswith(f"{dnn.__version__} [1, 2] (60, 2) ")


def test_a_checkout_has_the_command_too():
    helped = call([sys.executable, "-m", "dnn", "train", "--help"], ROOT)
    assert helped.stdout.startswith("usage: dnn train ")
