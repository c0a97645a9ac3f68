"""Run a training with plans or layer by layer, and return its results; for the tests of plans."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import build_network

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
            start(model.parameters.value)
        history = model.fit(x, labels, batch_size=batch, epochs=epochs, **settings).history
    state = model.optimizer_state
    left = {
        "values": model.parameters.values, **state.vectors, "control": state.control,
        "loss": history["loss"], "accuracy": history["accuracy"],
    }  # fmt: skip
    return {name: np.array(array, backend.dtype_name) for name, array in left.items()}, seen
