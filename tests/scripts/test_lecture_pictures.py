"""Each picture of the lecture shows the numbers that it is given. test_lecture.py draws them all."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from lecture_experiments import pictures
from lecture_experiments.experiments import SETTINGS
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from dnn.commands import calibration, figures
from dnn.training.history import History

CURVES = {"loss": [0.5, 0.25], "val_accuracy": [0.9, 0.95], "val_loss": [0.75, 1.0]}
SAMPLES = {"updates": [600], "accuracy": [80], "training": [90], "activation-1": [2], "activation-2": [3],
           "gradient-1": [4], "activation-ratio": [5]}  # fmt: skip
RESULTS = {name: {"curves": CURVES, "samples": SAMPLES} for name in SETTINGS}


@pytest.fixture
def figure():
    return Figure((8.0, 5.0), layout="constrained")


def points(axes):
    """Return the points of each line."""
    return [[tuple(point) for point in np.round(line.get_xydata(), 6).tolist()] for line in axes.lines]


def test_curves_show_mean_errors_and_losses_over_the_updates(figure):
    pictures.curves(figure, RESULTS, {"lecture": "ours", "mse-sgd": "squared", "depth-2-relu": "deep"}, "!")
    error, loss = figure.axes
    assert points(error)[0] == [(300, 10), (600, 5)]
    assert points(loss)[0] == [(300, 0.5), (600, 0.25)]
    assert [line.get_linestyle() for line in error.lines] == ["-", "--", "-"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "squared", "deep"]
    assert (loss.get_title(), error.get_yscale(), loss.get_yscale()) == ("Training loss!", "log", "log")


def test_sizes_show_the_test_error_over_depth_and_width(figure):
    pictures.sizes(figure, RESULTS)
    depth, width = figure.axes
    error = 100 - np.mean(SAMPLES["accuracy"])
    lines = [[x for x, y in line if y == pytest.approx(error)] for line in points(depth)[::3]]
    assert lines == [[1, 2, 5, 10], [1, 2, 5]]
    assert [x for x, _ in points(width)[0]] == [10, 30, 100, 300, 500]


def test_overfitting_shows_training_and_test_accuracies(figure):
    pictures.overfitting(figure, RESULTS)
    accuracy, loss = figure.axes
    shown = [[round(y) for _, y in line] for line in points(accuracy)]
    assert shown == [[90] * 5, [80] * 5] * 2
    assert points(loss) == [[(60, 0.5), (120, 0.25)], [(60, 0.75), (120, 1.0)]]


def test_sizes_before_training_are_shown_by_layer(figure):
    pictures.initialisation(figure, RESULTS)
    activations, gradients = figure.axes
    assert points(activations) == [[(1, 2), (2, 3)]] * 3  # zero weights are not shown
    assert points(gradients) == [[(1, 4)]] * 3


def every_picture(folder, ending):
    """Draw the pictures of the lecture, a reliability diagram and the curves of a training."""
    pictures.draw_all(RESULTS, folder, (ending,))
    p = np.eye(4, 10)
    y = np.arange(4)
    calibration.draw_reliability(p, y, "4 test images of mnist", folder / f"calibration{ending}")
    curves = {"loss": [1.0], "val_loss": [1.0], "accuracy": [0.5]}
    return History([1], curves).plot("mnist, test accuracy 0.5", ("training", "test"))


@pytest.mark.parametrize("ending", [".png", ".zh.png"])
def test_labels_are_translated_in_chinese_pictures_only(ending, tmp_path, monkeypatch):
    drawn = []

    def record(figure, *arguments, **options):
        drawn.append(figure)

    monkeypatch.setattr(Figure, "savefig", record)
    font = font_manager.findfont("DejaVu Sans")
    monkeypatch.setattr(figures, "find_chinese_font", lambda: font)
    curves = every_picture(tmp_path, ending)
    if ending == ".zh.png":
        figures.translate_labels(curves)
    labels = {text.get_text() for figure in [*drawn, curves] for text in figure.findobj(Text)}
    words = {word for label in labels for word in re.findall("[A-Za-z]{2,}", label)}
    unchanged = {"epoch", "sigmoid", "ReLU", "Adam", "mnist", "dropout", "Glorot", "He"}
    assert (words == unchanged, words > unchanged) == (ending == ".zh.png", ending == ".png")
    assert len(drawn) == 8


def test_labels_stay_english_without_a_chinese_font(figure, monkeypatch, caplog):
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [font_manager.findfont("DejaVu Sans")])
    title = figure.suptitle("Test error")
    figures.find_chinese_font.cache_clear()
    for _ in range(2):
        figures.translate_labels(figure)
    figures.find_chinese_font.cache_clear()
    assert title.get_text() == "Test error"
    assert [record.message for record in caplog.records] == [
        "labels stay English because no Chinese font is installed; install one, such as Noto Sans SC"
    ]


def test_fonts_for_simplified_chinese_come_first(monkeypatch):
    families = {"a.ttc": "Noto Sans CJK JP", "b.ttf": "WenQuanYi Micro Hei", "c.ttf": "DejaVu Sans"}

    def get_font(path):
        return SimpleNamespace(family_name=families[path], get_char_index=lambda _: path != "c.ttf")

    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(families))
    monkeypatch.setattr(font_manager, "get_font", get_font)
    figures.find_chinese_font.cache_clear()
    assert figures.find_chinese_font() == "b.ttf"
    figures.find_chinese_font.cache_clear()
