"""gradcheck accepts right functions and names usual mistakes, whatever the layout and dtype of the arrays."""

import numpy as np
import pytest

from dnn.agreement import gradcheck

LAYOUTS = {
    "C": np.ascontiguousarray,
    "transposed": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "broadcast": lambda a: np.broadcast_to(a[..., :1], a.shape),
}
ACTIVATIONS = {  # f(z), f'(z) from z, f'(z) from y
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2, lambda y: 1 - y**2),
    "sigmoid": (
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
        lambda y: y * (1 - y),
    ),
    "relu": (lambda z: np.maximum(z, 0), lambda z: z > 0, lambda y: y > 0),
    "cube": (lambda z: z**3, lambda z: 3 * z**2, None),
}
MISTAKES = {
    "none": "^$",
    "sign": "its sign is wrong",
    "factor": "it is 3 times the right one",
    "mean": "it is divided by the batch size, 6",
    "missing": "the derivative of the activation is missing",
    "at z": "the derivative is taken at z, expected at y",
    "W": "W stands in place of W.T; only dx",
    "transposed": "it is transposed; only dW",
    "db": "db has shape .* it is not summed over the batch",
    "first": "it is that of the first example alone",
    "no db": "backward returns None or nothing for b",
}


def functions(activation, mistake):
    """Return forward and backward of f(x W + b)."""
    f, slope, slope_at_y = ACTIVATIONS[activation]

    def forward(x, W, b):
        return f(x @ W + b)

    def backward(dy, x, W, b, y):
        z = x @ W + b
        dz = dy * slope(z)
        if mistake == "missing":
            dz = dy
        if mistake == "at z":
            dz = dy * slope_at_y(z)
        dz = {"sign": -1, "factor": 3}.get(mistake, 1) * dz
        dW = x.T @ dz
        dW = {"mean": dW / len(x), "transposed": dW.T, "first": x[:1].T @ dz[:1]}.get(mistake, dW)
        db = dz if mistake == "db" else dz.sum(axis=0)
        gradients = dz @ (W if mistake == "W" else W.T), dW, db
        return gradients[:2] if mistake == "no db" else gradients

    return forward, backward


def arrays(layout, dtype, seed):
    rng = np.random.default_rng(seed)
    shapes = {"x": (6, 4), "W": (4, 4), "b": (4,)}
    drawn = {name: LAYOUTS[layout](rng.normal(size=shape).astype(dtype)) for name, shape in shapes.items()}
    for array in drawn.values():
        array.flags.writeable &= dtype == "float32"
    return drawn


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_mistake_in_a_function_is_named(activation, layout, mistake):
    if mistake == "at z" and activation in ("relu", "cube"):
        return
    forward, backward = functions(activation, mistake)
    for seed, dtype in ((5, "float32"), (9, "float64")):
        drawn = arrays(layout, dtype, seed)
        verdict = gradcheck(backward, forward=forward, seed=seed, **drawn)
        assert verdict.holds == (mistake == "none"), verdict
        with pytest.raises(AssertionError, match=MISTAKES[mistake]):
            raise AssertionError(verdict.problem)
