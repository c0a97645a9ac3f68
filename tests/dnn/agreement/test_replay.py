"""A real training is repeated on each contender, call by call and update by update."""

from __future__ import annotations

import numpy as np
import pytest
from agreement_inputs import wrapped

from dnn import Adam, Dense, Sequential
from dnn.agreement import get_contender, replay, replay_level
from dnn.agreement.calls.call import MEASURED
from dnn.agreement.mutants.mutant import Mutant, MutantContender
from dnn.agreement.textbook.training import epoch_batches
from dnn.copies import contents_of
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
    batches = () if layer.uses_batch_statistics else (0, 256, 299)
    assert updates == {f"update of batch {batch}" for batch in batches}
    wrong = [r.case for r in records if not r.holds]
    assert bool(wrong) == bool(broken)
    assert all(case.startswith((broken, "update of batch")) for case in wrong)
    assert all(np.array_equal(a, before[name]) for name, a in model.parameters.to_host().items())


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_an_update_is_that_of_train_on_batch(batch):
    x, y = X[:25], np.arange(25) % 3
    layers = [Dense(5, "relu"), Dropout(0.2), Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(9,), backend="numpy", seed=4)
    model.compile("categorical_crossentropy", Adam(amsgrad=True))
    model.train_on_batch(x[:7], y[:7])
    found = replay.train(contents_of(model), x, y, 10, batch, get_contender("numpy"))
    model.compile("categorical_crossentropy", Adam(amsgrad=True))  # the slots begin at 0
    rows = epoch_batches(4, 1, 25, 10)[batch]
    loss = model.train_on_batch(x[rows], y[rows]).loss
    expected = {"loss": [loss * len(rows)], "predictions": model.predict(x[:10]), **model.parameters.by_name}
    for slot, vector in model.optimizer_state.vectors.items():
        expected |= {f"{slot} {name}": view for name, view in model.parameters.views(vector).items()}
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, 1e-6, 1e-9, err_msg=name)


def test_one_call_of_each_form_is_recorded_with_the_length_of_its_sums():
    calls = {}
    kernel = replay.record(calls, "dense", lambda *arguments: arguments[-1].fill(1.0))
    for rows in (5, 5, 2000):
        x, W, b = np.ones((rows, 4), np.float32), np.ones((4, 7), np.float32), np.ones(7, np.float32)
        kernel(x, W, b, np.zeros((rows, 7), np.float32))
    few, many = calls.values()
    assert (few.n_terms, many.n_terms) == (7, 2000**2)
    assert few.condition == MEASURED
    assert not few.arguments[-1].any()  # as it was before the call
    assert few.arguments[0].dtype == np.float64
    kernel = replay.record(calls, "penalty", lambda *arguments: None)
    kernel(np.ones(3, np.float32), np.ones(3, np.float32), 0.0, 0.5)
    *_, vectors = calls.values()
    assert (vectors.n_terms, vectors.condition) == (1, 2.0)
