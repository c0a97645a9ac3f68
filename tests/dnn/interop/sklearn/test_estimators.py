"""DNNClassifier and DNNRegressor: MLPClassifier's arithmetic, labels, weights, warm start."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

from dnn import SGD, Adam, AdamW, Conv2D, Dense, Dropout, Flatten, Reshape
from dnn.interop.sklearn import DNNClassifier, DNNRegressor, training

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5))
SUMS = np.stack([X[:, 0] + X[:, 1], X[:, 2] - X[:, 3], X[:, 4]], axis=1)
CLASSES, LABELS = SUMS.argmax(axis=1), (SUMS > 0).astype(np.int64)


def make_sklearn_counterpart(kind, ours):
    """Return an MLPClassifier or MLPRegressor class that starts from our initial weights."""
    start = iter(list(ours.model_.parameters.to_host().values()))

    class Same(kind):
        def _init_coef(self, fan_in, fan_out, dtype):
            return tuple(sorted((next(start), next(start)), key=np.ndim, reverse=True))

    return Same


SKLEARN_COUNTERPARTS = [
    (DNNClassifier, MLPClassifier, CLASSES),
    (DNNClassifier, MLPClassifier, LABELS[:, 0]),
    (DNNClassifier, MLPClassifier, LABELS),
    (DNNRegressor, MLPRegressor, SUMS[:, 0]),
    (DNNRegressor, MLPRegressor, SUMS),
]


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize(("made", "theirs", "y"), SKLEARN_COUNTERPARTS)
def test_updates_equal_scikit_learn(made, theirs, y, alpha, solver):
    """Losses of 15 epochs with 4 updates are equal, from the same weights and batches."""
    settings = {"activation": "tanh", "solver": solver, "alpha": alpha, "batch_size": 10, "shuffle": False}
    settings |= {"learning_rate_init": 0.02, "tol": 0.0, "hidden_layer_sizes": (7, 6)}
    nothing = made(**{**settings, "learning_rate_init": 1e-300, "solver": "sgd"}, max_iter=1, random_state=0)
    weights = np.tile([0.5, 1.0, 1.5, 0.0, 2.0], 8)
    same = make_sklearn_counterpart(theirs, nothing.fit(X, y))
    other = same(**settings, max_iter=15, **({"epsilon": 1e-12} if solver == "adam" else {}))
    ours = made(**settings, max_iter=15, random_state=0).fit(X, y, sample_weight=weights)
    other.fit(X, y, sample_weight=weights)
    rtol = 1e-9 if solver == "sgd" else 1e-4  # scikit-learn adds Adam's epsilon before the bias correction
    predict = "predict" if made is DNNRegressor else "predict_proba"
    found, expected = getattr(ours, predict)(X), getattr(other, predict)(X)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
    if alpha == 0.0:
        np.testing.assert_allclose(ours.loss_curve_, other.loss_curve_, rtol=rtol)
    assert ours.loss_curve_[-1] < 0.9 * ours.loss_curve_[0]


@pytest.mark.parametrize(("made", "theirs", "y"), [SKLEARN_COUNTERPARTS[0], SKLEARN_COUNTERPARTS[4]])
def test_training_stops_as_in_scikit_learn(made, theirs, y):
    settings = {"solver": "sgd", "alpha": 0.0, "batch_size": 10, "shuffle": False, "hidden_layer_sizes": (7,)}
    settings |= {"learning_rate_init": 0.05, "tol": 1e-2, "n_iter_no_change": 3, "activation": "logistic"}
    nothing = made(**{**settings, "learning_rate_init": 1e-300}, max_iter=1, random_state=0).fit(X, y)
    other = make_sklearn_counterpart(theirs, nothing)(**settings).fit(X, y)
    ours = made(**settings, random_state=0).fit(X, y)
    assert ours.n_iter_ == other.n_iter_ < 200
    assert min(ours.loss_curve_) == pytest.approx(other.best_loss_)


def test_lbfgs_finds_the_minimum_of_the_linear_model():
    """Compare with ridge regression's normal equations; a sample weight of n equals n copies."""
    y = SUMS[:, :2] + 3.0
    counts = np.arange(40) % 3
    ours = DNNRegressor((), solver="lbfgs", alpha=2.0, tol=1e-9, max_iter=500).fit(X, y, sample_weight=counts)
    Z, t = X.repeat(counts, axis=0), y.repeat(counts, axis=0)
    centre, middle = Z.mean(axis=0), t.mean(axis=0)
    W = np.linalg.solve((Z - centre).T @ (Z - centre) + 2.0 * np.eye(5), (Z - centre).T @ (t - middle))
    np.testing.assert_allclose(ours.predict(X), (X - centre) @ W + middle, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "optimizer"),
    [
        ({"solver": "sgd"}, SGD(1e-3, momentum=0.9, nesterov=True)),
        ({"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False}, SGD(1e-3, momentum=0.5)),
        ({"solver": "sgd", "momentum": 0}, SGD(1e-3)),
        ({"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-7}, Adam(1e-3, 0.8, 0.9, 1e-7)),
        ({"solver": "adamw", "beta_1": 0.8}, AdamW(1e-3, 0.8, weight_decay=1e-4)),
    ],
)
def test_settings_of_the_solvers(settings, optimizer):
    model = DNNClassifier(max_iter=1, **settings)
    model.fit(X, CLASSES)
    assert model.model_.optimizer == optimizer
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0.0)
    logits = hidden @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(softmax(logits, axis=1), model.predict_proba(X), rtol=1e-5)


def test_class_weights_multiply_sample_weights():
    settings = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
    weights = np.arange(40) % 3 + 0.5
    both = DNNClassifier(class_weight={1: 4.0}, **settings).fit(X, CLASSES, weights)
    other = DNNClassifier(**settings).fit(X, CLASSES, weights * np.where(CLASSES == 1, 4.0, 1.0))
    np.testing.assert_allclose(both.predict_proba(X), other.predict_proba(X))
    for seed in range(3):  # the untrained model
        one = DNNClassifier(learning_rate_init=1e-9, max_iter=1, random_state=seed).fit(X, np.full(40, 7))
        assert set(one.predict(X)) == {7}
        assert np.all(one.predict_proba(X) == np.ones((40, 1)))


def test_partial_fits_equal_one_fit():
    """The optimizer's state is kept: ten calls on all of X equal ten epochs."""
    whole = DNNClassifier(max_iter=10, batch_size=10, random_state=0).fit(X, CLASSES)
    parts = DNNClassifier(batch_size=10, random_state=0)
    for _ in range(10):
        parts.partial_fit(X, CLASSES, classes=[0, 1, 2])
    np.testing.assert_allclose(parts.predict_proba(X), whole.predict_proba(X), rtol=1e-12)
    assert len(parts.loss_curve_) == 10
    unseen = DNNClassifier().partial_fit(X, np.zeros(40, int), classes=[0, 1, 2])
    assert unseen.predict_proba(X).shape == (40, 3)


def test_warm_start_continues_training():
    model = DNNClassifier(max_iter=5, warm_start=True, random_state=0).fit(X, CLASSES)
    first = model.loss_curve_[0]
    assert model.fit(X, CLASSES).loss_curve_[5] < first
    assert len(model.loss_curve_) == 10
    with pytest.raises(ValueError, match="labels that are not in classes_"):
        model.fit(X, CLASSES + 1)
    model.set_params(warm_start=np.False_)  # as a grid search passes it
    assert len(model.fit(X, CLASSES).loss_curve_) == 5


def test_early_stopping_restores_the_best_epoch():
    X, y = load_wine(return_X_y=True)
    X = scale(X) + 2.0 * np.random.default_rng(0).normal(size=X.shape)  # noise makes the scores fluctuate
    settings = {"early_stopping": True, "validation_fraction": 0.3, "learning_rate_init": 0.2}
    model = DNNClassifier((8,), n_iter_no_change=4, random_state=3, **settings).fit(X, y)
    seed = np.random.RandomState(3).randint(2**31 - 1)
    _, X_held, _, y_held = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
    best = max(model.validation_scores_)
    assert model.validation_scores_[-1] < best
    assert accuracy_score(y_held, model.predict(X_held)) == pytest.approx(best)
    assert model.n_iter_ < 200


def test_layers_define_the_network():
    X, y = load_digits(return_X_y=True)
    layers = [Reshape((8, 8, 1)), Conv2D(4, 3, "relu"), Flatten(), Dropout(0.1), Dense(10, "softmax")]
    model = DNNClassifier(layers=layers, max_iter=12, learning_rate_init=0.01, random_state=0)
    assert clone(model).fit(X[:600] / 16, y[:600]).score(X[600:] / 16, y[600:]) > 0.85
    assert model.get_params()["layers"] is layers
    two = DNNClassifier(layers=[Dense(2, "softmax")], max_iter=3).fit(X, y > 4)
    assert two.predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize(("made", "theirs"), [(DNNClassifier, MLPClassifier), (DNNRegressor, MLPRegressor)])
def test_defaults_equal_scikit_learn(made, theirs):
    ours, others = made().get_params(), theirs().get_params()
    assert {k: v for k, v in ours.items() if k in others} == {k: others[k] for k in ours if k in others}
    assert len(set(ours) & set(others)) == 20
    assert {k: v for k, v in ours.items() if k not in others} == dict.fromkeys(set(ours) - set(others)) | {
        "backend": "auto"
    }


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [({}, [150, 200, 200]), ({"batch_size": 160}, [150, 160, 160]), ({"solver": "lbfgs"}, [150, 200, 201])],
)
def test_batch_sizes(settings, sizes):
    assert [training.batch_size(DNNClassifier(**settings), n) for n in (150, 200, 201)] == sizes


def test_penalty_is_divided_by_the_batch_weight(capsys):
    """alpha / 2 is divided by the total weight of a batch, and by the outputs if the loss is a sum over
    them.
    """
    model = DNNClassifier(alpha=0.5, max_iter=1, verbose=True)
    for n, weight in ((40, 1.0), (20, 1.0), (20, 3.0)):
        model.partial_fit(X[:n], CLASSES[:n], np.full(n, weight), classes=[0, 1, 2])
        assert model.model_.penalty.l2 == pytest.approx(0.25 / (n * weight))
    assert capsys.readouterr().out
    several = DNNClassifier(alpha=0.5, max_iter=1).fit(X, LABELS)
    assert several.model_.penalty.l2 == pytest.approx(0.25 / (40 * 3))
    assert DNNRegressor(alpha=0.5, max_iter=1).fit(X, SUMS).model_.penalty.l2 == pytest.approx(
        0.25 / (40 * 1.5)
    )
    assert not capsys.readouterr().out
