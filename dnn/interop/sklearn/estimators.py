"""``DNNClassifier`` and ``DNNRegressor``: the network with scikit-learn's interface."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d
from sklearn.utils._array_api import get_namespace
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from backends import Array, InputError
from dnn.interop.sklearn.arrays import move_beside, move_result
from dnn.interop.sklearn.base import Estimator
from dnn.interop.sklearn.labels import class_weights, decode_labels, encode_labels, holds_text
from dnn.interop.sklearn.training import Task


def _has_partial_fit(estimator: Estimator) -> bool:
    """Return whether partial_fit is available. L-BFGS needs all examples at once."""
    return estimator.solver != "lbfgs"


@dataclass(eq=False, repr=False)
class DNNClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Deep neural network classifier for binary, multiclass and multilabel targets.

    It minimises the cross-entropy. Two classes use one output with a sigmoid, more classes a softmax. A y (n,
    C) of 0 and 1 is a multilabel target with a sigmoid for each label. Arguments that ``MLPClassifier`` has
    too have the same meaning.

    Args:
        hidden_layer_sizes: units of each hidden layer; () for a linear model.
        activation: of the hidden layers, in ``backends.reference.ACTIVATIONS``; also "identity", "logistic".
        solver: "sgd", "adam", "adamw" (``alpha`` is its weight decay), or "lbfgs" (full batch).
        momentum, nesterovs_momentum: of sgd. beta_1, beta_2, epsilon: of adam and adamw.
        alpha: factor of the L2 penalty alpha / 2 |W|^2, divided by the batch size; biases are not penalised.
        batch_size: "auto" is min(200, n).
        learning_rate_init: constant learning rate; not used by lbfgs.
        max_iter: maximum number of epochs, or of iterations for lbfgs.
        shuffle, random_state: shuffle in each epoch; seed of the shuffles and initial weights.
        tol, n_iter_no_change: training stops if the loss, or with early stopping the score, has not improved
            by tol for more than n_iter_no_change epochs; lbfgs stops at a gradient of tol.
        verbose: print a line per epoch. warm_start: ``fit`` continues from the current weights.
        early_stopping, validation_fraction: hold out this share, stratified by class, and restore the weights
            of the epoch with the best validation score: accuracy, for multilabel targets the share of correct
            labels, for regression R2.
        backend: "auto" uses X's library, or NumPy if scikit-learn does not dispatch (numba for sparse X, if
            it is installed). With a name for ``get_backend`` X is moved to that backend, and results are
            returned on X's device.
        device, dtype: of the backend; None: X's. dtype is "float32" or "float64".
        layers: all layers of the network, for examples (features,), instead of the first two arguments. The
            last one returns (C,) by softmax, or for two classes (1,) by sigmoid.
        class_weight: label -> weight of its examples (default 1), or "balanced"; not for multilabel targets.

    Attributes:
        classes_: (C,) sorted labels.
        model_: the ``Sequential``. n_outputs_: its number of outputs.
        coefs_, intercepts_: W and b of each layer that has them.
        n_iter_: epochs of the last fit. n_features_in_, feature_names_in_: of X.
        loss_curve_: mean loss of each epoch, without the penalty, except for lbfgs. loss_: the last one.
        validation_scores_: with early stopping the score of each epoch.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> DNNClassifier(solver="lbfgs", random_state=0).fit(X, y).predict([[0.5], [2.5]]).tolist()
    ['low', 'high']
    """

    _: KW_ONLY
    class_weight: Any = None

    @available_if(_has_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on X and y, keeping the optimizer's state. Arguments as in ``fit``.

        Args:
            classes: all labels that may occur. Required in the first call, except for multilabel targets;
                not used in later ones.
        """
        if isinstance(self.class_weight, str):
            raise InputError("class_weight is 'balanced'", "a dict of weights for partial_fit")
        if classes is not None:
            classes = LabelEncoder().fit(classes).classes_
        elif not hasattr(self, "model_") and not type_of_target(y).startswith("multilabel"):
            raise InputError("classes is None", "all labels in the first call of partial_fit")
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def _targets(self, y: Array, X: Array, known: Array | None) -> tuple[Array, Task]:
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            y = move_beside(X, y.toarray() if hasattr(y, "toarray") else y)
            xp, _ = get_namespace(y)
            n = int(y.shape[1])
            self.classes_ = np.arange(n) if known is None else known
            task = Task(n, "binary_crossentropy", "sigmoid", "accuracy", n, n, multilabel=True)
            return xp.astype(y, X.dtype), task
        classes = LabelEncoder().fit(y).classes_ if known is None else known
        numbers = move_beside(X, encode_labels(column_or_1d(y), classes))
        self.classes_ = classes if holds_text(classes) else move_beside(X, classes)
        softmax = self.layers and self.layers[-1].activation == "softmax"
        count = int(classes.shape[0])
        if count <= 2 and not softmax:
            return numbers, Task(1, "binary_crossentropy", "sigmoid", "accuracy")
        return numbers, Task(count, "categorical_crossentropy", "softmax", "accuracy")

    def _weights(self, targets: Array, X: Array, sample_weight: Any) -> Array | None:
        weights = super()._weights(targets, X, sample_weight)
        if self.class_weight is None:
            return weights
        if targets.ndim == 2:
            raise InputError("class_weight is given for multilabel targets", "None", "use sample_weight")
        return class_weights(self.class_weight, targets, self.classes_, weights, X.dtype)

    def predict(self, X: Any) -> Array:
        """Return the most likely label (n,), or for multilabel targets (n, C) of 0 and 1, on X's device."""
        p = self._probabilities(X, "predict")
        xp, _ = get_namespace(p)
        if self._task.multilabel:
            return xp.astype(p > 0.5, xp.int64)
        return decode_labels(xp.argmax(p, axis=1), self.classes_)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of ``predict_proba``; -inf where a probability is 0."""
        p = self._probabilities(X, "predict_log_proba")
        with np.errstate(all="ignore"):
            return get_namespace(p)[0].log(p)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities (n, C) in the order of ``classes_``, on X's device."""
        return self._probabilities(X, "predict_proba")

    def _probabilities(self, X: Any, method: str) -> Array:
        """Return the probabilities; ``method`` is the caller's name in scikit-learn's errors."""
        outputs, X = self._outputs(X, method)
        xp = self.model_.backend.xp
        if self.n_outputs_ == 1 and not self._task.multilabel:
            one = xp.ones_like(outputs)
            outputs = one if self.classes_.shape[0] == 1 else xp.concat([one - outputs, outputs], axis=1)
        return move_result(self.model_.backend, outputs, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class DNNRegressor(RegressorMixin, MultiOutputMixin, Estimator):  # type: ignore[misc]
    """Deep neural network regressor for one or several outputs. It minimises the squared error.

    Arguments and attributes are those of ``DNNClassifier``, without class_weight and classes_. The last of
    the ``layers`` has the activation "linear". ``loss_curve_`` is half the squared error, as in
    ``MLPRegressor``.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    >>> model = DNNRegressor((), solver="lbfgs", alpha=0.0, random_state=0).fit(X, y)
    >>> round(float(model.predict([[10.0]])[0]), 2)
    21.0
    """

    @available_if(_has_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on X and y, keeping the optimizer's state. Arguments as in ``fit``."""
        return self._fit(X, y, sample_weight, incremental=True)

    def _targets(self, y: Array, X: Array, known: Array | None) -> tuple[Array, Task]:
        y = move_beside(X, y)
        outputs = 1 if y.ndim == 1 else int(y.shape[1])
        # scikit-learn reports half the mean squared error, and takes the gradient of the sum over outputs.
        return y, Task(outputs, "mean_squared_error", "linear", "r2", outputs / 2, 0.5)

    def predict(self, X: Any) -> Array:
        """Return the predictions (n,), or (n, C) for several outputs, on X's device."""
        outputs, X = self._outputs(X, "predict")
        found = move_result(self.model_.backend, outputs, X)
        return found[:, 0] if self.n_outputs_ == 1 else found
