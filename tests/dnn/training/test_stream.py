"""Batches from iterables: the same numbers as from arrays, and errors for unsupported arguments."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse
import torch
from helpers import (
    NUMPY,
    Kept,
    assert_same_training,
    build_network,
    input_error,
    numbers,
    same_bits,
    small_data,
    small_model,
    weights,
)

from dnn import Dense
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.training.state import StateError
from dnn.training.stream import MAX_STEPS

SIZES = (8, 8, 5, 1, 8, 20)
EPOCHS = 3


def batches(sizes=SIZES, *more):
    """Yield batches of small_data and of arrays of the same length."""
    stops = np.cumsum(sizes)
    for start, stop in zip(stops - sizes, stops, strict=True):
        yield tuple(a[start:stop] for a in (*small_data(), *more))


class Endless:
    """An iterable without end and length that starts again."""

    begun = 0

    def __iter__(self):
        self.begun += 1
        while True:
            yield from batches((8, 8, 8, 8, 8, 8, 2))


def fit_model(backend, x, y=None, **options):
    model = small_model(backend)
    return model, model.fit(x, y, epochs=EPOCHS, **options).history


def test_streams_have_the_bits_of_arrays(backend):
    x, y = small_data()
    source = Endless()
    options = {"steps_per_epoch": 7, "validation_data": (x, y)}  # all batches
    plain, one = fit_model(backend, x, y, batch_size=8, shuffle=False, **options)
    model, two = fit_model(backend, source, **options)
    assert_same_training(plain, model, numbers(one), numbers(two))
    assert source.begun == EPOCHS
    short, three = fit_model(backend, x, y, batch_size=8, shuffle=False, steps_per_epoch=4)
    model, four = fit_model(backend, source, steps_per_epoch=4)
    assert_same_training(short, model, numbers(three), numbers(four))
    assert three["loss"] != one["loss"]


def test_batches_of_all_kinds_of_arrays(backend):
    """Size, dtype, form of targets and library may differ between batches."""
    examples = list(batches())
    plain, one = fit_model(backend, examples)
    rows = np.eye(3, dtype="f4")
    mixed = [
        (torch.from_numpy(examples[0][0]), torch.from_numpy(examples[0][1])),
        [examples[1][0].astype("f8"), examples[1][1].astype("u1")],
        (examples[2][0].tolist(), examples[2][1].tolist()),
        (scipy.sparse.csr_array(examples[3][0]), examples[3][1]),
        (backend.from_host(examples[4][0]), examples[4][1], np.ones(8)),
        (examples[5][0], rows[examples[5][1]]),
    ]
    model, two = fit_model(backend, mixed)
    np.testing.assert_allclose(weights(plain), weights(model), rtol=1e-6)
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-6)


def test_weights_of_examples_and_of_classes(backend):
    x, y = small_data()
    weight = np.linspace(0, 2, 50, dtype="f4")
    weight[8:16] = 0.0  # a batch that does not count
    options = {"class_weight": {1: 3.0}}
    plain, one = fit_model(backend, x, y, batch_size=8, shuffle=False, sample_weight=weight, **options)
    model, two = fit_model(backend, list(batches((8,) * 6 + (2,), weight)), **options)
    assert same_bits(weights(plain), weights(model))
    assert numbers(one) == numbers(two)


def test_an_iterator_continues(backend):
    model, _ = fit_model(backend, iter(Endless()), steps_per_epoch=2)
    other = small_model(backend)
    other.fit(list(batches((8,) * 6)), epochs=1)
    assert same_bits(weights(model), weights(other))
    assert other.evaluate(batches()) == pytest.approx(other.evaluate(*small_data()), rel=1e-5)


def test_resumed_anywhere_the_bits_are_the_same(backend, tmp_path):
    kept = Kept()
    source = list(batches())
    whole, history = fit_model(backend, source, callbacks=[kept])
    assert len(kept.states) == EPOCHS * len(SIZES)
    for i in (0, 3, 6, 11, 17):
        write_state(kept.states[i], tmp_path / "state")
        resumed, again = fit_model(backend, source, resume=read_state(tmp_path / "state"))
        assert same_bits(weights(whole), weights(resumed))
        assert numbers(again) == numbers(history)
    said = {name: kept.states[0].facts[name] for name in ("data", "batch_size", "shuffle", "steps_per_epoch")}
    assert [*said.values()] == ["batches of an iterable", None, False, 6]
    with pytest.raises(StateError, match="differs in data: batches of an iterable"):
        fit_model(backend, *small_data(), resume=kept.states[0])
    with pytest.raises(StateError, match="differs in steps_per_epoch"):
        fit_model(backend, source, resume=kept.states[0], steps_per_epoch=5)


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("shuffle", {"shuffle": False}),
        ("batch_size", {"batch_size": 30}),
        ("data", {"class_weight": {0: 2.0}}),
        ("penalty", {}),
    ],
)
def test_rejects_states_of_another_training(word, changes):
    kept = Kept()
    source = torch.utils.data.TensorDataset(*map(torch.from_numpy, small_data()))
    options = {"batch_size": 40, "epochs": 2}
    small_model().fit(source, callbacks=[kept], **options)
    model = small_model()
    model.compile(l2=0.5 if word == "penalty" else 0.0)
    with pytest.raises(StateError, match=f"differs in {word}"):
        model.fit(source, resume=kept.states[0], **{**options, **changes})


@pytest.mark.parametrize("sizes", [range(1, 99), range(98, 0, -1)])
def test_many_batch_sizes_take_the_memory_of_a_few(sizes):
    x = np.ones((98, 1000), np.float32)
    y = np.arange(98) % 3
    model = build_network([Dense(4, "relu"), Dense(3, "softmax")], (1000,), NUMPY)
    model.compile()
    tracemalloc.start()
    model.fit([(x[:n], y[:n]) for n in sizes])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (MAX_STEPS + 4) * x.nbytes


def test_progress_counts_the_examples():
    class Seen(Kept):
        def __init__(self):
            super().__init__()
            self.examples = []

        def on_progress(self, progress):
            self.examples.append((progress.examples, progress.updates_per_epoch, progress.read()[0] > 0))

    seen = Seen()
    small_model(NUMPY).fit(list(batches()), callbacks=[seen])
    assert seen.examples == [(n, 6, True) for n in np.cumsum(SIZES)]


X, Y = small_data()
REFUSED_AT_ONCE = {
    "no length": ({"x": iter(lambda: 0, 0)}, "steps_per_epoch is None, expected how many batches of x"),
    "no batches": ({"x": []}, "steps_per_epoch is 0"),
    "too many": ({"x": [(X, Y)], "steps_per_epoch": 2}, "steps_per_epoch is 2, expected at most the 1 b"),
    "too many of arrays": ({"x": X, "y": Y, "steps_per_epoch": 2}, "is 2, expected at most the 1 batches"),
    "split": (
        {"x": [(X, Y)], "validation_split": 0.2},
        "validation_split or sample_weight is given with an iterable",
    ),
    "weights": (
        {"x": [(X, Y)], "sample_weight": Y},
        "sample_weight is given with an iterable.*validation_da",
    ),
    "validation": ({"x": [(X, Y)], "validation_data": [X]}, "batch 1 of validation_data is a nd"),
    "targets twice": ({"x": iter([(X, Y)]), "y": Y}, "x is a .*iterator"),
    "too few": ({"x": [(X,)]}, "batch 1 of x is a tuple"),
    "too much": ({"x": [(X, Y, Y, Y)]}, "batch 1 of x is a tuple"),
    "no pair": ({"x": [X]}, r"batch 1 of x is a ndarray, expected a tuple or list of \(x, y\)"),
    "classes": ({"x": [(X, Y + 1)]}, "y of batch 1 holds class numbers from 1 to 3"),
    "balanced": (
        {"x": [(X, Y)], "class_weight": "balanced"},
        "class_weight is 'balanced', expected a dict: x comes in batches",
    ),
}


@pytest.mark.parametrize("case", REFUSED_AT_ONCE)
def test_rejects_invalid_arguments(case):
    options, message = REFUSED_AT_ONCE[case]
    model = small_model()
    before = weights(model)
    with input_error(message):
        model.fit(**options)
    assert same_bits(weights(model), before)
    assert model.epochs_done == 0


def test_an_early_end_is_an_error_and_the_model_can_continue():
    model = small_model()
    with input_error(r"x ended after 2 batches of epoch 2, expected 4 in each; use an iterable that starts"):
        model.fit(batches(), epochs=2, steps_per_epoch=4)
    assert model.epochs_done == 1
    model.fit(list(batches()))
    assert model.epochs_done == 2


def test_rejects_resume_with_an_iterator():
    kept = Kept()
    fit_model(NUMPY, list(batches()), callbacks=[kept])
    with input_error("x is an iterator, expected with resume an iterable that starts again"):
        fit_model(NUMPY, batches(), steps_per_epoch=6, resume=kept.states[2])
