"""The lecture's pictures: that each shows the numbers it is given."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lecture_experiments import pictures
from lecture_experiments.experiments import DEPTHS, EXPERIMENTS
from lecture_experiments.paths import Surface
from lecture_experiments.run import Outcome
from matplotlib.figure import Figure

from backends import get_backend
from dnn import Dense, Sequential
from dnn.layers import Rescaling


@pytest.fixture
def figure():
    return Figure((8.0, 5.0), layout="constrained")


def outcome(name, **history):
    values = {"name": name, "history": history}
    return Outcome(**{f.name: values.get(f.name) for f in fields(Outcome)})


def points(line):
    return [tuple(point) for point in np.round(line.get_xydata(), 6).tolist()]


def labels(axis):
    """(text, place) of each tick."""
    return [
        (label.get_text(), at) for label, at in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)
    ]


def test_curves_are_test_errors_and_training_losses(figure):
    outcomes = {
        "lecture": outcome("lecture", loss=[0.5, 0.25], val_accuracy=[0.9, 0.95]),
        "mse-sgd": outcome("mse-sgd", loss=[0.125], val_accuracy=[0.5]),
        "lbfgs": outcome("lbfgs", loss=[0.5] * 30, val_accuracy=[0.98] * 30, evaluations=list(range(2, 32))),
    }
    pictures.curves(figure, outcomes, {"lecture": "ours", "mse-sgd": "squared", "lbfgs": "newton"}, "!")
    error, loss = figure.axes
    ours, squared, newton = error.lines
    assert (points(ours), points(squared), points(newton)[0]) == ([(1, 10), (2, 5)], [(1, 50)], (2, 2))
    assert [points(line)[0] for line in loss.lines] == [(1, 0.5), (1, 0.125), (2, 0.5)]
    assert [line.get_linestyle() for line in error.lines] == ["-", "--", "-"]
    assert [line.get_linestyle() for line in loss.lines] == ["-", "--", "-"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "squared", "newton"]
    assert (loss.get_title(), error.get_yscale(), loss.get_yscale()) == ("training loss!", "log", "log")


def test_an_axis_of_errors_is_written_out(figure):
    axes = figure.subplots()
    axes.plot([1, 2], [0.5, 20.0])
    axes.set_ylim(0.5, 20.0)
    pictures.error_axis(axes)
    shown = [text for text, at in labels(axes.yaxis) if 0.5 <= at <= 20]
    assert shown == ["0.5 %", "1 %", "2 %", "3 %", "5 %", "10 %", "20 %"]


def test_errors_over_depth(figure):
    accuracies = {"depth-1-sigmoid": 0.9, "depth-3-sigmoid": 0.98, "depth-1-relu": 0.95, "depth-10-relu": 0.9}
    outcomes = {name: SimpleNamespace(test_accuracy=value) for name, value in accuracies.items()}
    pictures.depth(figure, outcomes)
    (axes,) = figure.axes
    assert [points(line) for line in axes.lines] == [[(1, 10), (3, 2)], [(1, 5), (10, 10)]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sigmoid", "ReLU"]


def test_confusion_counts_each_class_taken_for_each_other(figure):
    true, predicted = np.asarray([0, 0, 1, 1, 1, 1, 1, 2]), np.asarray([0, 1, 1, 0, 0, 0, 0, 2])
    pictures.confusion(figure, true, predicted, 3)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0, 1, 0], [4, 0, 0], [0, 0, 0]])
    told = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert told == {(0, 0): ("1", "dimgray"), (1, 0): ("1", "black"), (0, 1): ("4", "white"),
                    (1, 1): ("1", "dimgray"), (2, 2): ("1", "dimgray")}  # fmt: skip
    assert axes.get_title() == "5 of 8 test images are wrong"


def images(n):
    """n images of 2 x 2 pixels, all of which are its number."""
    return np.repeat(np.arange(n), 4).reshape(n, 4)


def test_mistakes_are_the_surest_ones(figure):
    p = np.asarray([[0.6, 0.4], [0.0004, 0.9996], [0.3, 0.7], [0.9, 0.1]])
    data = SimpleNamespace(x_test=images(4), y_test=np.asarray([1, 0, 0, 0]), image_shape=(2, 2))
    pictures.mistakes(figure, data, p, many=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.images[0].get_array()[0, 0] for axes in shown] == [1, 2]
    assert [axes.get_title() for axes in shown] == [
        "true 0, predicted 1\nwith 99.9 %", "true 0, predicted 1\nwith 70.0 %",
    ]  # fmt: skip
    assert not any(axes.axison for axes in figure.axes)


def test_weights_are_those_of_the_strongest_units(figure):
    layers = [Rescaling(1 / 255), Dense(40), Dense(2, "softmax")]
    model = Sequential(layers, input_shape=(4,), backend=get_backend("numpy"))
    W = model.parameters.value["dense_1.W"]
    W[...] = (np.arange(40) - 19.7) * np.asarray([1, -1, 1, 0.5])[:, None]
    pictures.weights(figure, model, (2, 2), many=3)
    shown = [axes.images[0] for axes in figure.axes[:32] if axes.images]
    for image, unit in zip(shown, (0, 39, 1), strict=True):  # -19.7, 19.3 and -18.7
        np.testing.assert_array_equal(image.get_array(), W[:, unit].reshape(2, 2))
        assert image.get_clim()[1] == -image.get_clim()[0] == pytest.approx(19.7, rel=0.01)


def test_gradients_over_the_layers(figure):
    names = {f"depth-{n}-{kind}": n for n in DEPTHS for kind in ("sigmoid", "relu")}
    sizes = {name: [float(n + i) for i in range(n + 1)] for name, n in names.items()}
    sizes["depth-3-relu"] = [9.0, 8.0, 7.0, 6.0]
    pictures.gradients(figure, sizes)
    left, right = figure.axes
    assert [len(points(line)) for line in left.lines] == [n + 1 for n in DEPTHS]
    assert points(left.lines[2]) == [(1, 3), (2, 4), (3, 5), (4, 6)]
    assert points(right.lines[2]) == [(1, 9), (2, 8), (3, 7), (4, 6)]
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels[:2] == ["1 hidden layer", "2 hidden layers"]
    assert (left.get_title(), right.get_title()) == ("sigmoid", "ReLU")
    assert list(left.get_xticks()) == list(range(1, 12))


def test_a_film_has_the_units_that_change_most(figure):
    first = np.zeros((4, 5))
    film = {0: first, 10: first + 1, 1234: first + np.asarray([1.0, -9.0, 0.0, 3.0, 2.0])}
    pictures.film_strip(figure, film, (2, 2), many=2)
    shown = [axes.images[0].get_array()[0, 0] for axes in figure.axes[:6]]
    assert shown == [0, 1, -9, 0, 1, 3]
    assert [axes.get_title() for axes in figure.axes[:4]] == ["0", "10", "1,234", ""]
    assert figure.axes[0].images[0].get_clim() == pytest.approx((-9, 9))


def test_a_surface_has_both_paths_and_the_start(figure):
    at = np.linspace(-1, 1, 3)
    loss = 0.03 + np.add.outer(at**2, at**2)
    paths = {"Adam": np.asarray([[0, 0], [1, 0.5]]), "L-BFGS": np.asarray([[0, 0], [0.5, 1]])}
    pictures.loss_surface(figure, Surface(at, at, loss, paths))
    axes, bar = figure.axes
    assert [points(line) for line in axes.lines] == [[(0, 0), (1, 0.5)], [(0, 0), (0.5, 1)], [(0, 0)]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["Adam", "L-BFGS", "start"]
    shown = [text for text, at in labels(bar.yaxis) if loss.min() <= at <= loss.max()]
    assert shown == ["0.05", "0.1", "0.2", "0.5", "1", "2"]


def test_accuracy_over_noise(figure):
    grid = [["tried", "0.0", "0.5"], ["one", "90.0 %", "50.0 %"], ["two", "80.0 %", "5.0 %"]]
    pictures.noise(figure, grid)
    (axes,) = figure.axes
    assert points(axes.lines[0]) == [(0, 90), (0.5, 50)]
    assert [line.get_label() for line in axes.lines] == ["one", "two"]
    assert axes.get_ylim() == (0, 100)
    assert labels(axes.yaxis)[:2] == [("0 %", 0), ("20 %", 20)]


def test_each_picture_is_drawn_where_there_is_something_to_show(monkeypatch, drawn):
    """test_tables_csv_and_pictures has all of them."""

    def draw(**there):
        seen.clear()
        shown = {"outcomes": {}, "data": SimpleNamespace(image_shape=(2, 2)), **there}
        pictures.draw_all(pictures.Shown(**shown), Path())
        return seen

    seen = []
    drawn(pictures)
    for name in ("curves", "depth", "noise", "gradients", "film_strip", "loss_surface"):
        monkeypatch.setattr(pictures, name, lambda figure, *shown, name=name: seen.append((name, *shown)))
    assert draw() == draw(outcomes={"width-10": 1}) == []
    (steps, both) = draw(outcomes={"linear": 1, "lbfgs": 2})
    assert steps[2:] == ({"linear": EXPERIMENTS["linear"].about}, " (dashed: squared error)")
    assert list(both[2]) == ["lbfgs"]
    assert list(draw(outcomes={"lecture": 1, "lbfgs": 2})[1][2]) == ["lbfgs", "lecture"]
    assert draw(outcomes={"depth-1-relu": 1}) == [("depth", {"depth-1-relu": 1})]
    found = draw(noise=[["a"]], gradients={"a": [1.0]}, film={0: 1}, surface="s")
    assert found == [("noise", [["a"]]), ("gradients", {"a": [1.0]}), ("film_strip", {0: 1}, (2, 2)),
                     ("loss_surface", "s")]  # fmt: skip
