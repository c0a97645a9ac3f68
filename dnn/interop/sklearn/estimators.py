"""``DNNClassifier`` and ``DNNRegressor``: the network with scikit-learn's interface."""

import warnings
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._array_api import check_same_namespace, get_namespace
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from backends import InputError
from backends.errors import shown
from dnn.copies import assembled, parts_of
from dnn.interop.sklearn.arrays import backend_for, beside, handed_out, held_out, outputs_of, rows
from dnn.interop.sklearn.labels import class_weights, classes_of, is_text, labels_of, numbers_of
from dnn.interop.sklearn.training import (
    Examples,
    Goal,
    Outcome,
    build,
    check_settings,
    one_of,
    set_goal,
    train,
    values,
    yes_or_no,
)
from dnn.sequential import Sequential

Array = Any


@dataclass(eq=False, repr=False)
class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share. As scikit-learn wants it, ``fit`` looks at the settings, not the constructor."""

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    _: KW_ONLY
    solver: str = "adam"
    alpha: float = 1e-4
    batch_size: Any = "auto"
    learning_rate_init: float = 1e-3
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool = False
    warm_start: bool = False
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: float = 10
    backend: str = "auto"
    device: Any = None
    dtype: str | None = None
    layers: Any = None

    # ----- what differs

    def _targets(self, y: Array, X: Array, known: Array | None) -> tuple[Array, Goal]:
        """y (n,) or (n, C) as the network takes it, on X's side, and what the network is for; known: classes."""
        raise NotImplementedError

    def _weights(self, targets: Array, X: Array, given: Any) -> Array | None:
        """The weight of each example, (n,) on X's side."""
        return (
            None if given is None else _check_sample_weight(given, X, dtype=X.dtype, ensure_non_negative=True)
        )

    # ----- training

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (n, features), dense or sparse, and y.

        With warm_start a second fit goes on from the weights of the first.

        Args:
            sample_weight: (n,) numbers from 0; None: all count alike.

        Raises ValueError: a setting or an argument that does not fit.
        """
        return self._fit(X, y, sample_weight, fresh=not (self.warm_start and hasattr(self, "model_")))

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        fresh: bool,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        check_settings(self)
        if self.early_stopping and incremental:
            raise InputError("early_stopping is True, expected False for partial_fit, which is one epoch")
        xp, _ = get_namespace(X)
        dtypes = [xp.float64, xp.float32]
        X, y = validate_data(self, X, y, accept_sparse="csr", multi_output=True, dtype=dtypes, reset=fresh)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not fresh:
            self._require_side(X, "partial_fit" if incremental else "fit")
        targets, goal = self._targets(y, X, classes if fresh else getattr(self, "classes_", None))
        weights = self._weights(targets, X, sample_weight)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if fresh:
            backend = backend_for(self.backend, self.device, self.dtype, X)
            model = build(self, backend, int(X.shape[1]), goal, seed)
        else:
            model = self.model_
        examples, validation = self._parted(X, targets, weights, goal, seed)
        set_goal(self, model, goal, examples, incremental)
        outcome = train(self, model, goal, examples, validation, 1 if incremental else int(self.max_iter))
        self._keep(model, goal, outcome, fresh)
        if not (outcome.converged or incremental):
            warnings.warn(
                f"training ended after max_iter = {self.max_iter} without convergence; use a larger one",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _parted(
        self, X: Array, targets: Array, weights: Array | None, goal: Goal, seed: int
    ) -> tuple[Examples, Examples | None]:
        """What is trained on, and what is held out for early stopping."""
        every = (X, targets, weights)
        if not self.early_stopping or self.solver == "lbfgs":
            return every, None
        classes = targets if goal.score == "accuracy" and not goal.several else None
        parts = held_out(X, classes, float(self.validation_fraction), seed)
        train, held = (tuple(rows(array, part) for array in every) for part in parts)
        return train, held

    def _keep(self, model: Sequential, goal: Goal, outcome: Outcome, fresh: bool) -> None:
        """Become fitted. Raises InputError: the weights are not finite."""
        xp = model.backend.xp
        if not bool(xp.all(xp.isfinite(model.parameters.values))):
            raise InputError(
                "training ended with weights that are not finite, expected numbers; scale X (StandardScaler), "
                "or use a smaller learning_rate_init"
            )
        before, scores = ([], []) if fresh else (self.loss_curve_, self.validation_scores_ or [])
        self.model_, self._goal = model, goal
        self.n_outputs_, self.n_iter_ = model.outputs, outcome.iterations
        self.loss_curve_ = before + outcome.losses
        self.loss_ = outcome.losses[-1] if outcome.losses else float("nan")
        self.best_loss_ = min(self.loss_curve_, default=self.loss_)
        self.validation_scores_ = None if outcome.scores is None else scores + outcome.scores
        best = None if outcome.scores is None else max(self.validation_scores_)
        self.best_validation_score_ = best

    # ----- prediction

    @property
    def _values(self) -> Array:
        """All weights, which lie where the arrays of ``fit`` lay."""
        return self.model_.parameters.values

    def _require_side(self, X: Any, method: str) -> None:
        """Refuse an X of another library or device than that of ``fit``, unless a backend was named."""
        if self.backend == "auto" and self.device is None:
            check_same_namespace(X, self, attribute="_values", method=method)

    def _outputs(self, X: Any, method: str) -> tuple[Array, Array]:
        """The network's outputs (n, C) for X (n, features), on its device; and X, checked."""
        check_is_fitted(self)
        self._require_side(X, method)
        xp, _ = get_namespace(X)
        X = validate_data(self, X, accept_sparse="csr", dtype=[xp.float64, xp.float32], reset=False)
        return outputs_of(self.model_, X), X

    # ----- what scikit-learn asks

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def __sklearn_array_api_convert__(self, converter: Callable[[Array], Array]) -> Self:
        """The fitted estimator in another library or on another device, for ``move_estimator_to``."""
        made = clone(self)
        vars(made).update(vars(self))
        values = converter(self._values)
        made.model_ = assembled(parts_of(self.model_), backend_for("auto", None, None, values))
        classes = getattr(self, "classes_", None)
        if classes is not None and not is_text(classes):
            made.classes_ = converter(classes)
        return made


def _in_parts(estimator: _Estimator) -> bool:
    """Whether there is a partial_fit; L-BFGS takes all examples at once."""
    return estimator.solver != "lbfgs"


@dataclass(eq=False, repr=False)
class DNNClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A deep neural network that tells classes apart, or answers yes or no for several labels.

    It makes the cross-entropy small. Two classes are one output with a sigmoid, more are a softmax; a y (n, C)
    of 0 and 1 is C labels that may occur together, each with a sigmoid. Arguments mean what they mean in
    ``MLPClassifier``, where they are there too.

    Args:
        hidden_layer_sizes: units of each hidden layer; () is a linear model.
        activation: of the hidden layers, in ``backends.reference.ACTIVATIONS``; also "identity", "logistic".
        solver: "sgd" (with Nesterov's momentum 0.9), "adam", "adamw" (``alpha`` is then its weight decay), or
            "lbfgs": all examples at once.
        alpha: price of large weights, alpha / 2 |W|^2 shared by the examples of a batch; biases are free.
        batch_size: "auto": 200, or all examples if they are fewer.
        learning_rate_init: constant; not for lbfgs.
        max_iter: epochs, or iterations of lbfgs.
        shuffle, random_state: a new order each epoch; the seed of orders and of initial weights.
        tol, n_iter_no_change: training ends when the loss, or with early stopping the score, has not improved
            by tol for more than so many epochs; lbfgs ends at a gradient of tol.
        verbose: a line an epoch. warm_start: ``fit`` goes on from the weights that are there.
        early_stopping, validation_fraction: hold out this share, of each class alike, and end with the weights
            of the epoch with the best accuracy (R2 in regression) on it.
        backend: "auto": X's library, NumPy if scikit-learn does not dispatch; or a name for ``get_backend``:
            X is moved there, and results come back to X's side.
        device, dtype: of the backend; None: X's. dtype is "float32" or "float64".
        layers: the whole network as dnn layers, of examples (features,), instead of the first two arguments; the
            last one returns (C,) by softmax, or for two classes (1,) by sigmoid.
        class_weight: label -> weight of its examples (else 1), or "balanced"; not for several labels.

    Attributes:
        classes_: (C,) the labels, ascending.
        model_: the ``Sequential``. n_outputs_: how many numbers it returns for an example.
        n_iter_: epochs of the last fit. n_features_in_, feature_names_in_: of X.
        loss_curve_, loss_, best_loss_: each epoch's mean loss, without the price of large weights (with it for
            lbfgs), the last and the best one.
        validation_scores_, best_validation_score_: with early stopping each epoch's score, and the best; else None.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> DNNClassifier(solver="lbfgs", random_state=0).fit(X, y).predict([[0.5], [2.5]]).tolist()
    ['low', 'high']
    """

    _: KW_ONLY
    class_weight: Any = None

    @available_if(_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """One epoch on X and y, in which the optimizer goes on; arguments as of ``fit``.

        Args:
            classes: all labels that will ever occur; the first call must have them, but for several labels.
        """
        if isinstance(self.class_weight, str):
            raise InputError("class_weight is 'balanced', expected a dict of weights for partial_fit")
        fresh = not hasattr(self, "model_")
        if classes is not None:
            classes = classes_of(column_or_1d(classes))
            if not fresh and not np.array_equal(classes, self.classes_):
                raise InputError(
                    f"classes is {shown(classes)}, expected those of the first call of partial_fit"
                )
        elif fresh and not type_of_target(y).startswith("multilabel"):
            raise InputError("classes is None, expected all labels in the first call of partial_fit")
        return self._fit(X, y, sample_weight, fresh=fresh, incremental=True, classes=classes)

    def _targets(self, y: Array, X: Array, known: Array | None) -> tuple[Array, Goal]:
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            y = beside(X, y.toarray() if hasattr(y, "toarray") else y)
            xp, _ = get_namespace(y)
            self.classes_ = np.arange(y.shape[1]) if known is None else known
            return xp.astype(y, X.dtype), yes_or_no(int(y.shape[1]), several=True)
        if kind == "multiclass-multioutput":
            raise InputError(f"y has shape {tuple(y.shape)}, expected (n,) labels, or (n, C) of 0 and 1")
        classes = classes_of(y) if known is None else known
        numbers = beside(X, numbers_of(y, classes))
        self.classes_ = classes if is_text(classes) else beside(X, classes)
        softmax = self.layers and self.layers[-1].activation == "softmax"
        count = int(classes.shape[0])
        return numbers, yes_or_no(1) if count <= 2 and not softmax else one_of(count)

    def _weights(self, targets: Array, X: Array, given: Any) -> Array | None:
        weights = super()._weights(targets, X, given)
        if self.class_weight is None:
            return weights
        if targets.ndim == 2:
            raise InputError("class_weight is given for several labels, expected None; use sample_weight")
        return class_weights(self.class_weight, targets, self.classes_, weights, X.dtype)

    def predict(self, X: Any) -> Array:
        """The most likely label of each example (n,), or for several labels (n, C) of 0 and 1, on X's side."""
        outputs, X = self._outputs(X, "predict")
        xp = self.model_.backend.xp
        if not self._goal.several and self.n_outputs_ > 1:
            found = xp.argmax(outputs, axis=1)
        else:
            found = outputs > 0.5
        found = handed_out(self.model_.backend, xp.astype(found, xp.int64), X)
        if self._goal.several:
            return found
        if self.n_outputs_ == 1:
            found = found[:, 0] * (self.classes_.shape[0] - 1)  # 0 where there is one class
        return labels_of(found, self.classes_)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, C) in the order of ``classes_``, on X's side; rows sum to 1 but for several labels."""
        return self._probabilities(X, "predict_proba")

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of ``predict_proba``; -inf where a probability is 0."""
        found = self._probabilities(X, "predict_log_proba")
        with np.errstate(divide="ignore"):
            return get_namespace(found)[0].log(found)

    def _probabilities(self, X: Any, method: str) -> Array:
        outputs, X = self._outputs(X, method)
        xp = self.model_.backend.xp
        if self.n_outputs_ == 1 and not self._goal.several:
            one = xp.ones_like(outputs)
            outputs = one if self.classes_.shape[0] == 1 else xp.concat([one - outputs, outputs], axis=1)
        return handed_out(self.model_.backend, outputs, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class DNNRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A deep neural network that predicts one number or several, by squared errors.

    Arguments and attributes as of ``DNNClassifier``, without class_weight and classes_; ``layers`` end with
    "linear". ``loss_curve_`` has half the squared error, as in ``MLPRegressor``.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    >>> model = DNNRegressor((), solver="lbfgs", alpha=0.0, random_state=0).fit(X, y)
    >>> round(float(model.predict([[10.0]])[0]), 2)
    21.0
    """

    @available_if(_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch on X and y, in which the optimizer goes on; arguments as of ``fit``."""
        return self._fit(X, y, sample_weight, fresh=not hasattr(self, "model_"), incremental=True)

    def _targets(self, y: Array, X: Array, known: Array | None) -> tuple[Array, Goal]:
        if getattr(y.dtype, "kind", None) in ("O", "U", "S"):
            try:
                y = y.astype(np.float64)
            except (TypeError, ValueError):
                raise InputError(f"Unknown label type: y is {shown(y)}, expected numbers") from None
        y = beside(X, y)
        return y, values(1 if y.ndim == 1 else int(y.shape[1]))

    def predict(self, X: Any) -> Array:
        """The values (n,), or (n, C) where there are several, on X's side."""
        outputs, X = self._outputs(X, "predict")
        found = handed_out(self.model_.backend, outputs, X)
        return found[:, 0] if self.n_outputs_ == 1 else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
