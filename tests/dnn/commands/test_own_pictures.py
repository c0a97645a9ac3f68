"""Own pictures at the command line: the results of the same calls in Python, and folders that are refused."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
from command_lines import assert_refused, run_here, succeed
from helpers import NUMPY
from PIL import Image

from dnn import Adam, Dense, Flatten, Rescaling, Sequential
from dnn.checkpoints import weights_digest
from dnn.datasets import load_image, load_image_folder
from dnn.optimizers.schedules import LinearDecay

TRAINING = (
    "train --skip-unreadable --hidden 8 --epochs 3 --batch-size 4 --backend numpy --quiet --run-dir run"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a run, its pictures, a broken one among them, and other folders."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(20):
        place = folder / "shapes" / ("ring", "cross")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (6 + number % 3, 7, 3), np.uint8)
        Image.fromarray(pixels[..., 0] if number > 15 else pixels).save(place / f"{number:02}.png")
    (folder / "shapes" / "ring" / "no.png").write_bytes(b"")
    for one in ("ring", "spot"):
        shutil.copytree(folder / "shapes" / "cross", folder / f"only_{one}" / one)
    (folder / "empty").mkdir()
    succeed(f"{TRAINING} --images shapes", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def twin(folder):
    """Return the pictures and the model that the same calls in Python give."""
    found = load_image_folder(folder / "shapes", skip_unreadable=True)
    layers = [Rescaling(1 / 255), Flatten(), Dense(8, "relu"), Dense(2, "softmax")]
    model = Sequential(layers, input_shape=found.x.shape[1:], backend=NUMPY, seed=0)
    model.compile(optimizer=Adam(LinearDecay(0.001, 12)))
    order = np.random.default_rng(0).permutation(20)
    model.fit(found.x[order], found.y[order], batch_size=4, epochs=3, validation_split=0.2)
    return found, model


def test_train_and_evaluate(folder, twin, tmp_path):
    (x, y, _), model = twin
    result = json.loads((folder / "run" / "result.json").read_text())
    assert result["weights_sha256"] == weights_digest(model)
    found = json.loads(succeed("evaluate run --json", cwd=folder).stdout)
    assert (found["examples"], found["loss"]) == (4, result["test_loss"])
    found = json.loads(succeed("evaluate run --json --images only_ring", cwd=folder).stdout)
    assert found["accuracy"] == model.evaluate(x[y == 0], y[y == 0] + 1).accuracy
    resumed = shutil.copytree(folder / "run", tmp_path / "resumed")
    for name in ("result.json", "model.safetensors", "state-00004-0000000.safetensors"):
        (resumed / name).unlink()
    succeed("train --resume resumed", cwd=tmp_path)
    assert json.loads((resumed / "result.json").read_text())["weights_sha256"] == weights_digest(model)


@pytest.mark.parametrize("run", ["run", "run/model.safetensors"])
def test_predict(folder, twin, run):
    (x, _, classes), model = twin
    said = run_here(f"predict {run} --json --images shapes", cwd=folder)
    assert said.returncode == 2
    *answers, broken = json.loads(said.stdout)["images"]
    assert broken["image"] == "shapes/ring/no.png"
    for answer in answers:
        (p,) = model.predict(load_image(folder / answer["image"], x.shape[1:3])[None])
        assert (answer["class"], answer["probability"]) == (classes[p.argmax()], p.max())


def test_draw_and_export(folder, twin, monkeypatch):
    server = pytest.importorskip("dnn.commands.page.server")
    client = pytest.importorskip("starlette.testclient").TestClient
    found, model = twin
    apps = []
    monkeypatch.setattr(server, "serve", lambda app, *_: apps.append(app))
    succeed("draw run", cwd=folder)
    post = partial(
        client(apps[0], "http://localhost").post, content=(folder / "shapes/ring/00.png").read_bytes()
    )
    answer = post("/answer").json()
    assert answer["outputs"] == pytest.approx(model.predict(found.x[found.y == 1][:1])[0].tolist())
    assert post("/keep", params={"digit": "ring"}).status_code == 200
    assert post("/keep", params={"digit": "7"}).status_code == 422
    assert load_image_folder(folder / "run-drawings").classes == ("ring",)
    onnx = pytest.importorskip("onnx")
    succeed("export run run.onnx", cwd=folder)
    assert "cross" in str(onnx.load(folder / "run.onnx").metadata_props)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (f"{TRAINING}2 --images nowhere", "cannot be listed"),
        (f"{TRAINING}2 --images empty", "holds no folder"),
        (f"{TRAINING}2 --images only_ring", "at least two classes"),
        (f"{TRAINING}2 --images .", "empty holds no picture"),
        (f"{TRAINING}2 --images shapes --size 0 9", "size is 0"),
        (f"{TRAINING}2 --images shapes --dataset digits", "not allowed with argument"),
        (f"{TRAINING}2 --dataset digits --grey", "--images"),
        ("train --images shapes", "ring/no.png, --skip-unreadable"),
        ("evaluate run --images only_spot", "spot"),
        ("evaluate run/model.safetensors --images shapes", "--skip-unreadable"),
        ("predict run --images empty", "holds no picture"),
        ("predict run shapes/ring/00.png --deskew", "deskew"),
        ("draw run --images only_spot", "spot"),
        ("export run a.onnx --images only_spot", "spot"),
        ("export run/model.safetensors a.onnx --images only_spot", "outputs"),
    ],
)
def test_refused(folder, command, words):
    before = sorted(folder.rglob("*"))
    assert_refused(run_here(command, cwd=folder), *words.split(", "))
    assert sorted(folder.rglob("*")) == before
