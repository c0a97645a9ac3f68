"""Every cure is followed literally: make a mistake, apply the printed advice, and check the result."""

import re

import array_api_strict
import cure_rows
import numpy
import pytest
import scipy.sparse
import torch
from cure_rows import ADVICE, EXAMPLES, TARGETS

import dnn
import dnn.datasets
import dnn.interop.onnx
import dnn.interop.sklearn
import dnn.interop.torch
import dnn.layers
import dnn.losses
import dnn.optimizers.schedules
from backends import InputError

ROWS = {
    f"{group}: {name}": row
    for group, rows in (("x", EXAMPLES), ("y", TARGETS), ("other", ADVICE))
    for name, row in rows.items()
}


def namespace():
    """Return the names that the code of the rows uses."""
    helpers = {name: getattr(cure_rows, name) for name in ("network", "examples", "same")}
    modules = {"numpy": numpy, "torch": torch, "nn": torch.nn, "xp": array_api_strict, "scipy": scipy}
    return {**vars(dnn), **helpers, **modules, "dnn": dnn, "pandas": pytest.importorskip("pandas")}


def message_of(mistake, names, caplog):
    """Run a mistake; return the text of its error, or of its only warning."""
    caplog.clear()
    try:
        exec(mistake, names)
    except InputError as error:
        return str(error)
    assert len(caplog.messages) == 1, "it is no mistake"
    return caplog.messages[0]


@pytest.mark.parametrize("name", ROWS)
def test_a_cure_that_is_followed_gives_the_right_result(name, caplog):
    row = ROWS[name]
    names = namespace()
    exec(row.setup, names)
    message = message_of(row.mistake, names, caplog)
    found = re.search(row.pattern, message)
    assert found, message
    caplog.clear()
    exec(row.follow.format(cure=found[1]), names)
    exec(row.again or row.mistake, names)
    assert eval(row.check, names), found[1]
    assert not caplog.messages
