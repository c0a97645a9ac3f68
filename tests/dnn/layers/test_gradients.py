"""The gradients of a network against central differences of its loss."""

import numpy as np
import pytest

from backends.reference import ACTIVATIONS
from dnn import Dense, Sequential
from dnn.training.step import gradients


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "mean_squared_error"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("backend_id", ["numpy", "torch", "strict", "cupy", "torch:cuda"])
def test_gradients_by_central_differences(make_backend, backend_id, activation, loss):
    backend, rng = make_backend(backend_id, "float64"), np.random.default_rng(12)
    last = "softmax" if loss == "categorical_crossentropy" else activation
    layers = [Dense(7, activation), Dense(5, activation), Dense(3, last)]
    model = Sequential(layers, input_shape=(4,), backend=backend)
    model.compile(loss)
    x, y = rng.normal(size=(9, 4)), rng.dirichlet(np.ones(3), 9)
    start = {n: rng.normal(size=v.shape) for n, v in model.parameters.to_host().items()}

    def goal(values):
        model.parameters.load(values)
        return model.evaluate(x, y).loss

    goal(start)
    model.reserve(9, training=True)
    gradients(model, backend.from_host(x), backend.from_host(y))
    if activation == "relu":  # no kink within reach of the differences
        h, nearest = x, []
        for n in ("dense_1", "dense_2", "dense_3"):
            z = h @ start[f"{n}.W"] + start[f"{n}.b"]
            h, nearest = np.maximum(z, 0.0), [*nearest, np.abs(z).min()]
        assert min(nearest) > 1e-3
    views = model.parameters.gradient
    gradient = {name: backend.to_host(views[name]).copy() for name in start}
    h = 1e-5  # errors h^2 = 1e-10 of the formula and eps / h = 2e-11 of rounding
    for _ in range(3):
        d = {name: rng.normal(size=v.shape) for name, v in start.items()}
        up, down = (goal({n: start[n] + s * h * d[n] for n in start}) for s in (1, -1))
        slope = sum(float(np.sum(gradient[n] * d[n])) for n in start)
        scale = sum(float(np.sum(np.abs(gradient[n] * d[n]))) for n in start)
        assert scale > 1e-3
        assert abs((up - down) / (2 * h) - slope) <= 1e-8 * scale
