"""The numbers in docs/one-update.md match those of the library."""

import json
import re

import numpy as np
from documents import text_of
from helpers import NUMPY64

from dnn import SGD, Adam, Dense, Sequential

PAGE = text_of("docs/one-update.md")
ROW = re.compile(r"^\| ([\w ]+) \| [^|]+ \| `([^`]+)` \|$", re.MULTILINE)
TABLE = {name: json.loads(numbers) for name, numbers in ROW.findall(PAGE)}
HALF_DIGIT = 0.5e-4 * (1 + 1e-9)
GIVEN = ("x", "t", "W", "b")


def compute_update(optimizer):
    """Return the arrays of one update by the library, under the names of the page's table."""
    model = Sequential([Dense(2, "softmax")], input_shape=(2,), backend=NUMPY64)
    model.compile("categorical_crossentropy", optimizer)
    model.parameters.load({"dense_1.W": np.array(TABLE["W"]), "dense_1.b": np.array(TABLE["b"])})
    x = np.array(TABLE["x"], dtype=np.float64)
    y = np.argmax(TABLE["t"], axis=1)
    dx = model.input_gradient(x, y) / len(x)
    model.reserve(2, training=True)
    z, losses, dz = (array.copy() for array in model.loss_of(x, y, training=True))
    found = {"z": z, "p": model.activate(z), "losses": losses, "loss": np.mean(losses), "dz": dz}
    model.backward(dz.copy())
    found |= {f"d{name[-1]}": array.copy() for name, array in model.parameters.gradient_by_name.items()}
    found["dx"] = dx
    model.update()
    after = {name[-1]: values for name, values in model.parameters.to_host().items()}
    return found, after, float(np.mean(model.loss_of(x, y, training=True)[1]))


def assert_rounded(name, exact):
    """Check that the page's numbers are ``exact`` rounded to 4 decimal places."""
    shown = np.array(TABLE[name])
    assert shown.shape == np.shape(exact), name
    np.testing.assert_array_equal(shown, np.round(shown, 4), err_msg=name)
    np.testing.assert_allclose(shown, exact, rtol=0, atol=HALF_DIGIT, err_msg=name)


def test_numbers_match_the_library():
    found, sgd, loss_after = compute_update(SGD(0.1))
    _, adam, _ = compute_update(Adam(0.01))
    found |= {f"{name} after SGD": values for name, values in sgd.items()}
    found |= {f"{name} after Adam": values for name, values in adam.items()}
    found["loss after SGD"] = loss_after
    assert set(TABLE) == {*GIVEN, *found}
    for name, exact in found.items():
        assert_rounded(name, exact)
