"""Metrics: the defaults of each loss, and those of the argument metrics."""

import numpy as np
import pytest
from helpers import NUMPY, NUMPY64, build_network, input_error, small_data

from dnn import SGD, BinaryCrossentropy, CategoricalCrossentropy, Dense, Hinge, MeanSquaredError
from dnn.metrics import METRICS, metric_of


def fit_model(outputs, last, loss, y, backend, **options):
    model = build_network([Dense(outputs, last)], backend=backend, seed=1)
    model.compile(loss, SGD(0.1), **options)
    x, _ = small_data()
    history = model.fit(x, y, batch_size=10, epochs=2, validation_data=(x, y)).history
    return model.predict(x), model.evaluate(x, y), history


def test_validation_targets_of_another_form_have_their_own_metrics():
    x, y = small_data()
    model = build_network([Dense(3, "softmax")])
    model.compile("mean_squared_error")
    rows = np.eye(3, dtype=np.float32)[y]
    history = model.fit(x, y, epochs=2, validation_data=(x, rows)).history
    assert [*history] == ["loss", "accuracy", "seconds", "val_loss", "val_mean_absolute_error", "val_r2"]
    wanted = np.abs(model.predict(x) - rows).mean()
    assert history["val_mean_absolute_error"][-1] == pytest.approx(wanted, rel=1e-5)
    found = model.evaluate(x, y)
    assert tuple(found) == (found.loss, found.accuracy)
    assert repr(found).startswith("Evaluation(loss=")
    with pytest.raises(AttributeError, match="accuracy was not measured"):
        model.evaluate(x, rows).accuracy  # noqa: B018


def test_metrics_argument_selects_the_metrics():
    _, y = small_data()
    _, found, history = fit_model(3, "softmax", "categorical_crossentropy", y, NUMPY, metrics=())
    assert set(history) == {"loss", "val_loss", "seconds"}
    assert len(found) == 1
    x, _ = small_data()
    _, found, _ = fit_model(1, "linear", "mean_squared_error", x[:, 0], NUMPY, metrics=("accuracy",))
    assert 0 <= found.accuracy <= 1


def total_error(y, outputs):
    return abs(outputs - y).sum(1)


def mean_of_first(y, outputs):
    return outputs[:, 0].mean()


def test_r2_matches_scikit_learn(backend):
    """Also if the mean is much larger than the spread, and in batches of odd sizes."""
    metrics = pytest.importorskip("sklearn.metrics")
    x, _ = small_data()
    for shift in (0.0, 3000.0):
        y = x[:, :2] * np.float32(3) + np.float32(shift)
        model = build_network([Dense(2)], backend=backend, seed=1)
        model.compile("mean_squared_error", metrics=["r2", "mse"])
        values = model.parameters.to_host()
        values["dense_1.b"] += np.float32(shift)
        model.parameters.load(values)
        p = model.predict(x)
        for batch in (7, 50):
            found = model.evaluate(x, y, batch_size=batch)
            wanted = metrics.r2_score(y.astype("f8"), p.astype("f8"))
            assert 1 - found.r2 == pytest.approx(1 - wanted, rel=3e-4 if shift else 1e-5)
            assert found.mean_squared_error == pytest.approx(found.loss, rel=1e-5)


@pytest.mark.parametrize("seed", range(40))
def test_scores_are_those_of_scikit_learn(seed, make_backend):
    """Of classes, some ignored, or if seed is odd of labels; some are absent, or are no answer."""
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    outputs = int(rng.integers(2 - seed % 2, 6))
    z = rng.normal(size=(50, outputs)) + rng.choice([-9.0, 0.0, 1.0], outputs)
    if seed % 2:
        y = rng.random((50, outputs)) < rng.choice([0.0, 0.1, 0.5], outputs)
        last, loss, answers = "sigmoid", "binary_crossentropy", z > 0
    else:
        y = rng.permutation([0, *rng.integers(-1, rng.integers(1, outputs + 1), 49)])
        last, loss, answers = "softmax", CategoricalCrossentropy(ignore_index=-1), z.argmax(axis=1)
    backend = make_backend(["numpy", "numba", "torch", "strict"][seed // 2 % 4])
    model = build_network([Dense(outputs, last, initializer="zeros")], shape=(outputs,), backend=backend)
    model.parameters.load({**model.parameters.to_host(), "dense_1.W": np.eye(outputs, dtype="f4")})
    ends = "", "_macro", "_micro", "_weighted", *(f"_{i}" for i in range(max(outputs, 2)))
    names = [score + end for score in ("precision", "recall", "f1") for end in ends]
    model.compile(loss, metrics=["accuracy", *names])
    targets = y.astype("f4") if seed % 2 else y
    found = model.evaluate(z.astype("f4"), targets, batch_size=20)
    used = y.reshape(50, -1)[:, 0] >= 0
    answers, y = answers[used], y[used]
    assert found.accuracy == pytest.approx(np.mean(answers == y))
    for name in names:
        score, _, average = name.partition("_")
        average = average or ("1" if outputs <= 3 - y.ndim else "macro")
        options = (
            {"labels": [int(average)], "average": "macro"} if average.isdigit() else {"average": average}
        )
        wanted = getattr(sklearn, f"{score}_score")(y, answers, zero_division=0, **options)
        assert found.as_dict()[name] == pytest.approx(wanted, abs=1e-12)


def test_r2_of_ignored_batches_and_of_one_example():
    metrics = pytest.importorskip("sklearn.metrics")
    rng, backend = np.random.default_rng(2), NUMPY64
    (t, p), kept = rng.normal(5.0, size=(2, 20, 2)), np.zeros(1 + 3 * 2)
    for rows, counts in ((slice(0, 3), np.zeros(3)), (slice(3, 4), np.ones(1)), (slice(4, 20), None)):
        METRICS["r2"].add(backend, MeanSquaredError(), kept, p[rows], t[rows], counts)
    assert METRICS["r2"].value(kept, 17) == pytest.approx(metrics.r2_score(t[3:], p[3:]), rel=1e-12)


def test_r2_of_targets_that_are_all_equal():
    for bias, wanted in ((0.0, 0.0), (2.0, 1.0)):
        model = build_network([Dense(1)])
        model.compile("mean_squared_error", metrics=["r2"])
        model.parameters.vector[...] = 0.0
        model.parameters.by_name["dense_1.b"][...] = bias
        assert model.evaluate(small_data()[0], np.full(50, 2.0, "f4")).r2 == wanted


@pytest.mark.parametrize("name", ["numpy", "numba", "torch"])
def test_functions_of_your_own(make_backend, name):
    """Metric functions get the outputs of ``predict``, not the logits."""
    y = np.eye(3, dtype=np.float32)[small_data()[1]]
    metrics = [total_error, "mae", metric_of(mean_of_first), "acc"]
    loss = "categorical_crossentropy"
    p, found, history = fit_model(3, "softmax", loss, y, make_backend(name), metrics=metrics)
    names = ["loss", "total_error", "mean_absolute_error", "mean_of_first", "accuracy"]
    assert list(history) == [*names, "seconds", *(f"val_{n}" for n in names)]
    assert found[1] == pytest.approx(np.abs(p - y).sum(1).mean(), rel=1e-5)
    assert found.mean_absolute_error == pytest.approx(np.abs(p - y).mean(), rel=1e-5)
    assert found.mean_of_first == pytest.approx(p[:, 0].mean(), abs=1e-6)
    assert found.accuracy == pytest.approx(np.mean(p.argmax(1) == y.argmax(1)))
    assert found[1] == pytest.approx(history["val_total_error"][-1])


def loss(y, outputs):
    return outputs[:, 0]


@pytest.mark.parametrize(("metrics", "words"), [
    (("acuracy",), "did you mean"), ("acuracy", "did you mean"), (3, "a list or a tuple"), ((3,), "metric"),
    ((np.ones(3),), "metric is array"),
    ((lambda y, o: o,), "expected a function made by def"), ((loss,), "other than loss"),
    (("mae", "mean_absolute_error"), "expected different names"),
    (("recall_3",), "expected a class from 0 to 2"), (("AUC",), "the callback Score"),
])  # fmt: skip
def test_rejects_invalid_arguments(metrics, words):
    _, y = small_data()
    with input_error(words):
        fit_model(3, "softmax", "categorical_crossentropy", y, NUMPY, metrics=metrics)


@pytest.mark.parametrize("name", ["loss", "seconds", "epoch", "val_mine", "my own"])
def test_rejects_reserved_and_invalid_metric_names(name):
    with input_error("a metric is named"):
        metric_of(mean_of_first, name)


def test_rejects_metric_functions_of_wrong_shape():
    def twice(y, outputs):
        return outputs

    with input_error(r"metric twice returned shape \(10, 3\), expected \(10,\)"):
        fit_model(3, "softmax", "mse", small_data()[1], NUMPY, metrics=[twice])


def test_answers_at_the_threshold(backend):
    def correct(outputs, targets, loss):
        arrays = (backend.from_host(np.asarray(a)) for a in (outputs, targets))
        return float(backend.xp.sum(METRICS["accuracy"].batch(backend, loss, *arrays)))

    rows = np.asarray([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], dtype="f4")
    for targets, loss in ([1, 1, 1], Hinge()), (np.eye(2, dtype="f4")[[1, 1, 1]], MeanSquaredError()):
        assert correct(rows, targets, loss) == 2.0
    column = np.asarray([[-0.5], [0.2], [0.7], [0.5], [0.0]], dtype="f4")
    yes = np.asarray([[0.5], [1.0], [1.0], [0.0], [0.0]], dtype="f4")
    for loss in MeanSquaredError(), BinaryCrossentropy(), Hinge():
        assert correct(column, yes, loss) == 4.0  # the answer is no
