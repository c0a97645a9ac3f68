"""The metrics against scikit-learn's, and what they refuse."""

import numpy as np
import pytest
import sklearn.metrics as theirs
from helpers import small_data, small_model

from backends import InputError, get_backend
from dnn import (
    BinaryCrossentropy,
    Hinge,
    MeanSquaredError,
    confusion_matrix,
    precision,
    recall,
    top_k_accuracy,
)
from dnn.measures import MEASURES

LABELS = np.random.default_rng(1).integers(0, 6, 300)
FOUND = np.where(np.random.default_rng(2).random(300) < 0.6, LABELS, (LABELS + 1) % 6)
SCORES = np.random.default_rng(3).normal(size=(300, 6))


@pytest.mark.parametrize("classes", [None, 6, 8])
def test_confusion_matrix_precision_and_recall(classes):
    every = np.arange(classes or 6)
    np.testing.assert_array_equal(
        confusion_matrix(LABELS, FOUND, classes), theirs.confusion_matrix(LABELS, FOUND, labels=every)
    )
    options = {"labels": every, "average": None, "zero_division": 0}
    for ours, other in ((precision, theirs.precision_score), (recall, theirs.recall_score)):
        np.testing.assert_allclose(ours(LABELS, FOUND, classes), other(LABELS, FOUND, **options), rtol=1e-15)


@pytest.mark.parametrize("k", [1, 2, 5, 6, 9])
def test_top_k_accuracy(k):
    expected = theirs.top_k_accuracy_score(LABELS, SCORES, k=k) if k < 6 else 1.0
    assert top_k_accuracy(LABELS, SCORES, k) == pytest.approx(expected, rel=1e-15)


def test_rows_are_taken_for_their_class():
    rows = np.eye(6)[LABELS]
    np.testing.assert_array_equal(confusion_matrix(rows, SCORES), confusion_matrix(LABELS, SCORES.argmax(1)))
    assert top_k_accuracy(rows, SCORES, 2) == top_k_accuracy(LABELS, SCORES, 2)
    assert confusion_matrix([0, 1, 1], np.eye(2)[[0, 1, 0]]).tolist() == [[1, 0], [1, 1]]


def test_ties_are_in_the_top_and_usually_that_is_five():
    assert top_k_accuracy(LABELS, SCORES) == top_k_accuracy(LABELS, SCORES, 5)
    assert top_k_accuracy([0, 1, 2], np.zeros((3, 3)), k=1) == 1.0


def test_no_examples():
    empty = np.zeros(0, dtype=int)
    assert confusion_matrix(empty, empty, 2).tolist() == [[0, 0], [0, 0]]
    assert confusion_matrix(empty, empty).shape == (0, 0)
    assert precision(empty, empty, 2).tolist() == recall(empty, empty, 2).tolist() == [0.0, 0.0]
    assert top_k_accuracy(empty, np.zeros((0, 3))) == 0.0


def test_of_a_model():
    x, y = small_data(200)
    model = small_model(get_backend("numpy"))
    model.fit(x, y, batch_size=20, epochs=5)
    counts, p = confusion_matrix(y, model.predict(x)), model.predict(x)
    assert np.trace(counts) / 200 == pytest.approx(model.evaluate(x, y).accuracy)
    assert top_k_accuracy(y, p, 1) == pytest.approx(model.evaluate(x, y).accuracy)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confusion_matrix([0, 1], [0]), "labels are 2 and predictions 1"),
        (lambda: confusion_matrix([0, 3], [0, 1], 3), "classes is 3, expected more than the class number 3"),
        (lambda: confusion_matrix([0, -1], [0, 1]), "labels has shape .*expected class numbers"),
        (lambda: precision([0, 1], np.ones((2, 1))), r"predictions has shape \(2, 1\).*p\[:, 0\] > 0.5"),
        (lambda: recall([0.0, 1.0], [0, 1]), "labels has shape .*dtype float64"),
        (lambda: top_k_accuracy([0, 1], np.zeros((2, 3)), 0), "k is 0"),
        (lambda: top_k_accuracy([0, 3], np.zeros((2, 3)), 1), r"scores have shape \(2, 3\)"),
        (lambda: top_k_accuracy([0, 1], np.zeros((3, 3)), 1), r"\(3, 3\), expected \(2, C\)"),
        (lambda: top_k_accuracy([0, 1], np.zeros(2), 1), r"scores have shape \(2,\)"),
    ],
)
def test_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_count_correct(backend):
    def correct(outputs, targets, loss):
        right = MEASURES["accuracy"].batch(backend, loss, outputs, backend.from_host(targets))
        return float(backend.xp.sum(right))

    outputs = backend.from_host(np.asarray([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], dtype="f4"))
    for targets in (np.asarray([1, 1, 1]), np.eye(2, dtype="f4")[[1, 1, 1]]):
        assert correct(outputs, targets, MeanSquaredError()) == 2.0
    assert correct(outputs, np.asarray([1, 1, 1]), Hinge()) == 2.0  # of class numbers the largest output is
    column = backend.from_host(np.asarray([[-0.5], [0.2], [0.7], [0.5], [0.0]], dtype="f4"))
    yes = np.asarray([[0.5], [1.0], [1.0], [0.0], [0.0]], dtype="f4")
    assert correct(column, yes, MeanSquaredError()) == 4.0  # at a boundary the answer is no
    assert correct(column, yes, BinaryCrossentropy()) == 4.0
