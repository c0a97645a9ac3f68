"""Each picture of the lecture shows the numbers that it is given. test_lecture.py draws them all."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import build_network
from lecture_experiments import pictures
from lecture_experiments.experiments import EXPERIMENTS
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from dnn import Dense
from dnn.commands import calibration, figures
from dnn.training.history import History

HISTORY = {"loss": [0.5, 0.25], "val_accuracy": [0.9, 0.95]}


@pytest.fixture
def figure():
    return Figure((8.0, 5.0), layout="constrained")


def points(axes):
    """Return the points of each line."""
    return [[tuple(point) for point in np.round(line.get_xydata(), 6).tolist()] for line in axes.lines]


def test_curves_show_test_errors_and_training_losses(figure):
    histories = {
        "lecture": HISTORY,
        "mse-sgd": {"loss": [0.125], "val_accuracy": [0.5]},
        "lbfgs": {"loss": [0.5, 0.5], "val_accuracy": [0.98, 0.9], "evaluations": [2, 5]},
    }
    outcomes = {name: SimpleNamespace(history=history) for name, history in histories.items()}
    pictures.curves(figure, outcomes, {"lecture": "ours", "mse-sgd": "squared", "lbfgs": "newton"}, "!")
    error, loss = figure.axes
    assert points(error) == [[(1, 10), (2, 5)], [(1, 50)], [(2, 2), (5, 10)]]
    assert points(loss) == [[(1, 0.5), (2, 0.25)], [(1, 0.125)], [(2, 0.5), (5, 0.5)]]
    assert [line.get_linestyle() for line in error.lines] == ["-", "--", "-"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "squared", "newton"]
    assert (loss.get_title(), error.get_yscale(), loss.get_yscale()) == ("Training loss!", "log", "log")
    assert "20%" in [label.get_text() for label in error.get_yticklabels()]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"width-10"}, {"width": ["2 hidden layers of 10, sigmoid"]}),
        ({"batch-1", "lecture"}, {
            "batch": ["batch of 100", "batch of 1"], "curves": [EXPERIMENTS["lecture"].about]}),
        ({"features-pca"}, {"features": ["principal components (PCA), no hidden layer"]}),
        ({"lbfgs"}, {"lbfgs": ["L-BFGS: about one step per epoch"]}),
        ({"depth-3-sigmoid", "depth-3-relu", "depth-5-relu"}, {"depth": [
            "3 hidden layers of 500, sigmoid", "3 hidden layers of 500, ReLU",
            "5 hidden layers of 500, ReLU"]}),
    ],
)  # fmt: skip
def test_each_experiment_is_in_a_picture(names, expected, tmp_path, monkeypatch):
    drawn = {}

    def record(figure, *arguments, **options):
        drawn[len(drawn)] = figure

    monkeypatch.setattr(Figure, "savefig", record)
    outcomes = {name: SimpleNamespace(history=HISTORY) for name in names}
    pictures.draw_all(outcomes, None, None, tmp_path, (".png",))
    shown = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in drawn.values()]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"lecture-{name}.png" for name in sorted(expected)
    ]
    assert sorted(shown) == sorted(expected.values())


def test_depths_share_colours_and_relu_is_dashed(figure):
    history = {"loss": [0.5], "val_accuracy": [0.9]}
    names = ["depth-3-sigmoid", "depth-3-relu", "depth-5-relu"]
    pictures.curves(figure, dict.fromkeys(names, SimpleNamespace(history=history)), {n: n for n in names})
    lines = figure.axes[0].lines
    assert [line.get_linestyle() for line in lines] == ["-", "--", "--"]
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())  # of one epoch


def test_confusion_counts_true_and_predicted_classes(figure):
    true, predicted = np.asarray([0, 0, 1, 1, 1, 1, 1, 2]), np.asarray([0, 1, 1, 0, 0, 0, 0, 2])
    pictures.confusion(figure, true, predicted, 3)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0, 1, 0], [4, 0, 0], [0, 0, 0]])
    told = {text.get_position(): text.get_text() for text in axes.texts}
    assert told == {(0, 0): "1", (1, 0): "1", (0, 1): "4", (1, 1): "1", (2, 2): "1"}
    assert axes.get_title() == "Confusion matrix: 5 errors in 8 test images"


def test_mistakes_have_the_highest_confidence(figure):
    p = np.asarray([[0.6, 0.4], [0.0004, 0.9996], [0.3, 0.7], [0.9, 0.1]])
    images = np.arange(4).repeat(4).reshape(4, 4)
    data = SimpleNamespace(x_test=images, y_test=np.asarray([1, 0, 0, 0]), image_shape=(2, 2))
    pictures.mistakes(figure, data, p, n_images=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.images[0].get_array()[0, 0] for axes in shown] == [1, 2]
    assert [axes.get_title() for axes in shown] == [
        "true 0, predicted 1\nconfidence 99.9%", "true 0, predicted 1\nconfidence 70.0%",
    ]  # fmt: skip


def test_weights_of_the_strongest_units_are_shown(figure):
    model = build_network([Dense(40), Dense(2)], (4,))
    W = model.parameters.by_name["dense_1.W"]
    W[...] = np.arange(40) - 19.7
    pictures.weights(figure, model, (2, 2), n_units=3)
    shown = [axes.images[0] for axes in figure.axes[:32] if axes.images]
    assert [round(float(image.get_array()[1, 1]), 1) for image in shown] == [-19.7, 19.3, -18.7]
    assert [image.get_clim() for image in shown] == [pytest.approx((-19.7, 19.7))] * 3


def every_picture(folder, ending):
    """Draw the pictures of the lecture, a reliability diagram and the curves of a training."""
    outcomes = {name: SimpleNamespace(history=HISTORY) for name in EXPERIMENTS}
    lecture = build_network([Dense(40), Dense(10, "softmax")], (4,))
    data = SimpleNamespace(x_test=np.eye(4), y_test=np.arange(4), image_shape=(2, 2), classes=10)
    pictures.draw_all(outcomes, data, lecture, folder, (ending,))
    p = lecture.predict(data.x_test)
    calibration.draw_reliability(p, data.y_test, "4 test images of mnist", folder / f"calibration{ending}")
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
    unchanged = {"epoch", "sigmoid", "ReLU", "Adam", "BFGS", "mnist", "batch", "PCA", "HOG"}
    assert (words == unchanged, words > unchanged) == (ending == ".zh.png", ending == ".png")
    assert len(drawn) == 10


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
