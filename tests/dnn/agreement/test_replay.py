"""A real training is repeated on each contender, call by call and update by update."""

from __future__ import annotations

import numpy as np
import pytest
from agreement_inputs import wrapped

from dnn import Adam, Dense, Sequential
from dnn.agreement import replay_level
from dnn.agreement.mutants.mutant import Mutant, MutantContender
from dnn.layers import BatchNormalization, Dropout, Rescaling

X = np.random.default_rng(0).integers(256, size=(600, 9), dtype=np.uint8)


def plan(position):
    """NumPy with a plan that takes the rows of the batch at this position."""
    index = "plan.order[plan.position[0]]"
    return MutantContender(Mutant("m", "run_plan", {index: index.replace("plan.position[0]", position)}))


@pytest.mark.parametrize(
    ("contender", "layer", "broken"),
    [
        (plan("plan.position[0]"), Dense(5, "relu"), ""),
        (plan("plan.position[0] % 256"), Dense(5, "relu"), "update of batch"),
        (
            wrapped(["dropout"], lambda kernel: lambda *a: kernel(*a[:2], 0.5, *a[3:])),
            Dropout(0.2),
            "dropout",
        ),
        (wrapped(["batch_norm"], lambda kernel: lambda *a: None), BatchNormalization(), "batch_norm"),
    ],
)
def test_a_wrong_call_or_update_of_a_training_fails(contender, layer, broken):
    model = Sequential([Rescaling(1 / 255), layer, Dense(3, "softmax")], input_shape=(9,), backend="numpy")
    model.compile("categorical_crossentropy", Adam())
    before = model.parameters.to_host()
    records = replay_level([contender], model, X, np.arange(600) % 3, 2)
    updates = {r.case for r in records if r.case.startswith("update")}
    assert len(updates) == (0 if layer.uses_batch_statistics else 3)
    wrong = [r.case for r in records if not r.holds]
    assert bool(wrong) == bool(broken)
    assert all(case.startswith((broken, "update of batch")) for case in wrong)
    assert all(np.array_equal(a, before[name]) for name, a in model.parameters.to_host().items())
