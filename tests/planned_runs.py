"""Run a training with plans or layer by layer, and return its results; for the tests of plans."""

import numpy as np
import pytest
from helpers import assert_close, build_network

import dnn.training.runners

SMOOTH = 1e-3
"""Epsilon of adaptive optimizers in comparisons. With a tiny epsilon, the rounding error of a gradient near 0
causes a full-size step, and rounding depends on the processor."""


def run_training(case, backend, with_plans, labels, *, epochs=2, start=None, loss=None, **settings):
    """Train a case (layers, x, optimizer, batch size); return name -> array in the backend's
    dtype, and whether each kind of batch had a plan. Without ``with_plans`` it runs layer by layer.
    """
    layers, x, optimizer, batch = case
    seen, original = [], dnn.training.runners.plan_updates

    def record_plan(step, *rest):
        run = original(step, *rest) if with_plans else None
        seen.append(run is not None)
        return run

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dnn.training.runners, "plan_updates", record_plan)
        made = [type(layer)(**layer.config()) for layer in layers]
        model = build_network(made, x.shape[1:], backend, 4)
        model.compile(loss or "categorical_crossentropy", optimizer=optimizer)
        if start is not None:
            start(model.parameters.by_name)
        history = model.fit(x, labels, batch_size=batch, epochs=epochs, **settings).history
    state = model.optimizer_state
    results = {
        "values": model.parameters.vector, **state.vectors, "control": state.control,
        "loss": history["loss"], "accuracy": history["accuracy"],
    }  # fmt: skip
    return {name: np.array(array, backend.dtype_name) for name, array in results.items()}, seen


def assert_same_results(plan, layers, bound, n):
    """Check that ``run_training`` with a plan and layer by layer had the same results on n examples."""
    for what, expected in layers.items():
        if what == "accuracy":  # two logits that are equal up to rounding may change it
            assert_close(plan[what], expected, 1.5 / n / np.linalg.norm(expected), what)
        else:
            assert_close(plan[what], expected, bound, what)


def assert_nonfinite_spreads(run, value):
    """Check that a weight that is not finite makes others NaN as in layers; return the results with a plan.

    Args:
        run: (with_plans, **settings of run_training) -> its results.
    """

    def start(parameters):
        parameters["dense_1.W"][3, 2] = value

    with np.errstate(all="ignore"):
        (plan, _), (layers, _) = (run(with_plans, epochs=1, start=start) for with_plans in (True, False))
    np.testing.assert_array_equal(np.isnan(plan["values"]), np.isnan(layers["values"]))
    np.testing.assert_array_equal(plan["accuracy"], layers["accuracy"])
    return plan
