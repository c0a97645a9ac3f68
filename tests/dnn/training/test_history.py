"""History: numbers and their picture."""

import io

import pytest
from helpers import fit_small, input_error
from hostile import examples
from hypothesis import given
from hypothesis import strategies as st

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


@examples(200)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers() | st.floats(0, 9)), max_size=6))
def test_every_epoch_has_a_number_in_every_column(epochs):
    history = History()
    for number, logs in enumerate(epochs, 3):
        history.add(number, logs)
    names = {name for logs in epochs for name in logs}
    assert history.epoch == [*range(3, 3 + len(epochs))]
    assert history.history.keys() == names
    rows = [*history.rows()]
    assert [number for number, _ in rows] == history.epoch
    for (_, row), logs in zip(rows, epochs, strict=True):
        found = {name: value for name, value in row.items() if value == value}
        assert found == {name: float(value) for name, value in logs.items()}
        assert row.keys() == names


@pytest.mark.parametrize("value", ["1", None, True, [1.0], 10**400])
def test_a_value_that_is_no_float_is_refused(value):
    history = History()
    with input_error("a.* a (smaller )?number"):
        history.add(1, {"b": 1.0, "a": value})
    assert history == History()


def test_the_error_for_a_name_of_keras_says_ours():
    history = fit_small(epochs=1, validation_split=0.2)
    for name in ("acc", "val_acc"):
        with input_error(f"write '{name}uracy'"):
            history.history[name]
    with input_error("one of .*loss.*[^;]*$"):
        history.history["none"]
