"""The lecture's pages show Keras code beside ours. Both columns run and give the same numbers."""

import importlib
import re

import numpy as np
import pytest
from documents import text_of
from small_sets import large_digits

import dnn

PAGES = ("lecture.md", "lecture.zh.md")
VANISHING = 1e-30
"""As epsilon: Keras and we have it in different places, which makes no difference where it is nothing."""


def columns(page):
    """Return (Keras program, our program) from the table with a "Keras 3" heading."""
    text = text_of(f"docs/{page}")
    (table,) = re.findall(r"^\|[^|]*\| Keras 3 \|[^|]*\|\n\|.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [[cell.strip().strip("`") for cell in line.split("|")[2:4]] for line in table.splitlines()]
    return tuple("\n".join(row[side] for row in rows) for side in (0, 1))


def test_both_pages_have_the_same_code():
    assert columns(PAGES[0]) == columns(PAGES[1])
    for program in columns(PAGES[0]):
        compile(program, "a column", "exec")


@pytest.fixture(scope="module")
def keras():
    """Return Keras with its torch backend, because torch is always installed."""
    patch = pytest.MonkeyPatch()
    patch.setenv("KERAS_BACKEND", "torch")
    try:
        yield pytest.importorskip("keras", reason="Keras is in no extra")
    finally:
        patch.undo()


def digits():
    """Return 1,000 and 360 images under the names used on the page."""
    data = large_digits()
    return {
        "x_train": data.x_train[:1000], "y_train": data.y_train[:1000],
        "x_test": data.x_test, "y_test": data.y_test,
    }  # fmt: skip


def weights(model):
    """Return the arrays of a Keras model or of ours, in the order of the layers."""
    ours = isinstance(model, dnn.Sequential)
    return list(model.parameters.to_host().values()) if ours else [w.numpy() for w in model.weights]


def run_both(keras):
    """Run both columns for three epochs in the given order, from our initial weights; return their names."""
    adams = importlib.import_module("keras.optimizers").Adam, dnn.Adam
    spaces = digits(), digits()
    for space, program, adam in zip(spaces, columns(PAGES[0]), adams, strict=True):
        begin, fit, end = program.partition("model.fit")
        exec(begin, space)
        space["chosen"] = adam(epsilon=VANISHING)
        (compiling,) = re.findall(r"model\.compile.*", begin)
        exec(compiling.replace('"adam"', "chosen"), space)
        space["rest"] = "history = " + (fit + end).replace("epochs=10", "epochs=3, shuffle=False")
    keras_space, ours = spaces
    keras_space["model"].set_weights(weights(ours["model"]))
    for space in spaces:
        space["answers_before"] = space["model"].predict(space["x_test"])
        exec(space["rest"], space)
    return spaces, [space["history"].history for space in spaces]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_both_columns_agree_from_the_same_weights(keras):
    (theirs, ours), histories = run_both(keras)
    for name in ("answers_before", "answers"):
        np.testing.assert_allclose(theirs[name], ours[name], rtol=0, atol=2e-6)
    for name in ("loss", "accuracy"):
        assert histories[0][name] == pytest.approx(histories[1][name], rel=2e-6)
        assert theirs[name] == pytest.approx(ours[name], rel=2e-6)
    for one, two in zip(*(weights(space["model"]) for space in (theirs, ours)), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=5e-6)
    assert histories[1]["loss"][2] < 0.95 * histories[1]["loss"][0]  # the network has learned
