"""Mistakes, and how to follow the advice that the error or the warning prints: the rows of ``cures.txt``."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

import dnn


class Row(NamedTuple):
    """A mistake, as code. ``tests/dnn/inputs/test_cures.py`` runs it."""

    mistake: str  # raises an error, or logs a warning
    pattern: str  # its group is the part of the message to follow
    follow: str  # code with {cure} in place of that part, before the mistake's code runs again
    check: str  # an expression that is then true
    setup: str = ""
    again: str = ""  # runs instead of the mistake's code


def network(shape, outputs=3, loss="categorical_crossentropy", last="softmax", backend="numpy", **options):
    """Return a compiled network for examples of this shape."""
    image = [dnn.Conv2D(4, 2)] if len(shape) == 3 else []
    layers = [dnn.Input(shape), *image, dnn.Flatten(), dnn.Dense(outputs, last)]
    model = dnn.Sequential(layers, backend=backend, **options)
    model.compile(loss, "adam")
    return model


def examples(shape, n=6):
    """Return n different examples of this shape."""
    return np.random.default_rng(0).random((n, *shape), dtype="f4")


def same(a, b):
    """Whether two arrays hold the same float32 numbers."""
    return np.array_equal(np.asarray(a, "f4"), np.asarray(b, "f4"))


USE = r"; use (.+?)(?:$| if |, a batch )"
NUMBER = r"of the training with (.+), and those"
TORCH_ORDER = r"or (.+) if rows are in PyTorch's order"
INTEGERS = r"for class numbers use (.+), or give rows"
DENSE = r"end the network with (Dense\(.+?\))"
YEARS = r"as the years (.+), or parts"
WRITE = r"write (\S+)$"
RGB = "(4, 5, 3)"
SQUARE = "(5, 5, 3)"
GREY = "(5, 4, 1)"
FIRST = "right.transpose(0, 3, 1, 2)"
YES_NO = "1, 'binary_crossentropy', 'sigmoid'"
SPARSE = "'sparse_categorical_crossentropy'"
ONE_HOT = "numpy.eye(3)[right]"
NAMED = """
names_ = numpy.asarray(["dog", "ant", "cat"])
numbers = numpy.asarray([2, 0, 1, 2, 1, 0])
y = names_[[0, 1, 2, 0, 2, 1]].tolist()
x = examples((4,))
model = network((4,))
"""
FIT = "model.fit(x, y, verbose=0)"
UNSCALED = f"""
layers = [dnn.Input(x.shape[1:]), *first, dnn.Dense(2, 'softmax')]
model = dnn.Sequential(layers, backend='numpy'); model.compile()
{FIT}
"""
DATES = """
when = pandas.Series(pandas.date_range("2020-01-01", periods=8, freq="30D"))
y = numpy.arange(8) % 2
x = pandas.DataFrame({"a": numpy.arange(8.0), "when": when})
years = 20 + numpy.arange(8) * 30 / 365 + 5 / 365
model = network((2,), 2)
"""
SOON = "numpy.allclose(x['when'].astype(float), years)"
IMAGES = "x = examples((5, 5, 3))\ny = numpy.arange(6) % 3\n"
START = "model = network((4,))\nx = examples((4,))\ny = numpy.arange(6) % 3\n"
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.b = nn.Linear(3, 2)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))

"""
PATH = """
import pathlib, tempfile
path = pathlib.Path(tempfile.mkdtemp()) / "file"
"""


def example_row(shape, wrong, pattern=USE, backend="numpy"):
    """Return the row in which the examples ``right`` were given as the expression ``wrong``."""
    made = f"right = examples({shape})\nmodel = network({shape}, backend={backend!r})\nx = {wrong}"
    check = "same(found, model.predict(right[: len(found)])) and len(found) in (1, 6)"
    return Row("found = model.predict(x)", pattern, "x = {cure}", check, made)


def target_row(
    wrong, pattern=USE, follow="y = {cure}", check="found == model.evaluate(x, right).loss", options="3"
):
    """Return the row in which the class numbers ``right`` were given as the expression ``wrong``.

    Args:
        options: arguments of ``network``; if they begin with 1 or 2 there are two classes.
    """
    classes = [0, 1, 1, 0, 1, 0] if options[0] in "12" else [0, 2, 1, 0, 1, 2]
    made = f"right = numpy.asarray({classes})\nx = examples((4,))\nmodel = network((4,), {options})"
    return Row("found = model.evaluate(x, y).loss", pattern, follow, check, f"{made}\ny = {wrong}")


def read_rows(makers):
    """Return group -> name -> row, for the groups that have a function in ``makers``."""
    rows = {group: {} for group in makers}
    _, *blocks = Path(__file__).with_name("cures.txt").read_text(encoding="utf-8").split("## ")
    for block in blocks:
        title, *lines = block.strip().split("\n")
        group, _, name = title.partition(": ")
        fields = defaultdict(list)
        for line in lines:
            field, _, text = line.partition(": ")
            fields[field].append(
                re.sub(r"\b[A-Z_]+\b", lambda word: str(globals().get(word[0], word[0])), text)
            )
        rows[group][name] = makers[group](**{field: "\n".join(texts) for field, texts in fields.items()})
    return rows


EXAMPLES, TARGETS, ADVICE = read_rows({"x": example_row, "y": target_row, "other": Row}).values()
