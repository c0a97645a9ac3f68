"""Several runs that answer as one, how far their sureness can be trusted, and what they say when unsure."""

import json
import sys

import numpy as np
import pytest
from command_lines import SCRIPTS, assert_refused, run_here
from PIL import Image

from backends import get_backend
from dnn import load_model
from dnn.datasets import load_dataset

sys.path.insert(0, str(SCRIPTS))
from _ensemble import calibration_error, reliability, sure_from, sureness

SMALL = ("--dataset", "digits", "--hidden", 16, "--epochs", 6, "--batch-size", 20, "--backend", "numpy")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of digits that held images out, and what the second said at its end."""
    place = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        made = run_here("train", *SMALL, "--seed", seed, "--hold-out", 300, "--run-dir", place / str(seed))
        assert made.returncode == 0, made.stderr
    return place / "1", place / "2"


def outputs(runs, x):
    models = [load_model(run / "model.safetensors", get_backend("numpy")) for run in runs]
    return np.mean([model.predict(x) for model in models], axis=0, dtype=np.float64)


def test_several_runs_answer_by_their_mean(runs, tmp_path):
    data, picture = load_dataset("digits"), tmp_path / "reliability.png"
    told = run_here("evaluate", *runs, "--json", "--calibration", picture)
    assert told.returncode == 0, told.stderr
    found, p = json.loads(told.stdout), outputs(runs, data.x_test)
    assert found["accuracy"] == np.mean(p.argmax(axis=1) == data.y_test)
    assert found["loss"] == pytest.approx(-np.mean(np.log(p[np.arange(len(p)), data.y_test])))
    assert found["calibration_error"] == pytest.approx(calibration_error(p, data.y_test))
    held = outputs(runs, data.x_train[-300:])
    assert found["sure_from"] == sure_from(held, data.y_train[-300:])
    assert found["held-out"]["right"] >= 0.999
    with Image.open(picture) as drawn:
        assert drawn.size == (600, 600)
    line = run_here("evaluate", *runs).stdout
    assert line.startswith(f"test accuracy {found['accuracy']:.4f} ")
    assert line.endswith("mean of 2 runs\n")


def test_what_is_held_out_is_not_trained_on(runs, tmp_path):
    data = load_dataset("digits")
    result = json.loads((runs[0] / "result.json").read_text())
    p = outputs(runs[:1], data.x_train[-300:])
    assert result["held_out_accuracy"] == np.mean(p.argmax(axis=1) == data.y_train[-300:])
    assert result["sure_from"] == sure_from(p, data.y_train[-300:])
    n = len(data.x_train) - 300
    run_here("train", *SMALL, "--seed", 1, "--limit", n, "--run-dir", tmp_path / "less")
    same, less = ((run / "model.safetensors").read_bytes() for run in (runs[0], tmp_path / "less"))
    assert same == less


def test_unsure_answers_are_said_to_be_unsure(runs, tmp_path):
    data, least = load_dataset("digits"), json.loads((runs[0] / "result.json").read_text())["sure_from"]
    for i in range(30):
        Image.fromarray(255 - data.x_test[i].reshape(8, 8)).resize((64, 64)).save(tmp_path / f"{i}.png")
    pictures = [tmp_path / f"{i}.png" for i in range(30)]
    answers = json.loads(run_here("predict", runs[0], *pictures, "--json").stdout)["images"]
    read = [answer for answer in answers if answer["digit"] is not None]
    assert [answer["sure"] for answer in read] == [answer["probability"] >= least for answer in read]
    assert {answer["sure"] for answer in read} == {True, False}
    lines = run_here("predict", runs[0], *pictures).stdout.splitlines()
    assert [line.endswith(f"unsure: below {least:.4f}") for line in lines] == [not a["sure"] for a in read]
    # Several have no common threshold but one that is given.
    both = run_here("predict", *runs, *pictures, "--json")
    assert len(json.loads(both.stdout)["runs"]) == 2
    assert not any("sure" in answer for answer in json.loads(both.stdout)["images"])
    mean = json.loads(run_here("predict", *runs, *pictures, "--json", "--sure-from", 0.5).stdout)["images"]
    assert all(a["sure"] == (a["probability"] >= 0.5) for a in mean if a["digit"] is not None)
    assert [a["probability"] for a in mean] != [a["probability"] for a in answers]


def test_runs_that_do_not_fit_are_refused(runs, tmp_path):
    other = tmp_path / "other"
    run_here("train", "--dataset", "digits", "--limit", 50, "--epochs", 1, "--run-dir", other, "--quiet")
    assert_refused(run_here("predict", *runs), "is a folder", "an image")
    assert_refused(run_here("train", *SMALL, "--hold-out", 10**6), "hold_out", "fewer than")
    result = run_here("evaluate", other, "--calibration", tmp_path / "x.png")
    assert "all images were trained on" in result.stdout


def test_sureness_by_hand():
    p = np.asarray([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    y = np.asarray([0, 0, 1, 1, 0])
    assert sure_from(p, y) == 0.9  # at 0.8 one of three is wrong
    assert sure_from(p, 1 - y) is None
    assert sure_from(p, p.argmax(axis=1)) == 0.6
    assert sureness(p, y, 0.7) == {"right": 0.75, "refused": pytest.approx(0.2)}
    assert [(n, right) for _, right, n in reliability(p, y)] == [(1, 1.0), (1, 1.0), (2, 0.5), (1, 1.0)]
    wanted = (abs(1 - 0.6) + abs(1 - 0.7) + 2 * abs(0.5 - 0.8) + abs(1 - 0.9)) / 5
    assert calibration_error(p, y) == pytest.approx(wanted)
