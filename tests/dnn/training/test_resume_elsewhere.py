"""A training that moves from one backend to another: the next update."""

import numpy as np
import pytest
from helpers import Kept, build_network
from oracles import gradient_bound

from dnn import Adam, Dense, LinearDecay, Rescaling
from dnn.agreement import bounds
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.datasets import load_dataset

PAIRS = [
    ("numpy", "torch"), ("torch", "numpy"), ("numpy", "numba"), ("numba", "torch"), ("strict", "numpy"),
    ("numpy", "strict"), ("cupy", "numpy"), ("numpy", "cupy"), ("torch:cuda", "numpy"), ("torch", "cupy"),
]  # fmt: skip
WIDTHS = (64, 40, 30, 10)


def model_on(backend, epochs, updates, seed=0):
    *hidden, classes = WIDTHS[1:]
    layers = [Rescaling(1 / 255), *(Dense(units, "relu") for units in hidden), Dense(classes, "softmax")]
    model = build_network(layers, WIDTHS[:1], backend, seed)
    model.compile(optimizer=Adam(LinearDecay(0.003, epochs * updates)))
    return model


@pytest.mark.parametrize(("begun", "ended"), PAIRS)
def test_the_first_update_is_within_l2(make_backend, tmp_path, begun, ended):
    """One batch holds all examples, so an epoch is one update, and Adam's moments contain its gradient.

    The gradient of each backend is within the bound of L2, so two gradients differ by at most twice the
    bound. The update from a backend's own moments is within the bound of L3.
    """
    first = make_backend(begun)
    digits = load_dataset("digits")
    x = digits.x_train[:200]
    y = digits.y_train[:200]
    path = tmp_path / "state.safetensors"
    epochs = 12
    before = 8
    options = {"batch_size": len(x), "epochs": epochs}
    kept = Kept(), Kept()
    model_on(first, epochs, 1).fit(x, y, callbacks=[kept[0]], **options)
    write_state(kept[0].states[before - 1], path)
    state = read_state(path)
    model_on(make_backend(ended), epochs, 1).fit(x, y, callbacks=[kept[1]], resume=state, **options)
    a = kept[0].states[before]
    b = kept[1].states[0]
    assert (a.epoch, a.updates) == (b.epoch, b.updates) == (before + 2, 0)

    at = model_on(first, epochs, 1)
    at.parameters.load(
        {n.removeprefix("value "): v for n, v in state.arrays.items() if n.startswith("value ")}
    )
    p = at.predict(x)
    kappa = bounds.norm(p) / bounds.norm(p - np.eye(10, dtype=p.dtype)[y])
    for layer in range(3):
        allowed = 2.0 * gradient_bound(WIDTHS[:-1], WIDTHS[1:], layer, len(x), kappa)
        for name in (f"dense_{layer + 1}.W", f"dense_{layer + 1}.b"):
            found = {}
            for side, new in (("a", a), ("b", b)):
                m_old, m = (s.arrays[f"m {name}"].astype(np.float64) for s in (state, new))
                v_old, v = (s.arrays[f"v {name}"].astype(np.float64) for s in (state, new))
                old, value = (s.arrays[f"value {name}"].astype(np.float64) for s in (state, new))
                found[side] = (m - 0.9 * m_old) / 0.1
                t = before + 1
                rate = 0.003 * (1 - before / epochs)
                wanted = old - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
                # The step has a dozen roundings of its own size, and its sum with the parameter one.
                moved = bounds.norm(wanted - old) / bounds.norm(wanted)
                assert bounds.eta(value, wanted) <= bounds.U * (1.0 + 16.0 * moved), (side, name)
                # v += 0.001 (g^2 - v): the part of the square is small compared with v; and a few roundings
                squared = v_old + 0.001 * (found[side] ** 2 - v_old)
                assert bounds.eta(v, squared) <= 16.0 * bounds.U, (side, name)
            # The gradient from the moments has their rounding error, at up to ten times its size.
            rounded = 2.0 * bounds.U * bounds.norm(state.arrays[f"m {name}"]) / 0.1 / bounds.norm(found["a"])
            assert bounds.eta(found["b"], found["a"]) <= allowed + rounded, name
