"""gradcheck finds usual mistakes of learners, and its message leads to them."""

from dataclasses import dataclass

import numpy as np
import pytest
from command_lines import run_here

from backends import InputError
from backends.reference.activations import ActivationFunction
from dnn import LAYERS, Dense, Dropout, Layer
from dnn.agreement import gradcheck
from dnn.losses import MeanSquaredError, Regression

LAYER = """
class Mine(Layer):
    def shape_after(self, input_shape):
        return (4,)
    def parameter_shapes(self):
        return {"W": (self.input_shape[0], 4), "b": (4,)}
    def forward(self, x, *, training):
        self.x = x
        self.y = np.tanh(x @ self.value["W"] + self.value["b"])
        return self.y
    def backward(self, dy):
        dz = dy * (1 - self.y**2)
        self.gradient["W"][...] = self.x.T @ dz
        self.gradient["b"][...] = np.sum(dz, axis=0)
        return dz @ self.value["W"].T
"""
LOSS = """
class Mine(Regression):
    name = "mine"
    def compute(self, xp, outputs, targets):
        apart = outputs - targets
        return xp.mean(apart**2, axis=1), 2 * apart / apart.shape[1]
"""
CROSS_ENTROPY = """
class Mine(Regression):
    name = "mine"
    target_range = (0.0, 1.0)
    def compute(self, xp, outputs, targets):
        e = xp.exp(outputs)
        p = e / xp.sum(e, axis=1, keepdims=True)
        return -xp.sum(targets * xp.log(p), axis=1), p - targets  # rows of targets sum to 1
"""
ACTIVATION = """
def forward(xp, z):
    return xp.where(z > 0, xp.tanh(z), z / 3)
def backward(xp, dy, z, y):
    return dy * xp.where(z > 0, 1 - xp.tanh(z) ** 2, 1 / 3)
Mine = lambda: ActivationFunction(forward, backward)
"""
MISTAKES = [
    (LAYER, "self.x.T @ dz", "self.x.T @ dz / len(dz)", "dW.* divided by the batch size, 7.*; only dW"),
    (LAYER, "self.x.T @ dz", "self.x.T @ dz * len(dz)", "dW.* multiplied by the batch size, 7: is a mean"),
    (LAYER, "self.x.T @ dz", "self.x[:1].T @ dz[:1]", "dW.* that of the first example alone: sum"),
    (LAYER, "self.x.T @ dz", "self.x[-1:].T @ dz[-1:]", "dW.* that of the last example alone: sum"),
    (LAYER, 'self.gradient["b"][...] = np.sum(dz, axis=0)', "pass", "db is never written"),
    (LAYER, 'self.gradient["b"][...] =', 'self.gradient["b"][...] +=', "db is never written, or is added to"),
    (LAYER, 'self.gradient["W"][...] =', 'self.gradient["W"] =', r"dW is never written.* not ="),
    (LAYER, "np.sum(dz, axis=0)", "np.sum(dz, axis=1)", "ValueError in <string>, line 14: could not"),
    (LAYER, "np.sum(dz, axis=0)", "np.sum(dy, axis=0)", "missing; only db$"),
    (LAYER, "np.sum(dz, axis=0)", "dz", r"could not .* \(7,4\) .*; is it summed over the batch"),
    (LAYER, "dz = dy * (1 - self.y**2)", "dz = dy", "dx.*derivative of the activation is missing; all"),
    (LAYER, "dz = dy", "dz = dy / 4", "divided by the number of outputs, 4"),
    (LAYER, "dz = dy", "dz = dy * dy", "dx is not proportional to dy"),
    (LAYER, "dz = dy *", "dz =", "dx is not proportional to dy; is dy used"),
    (LAYER, ' + self.value["b"]', "", r"db\[0\] is .*expected 0 .*; only db$"),
    (LAYER, "self.x = x", 'self.x = getattr(self, "x", x)', r"line 13: .*\(the first batch was right"),
    (LOSS, "xp.mean(apart**2", "xp.sum(apart**2", "divided by the number of inputs, 4"),
    (LOSS, ", axis=1", "", r"the result has shape \(\), expected \(7,\), one for each example"),
    (ACTIVATION, "1 / 3)\nM", "1)\nM", "wrong exactly where x is negative: look at that branch"),
    (ACTIVATION, "1 - xp.tanh(z) ** 2, 1", "1 - z**2, 1", "wrong exactly where x is positive: look at"),
    (ACTIVATION, "1 - xp.tanh(z) ** 2, 1", "1 - z**2, z", "derive it again, or compare one term after"),
    (ACTIVATION, "backward(xp, dy, z, y):", "backward(xp, dy, y, z):", "it is the derivative at y = f"),
    (ACTIVATION, "    return dy *", "    return dy; dy *", "it is dy itself: the derivative is missing"),
]  # fmt: skip


def make(source):
    names = {"Layer": Layer, "np": np, "dataclass": dataclass, "Regression": Regression,
             "ActivationFunction": ActivationFunction, "__name__": "mine"}  # fmt: skip
    exec(source, names)
    return names["Mine"]()


@pytest.mark.parametrize("source", [LAYER, LOSS, CROSS_ENTROPY, ACTIVATION])
def test_right_parts_differ_by_rounding(source):
    verdict = gradcheck(make(source), (4,))
    assert verdict.holds
    assert "rounding" in str(verdict)
    assert verdict.difference < 1e-8


@pytest.mark.parametrize(("source", "right", "mistaken", "words"), MISTAKES)
def test_a_mistake_is_found(source, right, mistaken, words):
    assert source.count(right) == 1
    verdict = gradcheck(make(source.replace(right, mistaken)), (4,))
    assert not verdict.holds
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(verdict.problem)


def test_layers_of_the_library_differ_by_rounding():
    for layer_class in LAYERS.values():
        layer = layer_class(**layer_class.examples[0])
        if not layer.random and layer.n_categories is None and not layer.must_precede_trained:
            assert gradcheck(layer).holds, layer


@pytest.mark.parametrize("part", [Dense, Dropout(0.5), MeanSquaredError(), 3])
def test_rejects_other_parts(part):
    with pytest.raises(InputError, match="expected a"):
        gradcheck(part)


@pytest.mark.parametrize("mistaken", [False, True])
def test_the_command_line(tmp_path, mistaken):
    head = "import numpy as np\nfrom dnn import Layer, register\n"
    path = tmp_path / "mine.py"
    path.write_text(head + (LAYER.replace("dz = dy", "dz = -dy") if mistaken else LAYER))
    found = run_here("agree", "--my-layer", path)
    assert found.returncode == int(mistaken), found.stderr
    assert found.stdout.startswith("Mine: bug: dx[0, 0] is" if mistaken else "Mine: rounding: ")
