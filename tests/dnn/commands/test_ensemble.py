"""Ensembles of runs, calibration, and answers below the confidence threshold."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from command_lines import assert_refused, run_here, succeed
from helpers import NUMPY, input_error
from matplotlib.figure import Figure
from PIL import Image

from dnn import load_model
from dnn.commands import calibration
from dnn.commands.calibration import (
    calibration_error,
    confidence_threshold,
    reliability_bins,
    selective_accuracy,
)
from dnn.commands.ensemble import Ensemble, read_threshold
from dnn.datasets import load_dataset

OPTIONS = "--dataset digits --hidden 16 --epochs 6 --batch-size 20 --backend numpy"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the folders of two runs on digits with held-out images."""
    place = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        succeed(f"train {OPTIONS} --seed {seed} --hold-out 300 --run-dir", place / str(seed))
    return place / "1", place / "2"


def mean_outputs(runs, x):
    trained = [load_model(run / "model.safetensors", NUMPY) for run in runs]
    return np.mean([model.predict(x) for model in trained], axis=0, dtype=np.float64)


def test_ensemble_averages_probabilities(runs, tmp_path):
    data, picture = load_dataset("digits"), tmp_path / "reliability.png"
    output = succeed("evaluate", *runs, "--json", "--calibration", picture)
    found, p = json.loads(output.stdout), mean_outputs(runs, data.x_test)
    assert found["accuracy"] == np.mean(p.argmax(axis=1) == data.y_test)
    assert found["loss"] == pytest.approx(-np.mean(np.log(p[np.arange(len(p)), data.y_test])))
    assert found["calibration_error"] == pytest.approx(calibration_error(p, data.y_test))
    assert "sure" not in found  # an ensemble has no threshold
    with Image.open(picture) as drawn:
        assert drawn.size == (600, 600)
    line = run_here("evaluate", *runs).stdout
    assert line.startswith(f"test accuracy {found['accuracy']:.4f} ")
    assert line.endswith("mean of 2 runs\n")


def test_held_out_images_are_not_trained_on(runs, tmp_path):
    data = load_dataset("digits")
    result = json.loads((runs[0] / "result.json").read_text())
    p = mean_outputs(runs[:1], data.x_train[-300:])
    assert result["held_out_accuracy"] == np.mean(p.argmax(axis=1) == data.y_train[-300:])
    assert result["sure_from"] == confidence_threshold(p, data.y_train[-300:])
    said = run_here("evaluate", runs[0], "--json", "--calibration", tmp_path / "a.png")
    p = mean_outputs(runs[:1], data.x_test)
    assert json.loads(said.stdout)["sure"] == selective_accuracy(p, data.y_test, result["sure_from"])
    n = len(data.x_train) - 300
    run_here(f"train {OPTIONS} --seed 1 --limit {n} --run-dir", tmp_path / "less")
    same, less = ((run / "model.safetensors").read_bytes() for run in (runs[0], tmp_path / "less"))
    assert same == less


def test_predict_marks_unsure_answers(runs, tmp_path):
    data, threshold = load_dataset("digits"), json.loads((runs[0] / "result.json").read_text())["sure_from"]
    for i in range(30):
        Image.fromarray(255 - data.x_test[i].reshape(8, 8)).resize((64, 64)).save(tmp_path / f"{i}.png")
    pictures = [tmp_path / f"{i}.png" for i in range(30)]
    answers = json.loads(run_here("predict", runs[0], *pictures, "--json").stdout)["images"]
    read = [answer for answer in answers if answer["digit"] is not None]
    assert [answer["sure"] for answer in read] == [answer["probability"] >= threshold for answer in read]
    assert {answer["sure"] for answer in read} == {True, False}
    printed = run_here("predict", runs[0], *pictures).stdout
    assert printed.count(f"unsure: below {threshold:.4f}\n") == [a["sure"] for a in read].count(False)
    # Several runs have no common threshold.
    both = json.loads(run_here("predict", *runs, *pictures, "--json").stdout)
    assert len(both["runs"]) == 2
    assert not any("sure" in answer for answer in both["images"])


@pytest.mark.parametrize("shift", [-0.9, 0.9])
def test_calibration_needs_probabilities(shift, runs, tmp_path, monkeypatch):
    predict = Ensemble.predict
    monkeypatch.setattr(Ensemble, "predict", lambda ensemble, x: predict(ensemble, x) + shift)
    said = run_here("evaluate", runs[0], "--calibration", tmp_path / "a.png")
    assert_refused(said, "not probabilities, expected a network that ends with softmax or sigmoid")


def test_rejects_bad_numbers(runs):
    assert_refused(run_here(f"train {OPTIONS} --hold-out 1000000"), "hold_out", "fewer than")


def test_calibration_by_hand():
    p = np.asarray([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    y = np.asarray([0, 0, 1, 1, 0])
    assert confidence_threshold(p, y) == 0.9  # at threshold 0.8 one of three predictions is wrong
    assert confidence_threshold(p, 1 - y) is None
    assert confidence_threshold(p, p.argmax(axis=1)) == 0.6
    assert selective_accuracy(p, y, 0.7) == {"right": 0.75, "refused": pytest.approx(0.2)}
    _, right, counts = reliability_bins(p, y)
    assert (counts.tolist(), right.tolist()) == ([1, 1, 2, 1], [1.0, 1.0, 0.5, 1.0])
    wanted = (abs(1 - 0.6) + abs(1 - 0.7) + 2 * abs(0.5 - 0.8) + abs(1 - 0.9)) / 5
    assert calibration_error(p, y) == pytest.approx(wanted)
    assert selective_accuracy(p, y, 0.8) == {"right": pytest.approx(2 / 3), "refused": pytest.approx(0.4)}
    assert selective_accuracy(p, y, 0.95) == {"right": 1.0, "refused": 1.0}
    edges = np.asarray([1.0, 0.94, 0.9, 0.67, 0.66])
    _, _, counts = reliability_bins(np.stack([edges, 1 - edges], axis=1), np.zeros(5, int))
    assert counts.tolist() == [1, 1, 1, 2]


def test_threshold_allows_one_error_in_a_thousand():
    p = np.linspace(1.0, 0.6, 1000)[:, None] * [1, -1] + [0, 1]
    y = np.zeros(1000, int)
    y[-1] = 1
    assert confidence_threshold(p, y) == p[-1, 0]
    assert confidence_threshold(p[1:], y[1:]) == p[-2, 0]


def fake_models(*outputs):
    return [SimpleNamespace(predict=lambda x, p=p: np.asarray(p, np.float32)) for p in outputs]


def test_zero_probability_gives_a_finite_loss():
    both = Ensemble([], fake_models([[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]))
    loss, accuracy = both.evaluate(np.zeros((2, 1)), np.asarray([1, 1]))
    assert loss == pytest.approx((-np.log(np.finfo(float).tiny) - np.log(0.75)) / 2)
    assert accuracy == 0.5
    with input_error("y is 'class 2', expected classes below 2"):
        both.evaluate(np.zeros((2, 1)), np.asarray([1, 2]))


@pytest.mark.parametrize(
    ("text", "found"),
    [('{"sure_from": 0.5}', 0.5), ('{"sure_from": 1}', None), ('{"sure_from": null}', None), ("{}", None),
     ("[]", None), ("5", None), ("{", None), ("[" * 100_000, None), (None, None)],
)  # fmt: skip
def test_read_threshold(text, found, tmp_path):
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    assert read_threshold([tmp_path]) == found


def test_reliability_diagram(monkeypatch):
    figure = Figure()
    monkeypatch.setattr(calibration, "picture", lambda path, width, height: nullcontext(figure))
    p = np.asarray([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    calibration.draw_reliability(p, np.asarray([0, 1, 1]), "title", "x.png")
    upper, lower = figure.axes
    (dots, _, (bars,)) = upper.containers[0]
    assert dots.get_xydata().tolist() == [pytest.approx([0.6, 1.0]), pytest.approx([0.9, 0.5])]
    heights = [np.ptp(bar[:, 1]) / 2 for bar in bars.get_segments()]
    # Binomial with one success and one failure added.
    assert heights == pytest.approx([np.sqrt(2 * 1 / 27), 0.25])
    assert [bar.get_height() for bar in lower.patches] == [1, 2]
