"""The commands read a saved model, and say in one sentence what to do about other pictures and tables."""

import json
import re

import numpy as np
import pytest
from command_lines import assert_refused, run_here, succeed
from helpers import NUMPY, build_network
from PIL import Image

import dnn
from dnn import Conv2D, Dense, GlobalAveragePooling2D, Rescaling
from dnn.datasets import load_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with models of digits, own pictures and tables, a picture of each kind, and a table."""
    folder = tmp_path_factory.mktemp("models")
    data = load_dataset("digits")
    model = build_network([Rescaling(1 / 255), Dense(48, "relu"), Dense(10, "softmax")], (64,))
    model.compile()
    model.fit(data.x_train, data.y_train, batch_size=20, epochs=10)
    model.save(folder / "digits.safetensors")
    model.save(folder / "no_suffix")
    for name, shape, outputs in (("colour", (6, 8, 3), 10), ("two", (6, 8, 1), 2)):
        layers = [Conv2D(2, 3, "relu"), GlobalAveragePooling2D(), Dense(outputs, "softmax")]
        build_network(layers, shape).save(folder / f"{name}.safetensors")
    build_network([Dense(2, "softmax")], (3,)).save(folder / "table.safetensors")
    build_network([Dense(2, "softmax")], (64,)).save(folder / "pair.safetensors")
    page = 255 - data.x_test[0].reshape(8, 8)
    Image.fromarray(page).resize((64, 64)).save(folder / "digit.png")
    (folder / "shapes" / "ring").mkdir(parents=True)
    Image.new("RGB", (9, 7), "red").save(folder / "shapes" / "ring" / "red.png")
    (folder / "fruit.csv").write_text("a,b\n1,2\n")
    return folder


@pytest.mark.parametrize("models", [["digits.safetensors"], ["no_suffix"], ["digits.safetensors"] * 2])
def test_predict_reads_digits(folder, models):
    said = succeed("predict", *models, "digit.png", "--json", cwd=folder)
    found = json.loads(said.stdout)
    assert found["runs"] == models
    assert found["images"][0]["digit"] == load_dataset("digits").y_test[0]
    assert f"{models[0]} is a saved model: pictures are prepared as for a network that" in said.stderr


def test_evaluate_needs_a_data_set(folder):
    said = run_here("evaluate digits.safetensors --dataset digits", cwd=folder)
    assert said.stdout.startswith("test accuracy 0.")
    said = run_here("evaluate digits.safetensors --dataset digits --json --metrics r2 accuracy", cwd=folder)
    assert {"loss", "r2", "accuracy"} < json.loads(said.stdout).keys()
    assert_refused(run_here("evaluate digits.safetensors", cwd=folder), "--dataset NAME", "model.evaluate")


@pytest.mark.parametrize("name", ["digits", "colour", "table"])
def test_export_writes_any_model(folder, name):
    onnx = pytest.importorskip("onnx")
    succeed(f"export {name}.safetensors {name}.onnx", cwd=folder)
    model = dnn.load_model(folder / f"{name}.safetensors", NUMPY)
    file = onnx.load(folder / f"{name}.onnx")
    assert not file.metadata_props
    (x,) = file.graph.input
    assert [n.dim_value for n in x.type.tensor_type.shape.dim][1:] == [*model.input_shape]


def test_draw_opens_a_model_of_digits(folder, monkeypatch):
    server = pytest.importorskip("dnn.commands.page.server")
    served = []
    monkeypatch.setattr(server, "serve", lambda *arguments: served.append(arguments))
    succeed("draw digits.safetensors", cwd=folder)
    assert len(served) == 1


@pytest.mark.parametrize(("name", "shape"), [("colour", (6, 8, 3)), ("two", (6, 8, 1)), ("table", (3,))])
@pytest.mark.parametrize("command", ["predict", "draw"])
def test_other_data_are_predicted_in_python(folder, command, name, shape, monkeypatch):
    """The program that the message names is right."""
    if command == "draw":
        pytest.importorskip("dnn.commands.page.server")
    picture = "shapes/ring/red.png" if command == "predict" else ""
    refused = run_here(f"{command} {name}.safetensors {picture}", cwd=folder)
    assert_refused(refused, f"{name}.safetensors does not read digits: ")
    program = re.search(r"in Python: (.*)", refused.stderr)[1]
    monkeypatch.chdir(folder)
    x = np.ones((1, *shape), np.float32)
    expected = dnn.load_model(f"{name}.safetensors", NUMPY).predict(x)
    found = eval(program, {"load_model": dnn.load_model, "x": x})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-30)


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("shapes", "the path shapes, expected one of mnist, --images FOLDER"),
        ("fruit.csv", "the path fruit.csv, pandas.read_csv"),
        ("nowhere", "dataset is 'nowhere', expected one of mnist,"),
    ],
)
def test_train_reads_no_own_data(folder, dataset, words):
    before = sorted(folder.rglob("*"))
    refused = run_here(f"train --dataset {dataset} --backend numpy", cwd=folder)
    assert_refused(refused, *words.split(" "))
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("digit.png digit.png", "checkpoint digit.png cannot be read"),
        ("missing.safetensors digit.png", "missing.safetensors is not a folder"),
        ("digits.safetensors digits.safetensors", "an image after it"),
        ("digits.safetensors table.safetensors digit.png", "((3,), ("),
        ("digits.safetensors pair.safetensors digit.png", "(2,)"),
    ],
)
def test_predict_rejects_other_files(folder, arguments, words):
    assert_refused(run_here(f"predict {arguments}", cwd=folder), words)
