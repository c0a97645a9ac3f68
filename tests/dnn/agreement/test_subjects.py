"""gradcheck takes functions on NumPy arrays, whatever their parameters are called."""

import functools
import re

import numpy as np
import pytest

from backends import InputError
from dnn import Dense
from dnn.agreement import gradcheck

RNG = np.random.default_rng(0)
x, W, b = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)
t = np.array([2, 0, 1, 3, 0])


def dense(x, W, b):
    return np.tanh(x @ W + b)


def dense_backward(dy, x, W, b, y):
    dz = dy * (1 - y**2)
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


def cross_entropy(logits, t):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(t)), t]))


def cross_entropy_backward(logits, t):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return (p - np.eye(4)[t]) / len(t)


class Cached:
    def forward(self, x):
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, dout):
        dout[self.y == 0] = 0  # it may overwrite dL/dy
        return dout


SQUARE = lambda dy, x: dy * 2 * x, lambda x: x**2
RIGHT = {
    "a tuple": (dense_backward, dense, {"x": x, "W": W, "b": b}),
    "a dict": (
        lambda W, dout, x, y, b: {
            "x": None, "dW": x.T @ (dout * (1 - y**2)), "b": (dout * (1 - y**2)).sum(0)},
        dense, {"W": W, "x": x, "b": b},
    ),
    "only some": (
        lambda dy, x, y, W, b: (None, x.T @ (dy * (1 - y**2)), None), dense, {"x": x, "W": W, "b": b}),
    "x has another name": (lambda dA, Z: dA * 2 * Z, lambda Z: Z**2, {"x": x}),
    "x is not the first": (lambda x, W, dy: (x.T @ dy, dy @ W.T), lambda W, x: x @ W, {"W": W, "x": x}),
    "a ufunc": (lambda g, y: g * (1 - y * y), np.tanh, {"x": x}),
    "a derivative": (lambda x: 1 - np.tanh(x) ** 2, np.tanh, {"x": x}),
    "integers": (*SQUARE, {"x": [[1, 2], [3, -1]]}),
    "integer weights": (lambda dy, x, W: (dy @ W.T, x.T @ dy), lambda x, W: x @ W, {
        "x": x, "W": [[1, 2], [3, -1], [0, 5], [2, 2]]}),
    "a loss": (cross_entropy_backward, cross_entropy, {"x": x, "t": t}),
    "a loss with dy": (lambda dy, x: dy * 2 * x / x.size, lambda x: (x**2).mean(), {"x": x}),
    "methods": ((cached := Cached()).backward, cached.forward, {"x": x}),
    "a default": (lambda dy, x, k=3: dy * k * x ** (k - 1), lambda x, k=3: x**k, {"x": x}),
    "one number": (*SQUARE, {"x": np.array(3.0)}),
    "a partial": (functools.partial(lambda k, dy, x: dy * k, 3), lambda x: 3 * x, {"x": x}),
    "small gradients": (lambda x: 2e-9 * x, lambda x: 2.3 + 1e-9 * np.sum(x**2), {"x": x}),
    "large numbers": (*SQUARE, {"x": 1e6 * x}),
    "indices": (
        lambda dy, x, W: np.eye(4)[:, t] @ dy, lambda x, W: W[x], {"x": t, "W": W},
    ),
    "labels in a tuple": (
        lambda x, t, b: (cross_entropy_backward(x + b, t), cross_entropy_backward(x + b, t).sum(0)),
        lambda x, t, b: cross_entropy(x + b, t), {"x": x, "t": t, "b": W[:, 0]},
    ),
}  # fmt: skip


def test_the_verdict_names_the_function():
    verdict = gradcheck(dense_backward, forward=dense, x=x, W=W, b=b)
    words = "dense_backward: rounding: backward differs from finite differences by at most "
    assert str(verdict).startswith(words)


@pytest.mark.parametrize("name", RIGHT)
def test_right_functions_differ_by_rounding(name):
    backward, forward, arrays = RIGHT[name]
    verdict = gradcheck(backward, forward=forward, **arrays)
    assert verdict.holds, verdict
    assert verdict.difference < (1e-8 if name != "small gradients" else 0.02)


WRONG = [
    (lambda x, t: 5 * cross_entropy_backward(x, t), cross_entropy, {"x": x, "t": t},
     "multiplied by the batch size, 5: is a mean missing"),
    (lambda dy, x, W: (dy @ W.T, dy.T @ x), lambda x, W: x @ W, {"x": x, "W": W},
     r"dW has shape \(3, 4\), expected \(4, 3\).* order of gradients is x, W"),
    (lambda dy, x, W: (x.T @ dy,), lambda x, W: x @ W, {"x": x, "W": W},
     r"dx has shape \(4, 3\).* order of gradients is x, W"),
    (lambda dy, x: (dy, dy), np.tanh, {"x": x}, "backward returns gradients of x, another, expected of x"),
    (lambda dy, x: {"dq": dy}, np.tanh, {"x": x}, "backward returns gradients of q, expected of x"),
    (lambda dy, x, W, b, y: dense_backward(dy, x, W, b, y)[:2], dense, {"x": x, "W": W, "b": b},
     "backward returns None or nothing for b"),
    (lambda dy, x, W: {"x": dy @ W.T}, lambda x, W: x @ W, {"x": x, "W": W}, "None or nothing for W"),
    (lambda x, t: (cross_entropy_backward(x, t), 0 * t), cross_entropy, {"x": x, "t": t},
     "integers have no gradient: return None for theirs"),
    (lambda dy, x: dy * (1 - x**2), np.tanh, {"x": x}, "the derivative is taken at z, expected at y"),
    (lambda dy, x: 1e-9 * dy * (1 - x**3), lambda x: 1e-9 * np.tanh(x), {"x": x}, "derive it again"),
    (lambda dy, x, W: (dy @ W, None), lambda x, W: x @ W, {"x": x, "W": W}, "transpose missing, as in W.T"),
    (lambda dy, x: dy, lambda x: x.astype("f4"), {"x": x}, "forward returns float32 .* remove the cast"),
    (lambda dy, x: None, np.tanh, {"x": x}, "backward returns None"),
    (lambda dy, x: x.__imul__(0) + dy, np.tanh, {"x": x}, "backward changes its input x"),
    (lambda dy, x: dy, lambda x, W: x @ W.__imul__(2), {"x": x, "W": W}, "forward changes its input W"),
    (lambda dy, x: dy, lambda x: (x, x), {"x": x}, "forward returns a tuple, expected y alone"),
    (lambda dy, x: dy, lambda x: None, {"x": x}, "forward returns a NoneType, expected y alone: return y"),
    (lambda dy, x: dy / x, lambda x: np.sqrt(x), {"x": np.ones(3) - 2}, "forward returns NaN"),
    (lambda dy, x: dy, np.tanh, {"x": [1.0, np.nan]}, "forward returns NaN or infinity; choose other inputs"),
    (lambda dy, x: dy * np.nan, np.tanh, {"x": x}, "it is not finite: look for a division by 0"),
    (lambda dy, x: dy, np.abs, {"x": np.zeros(3)}, "forward is not smooth at any x"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")
@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_mistake_is_found(number):
    backward, forward, arrays, words = WRONG[number]
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(gradcheck(backward, forward=forward, **arrays).problem)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gradcheck(dense_backward), r"expected a Layer.* gradcheck\(backward, forward=..., x=...\)"),
        (lambda: gradcheck(dense_backward, forward=dense), "forward=..., x=..."),
        (lambda: gradcheck(dense_backward, x=x), "cannot be called: None is not a callable"),
        (lambda: gradcheck(3, forward=dense, x=x, W=W, b=b), "cannot be called: 3 is not a callable"),
        (lambda: gradcheck(Dense(3), x=x), "Dense.*call a function as"),
        (lambda: gradcheck(Dense(3), forward=dense), "Dense.*call a function as"),
        (
            lambda: gradcheck(dense_backward, forward=dense, x=x),
            "cannot be called: missing .* 'W'",
        ),
        (lambda: gradcheck(dense_backward, forward=lambda x: x, x=x, q=x), "too many positional arguments"),
        (
            lambda: gradcheck(lambda g, z: g, forward=np.tanh, x=x, seed=1),
            "unknown parameters g, z, expected one",
        ),
        (lambda: gradcheck(lambda dy: dy, forward=np.tanh, x="one"), "x is a "),
        (lambda: gradcheck(lambda dy: dy, forward=np.tanh, x=["one"]), "numbers"),
        (lambda: gradcheck(dict, forward=np.tanh, x=x), "forward or backward cannot be called"),
    ],
)
def test_refuses_what_cannot_be_called(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_the_advice_for_a_cache_is_right():
    def f(x):
        return x * x, x

    def backward(dy, cache):
        return 2 * dy * cache

    with pytest.raises(InputError, match="unknown parameters dy, cache") as caught:
        gradcheck(backward, forward=f, x=x)
    advice = re.search(r"forward=(lambda .+) and backward as (lambda .+)$", str(caught.value))
    forward, adapted = (eval(code, {"f": f, "backward": backward}) for code in advice.groups())
    assert gradcheck(adapted, forward=forward, x=x).holds
