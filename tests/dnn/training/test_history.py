"""History: numbers and their picture."""

import io

import pytest
from helpers import fit_small

from dnn import History


def test_plot_of_each_number():
    history = fit_small(epochs=3, validation_split=0.2)
    figure = history.plot("a title")
    assert figure.get_suptitle() == "a title"
    assert [axes.get_ylabel() for axes in figure.axes] == ["mean loss", "accuracy"]
    for axes, name in zip(figure.axes, ("loss", "accuracy"), strict=True):
        curves = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
        assert curves == {"training": history.history[name], "validation": history.history[f"val_{name}"]}
        assert list(axes.lines[0].get_xdata()) == [1, 2, 3]
        assert all(float(tick).is_integer() for tick in axes.get_xticks())
        assert len(axes.get_legend().get_texts()) == 2
    file = io.BytesIO()
    figure.savefig(file)
    assert file.getvalue()[:4] == b"\x89PNG"


def test_plot_of_a_metric_with_other_labels():
    history = History([1, 2], {"top_5": [0.25, 0.5], "val_top_5": [0.5, 0.75]})
    (axes,) = history.plot(labels=("a", "b")).axes
    assert axes.get_ylabel() == "top 5"
    curves = [(line.get_label(), list(line.get_ydata())) for line in axes.lines]
    assert curves == [("a", [0.25, 0.5]), ("b", [0.5, 0.75])]


@pytest.mark.parametrize("history", [History(), History([1], {"loss": [0.5], "seconds": [1.0]})])
def test_plot_of_short_histories(history):
    history.plot().savefig(io.BytesIO())
