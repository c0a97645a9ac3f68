"""Base class of both estimators: settings, training and prediction."""

import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._array_api import check_same_namespace, get_namespace
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from backends import Array, InputError
from backends.errors import reraise
from dnn.copies import assemble_model, contents_of
from dnn.inputs.arrays import check_examples
from dnn.inputs.conversion import detach, refuse_dates
from dnn.interop.sklearn.arrays import backend_for
from dnn.interop.sklearn.labels import holds_text
from dnn.interop.sklearn.training import (
    Samples,
    Task,
    build,
    compile_model,
    train,
)
from dnn.keras_names import ChecksKeywords
from dnn.layers import Layer
from dnn.sequential import Sequential
from dnn.settings.checks import require, require_instances
from dnn.training.evaluation import predict

CHUNK_SIZE = 1000  # examples that go through the network at a time


@dataclass(eq=False, repr=False)
class Estimator(ChecksKeywords, BaseEstimator):  # type: ignore[misc]
    """Stores its arguments unchanged; ``fit`` checks them, as scikit-learn requires."""

    explained_as = "estimator"
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
    n_iter_no_change: int = 10
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    backend: str = "auto"
    device: Any = None
    dtype: str | None = None
    layers: Any = None

    # The other settings are checked where they are used.
    _parameter_constraints = MLPClassifier._parameter_constraints | {
        "activation": [str],
        "solver": [StrOptions({"sgd", "adam", "adamw", "lbfgs"})],
    }

    # ----- methods of the subclasses

    def _targets(self, y: Array, X: Array, known: Array | None) -> tuple[Array, Task]:
        """Convert y (n,) or (n, C) to the network's targets on X's device; return them and the Task.

        Args:
            known: (C,) classes of an earlier fit; None: the classes in y.
        """
        raise NotImplementedError

    def _weights(self, targets: Array, X: Array, sample_weight: Any) -> Array | None:
        """Return the weight of each example, (n,) on X's device, or None if all are 1."""
        if sample_weight is None:
            return None
        return _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)

    # ----- training

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (n, features), dense or sparse, and y.

        With warm_start another fit continues from the current weights.

        Args:
            sample_weight: (n,) non-negative weights; None: equal weights.

        Raises ValueError: an invalid setting or argument.
        """
        return self._fit(X, y, sample_weight)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool = False, classes: Array | None = None
    ) -> Self:
        """Implement ``fit`` and ``partial_fit``.

        Args:
            incremental: train for one epoch, from the current weights if there are any.
            classes: (C,) all labels; None: the labels in y.
        """
        fresh = not (hasattr(self, "model_") and (incremental or self.warm_start))
        with reraise(ValueError, "a setting is wrong:"):  # short, and in one line
            self._validate_params()
        if self.layers is not None:
            require_instances("layers", self.layers, Layer)
        expected = "False for partial_fit, which is one epoch"
        require(not (self.early_stopping and incremental), "early_stopping", True, expected)
        X, y = self._validate(X, y=y, multi_output=True, y_numeric=is_regressor(self), reset=fresh)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not fresh:
            self._require_side(X, "partial_fit" if incremental else "fit")
        targets, task = self._targets(y, X, classes if fresh else getattr(self, "classes_", None))
        weights = self._weights(targets, X, sample_weight)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if fresh:
            backend = backend_for(self.backend, self.device, self.dtype, X)
            model = build(self, backend, int(X.shape[1]), task, seed)
        else:
            model = self.model_
        examples, validation = self._hold_out(X, targets, weights, task, seed)
        compile_model(self, model, task, examples, incremental)
        epochs = 1 if incremental else self.max_iter
        losses, scores, converged = train(self, model, task, examples, validation, epochs)
        if not model.parameters.is_finite:
            cure = "scale X, or use a smaller learning_rate_init"
            raise InputError("training ended with weights that are not finite", "numbers", cure)
        self.model_: Sequential = model
        self._task = task
        self.n_outputs_ = model.outputs
        self.n_iter_ = len(losses)
        self.loss_curve_: list[float] = [*([] if fresh else self.loss_curve_), *losses]
        self.loss_ = losses[-1]
        self.validation_scores_ = scores
        if not (converged or incremental):
            warnings.warn(
                f"training ended after max_iter = {self.max_iter} without convergence; use a larger one",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _hold_out(
        self, X: Array, targets: Array, weights: Array | None, task: Task, seed: int
    ) -> tuple[Samples, Samples | None]:
        """Return the examples for training, and those held out for early stopping or None."""
        if not self.early_stopping or self.solver == "lbfgs":
            return (X, targets, weights), None
        arrays = [X, targets] if weights is None else [X, targets, weights]
        stratify = targets if task.score == "accuracy" and not task.multilabel else None
        share = self.validation_fraction
        got = f"validation_fraction is {share} of {X.shape[0]} examples"
        expected = "a share that leaves two examples or more in each part, and one of each class"
        with reraise(ValueError, got, expected, "change it, or use more examples"):
            parts = train_test_split(*arrays, test_size=share, random_state=seed, stratify=stratify)
            if parts[1].shape[0] < 2:
                raise ValueError("one example has no R2")
        return (*parts[::2], None)[:3], (*parts[1::2], None)[:3]

    # ----- prediction

    @property
    def _values(self) -> Array:
        """All weights. scikit-learn compares their library and device with those of X."""
        return self.model_.parameters.vector

    @property
    def coefs_(self) -> list[Array]:
        """W of each layer that has one, on the model's device."""
        return [layer.value["W"] for layer in self.model_.layers if "W" in layer.value]

    @property
    def intercepts_(self) -> list[Array]:
        """b of each layer that has one, on the model's device."""
        return [layer.value["b"] for layer in self.model_.layers if "b" in layer.value]

    def _validate(self, X: Any, **options: Any) -> Any:
        """Return the result of ``validate_data``: X, and y if there is one."""
        X = detach("X", X)
        refuse_dates("X", X)  # validate_data would cast them to nanoseconds
        xp, _ = get_namespace(X)
        return validate_data(self, X, accept_sparse="csr", dtype=[xp.float64, xp.float32], **options)

    def _require_side(self, X: Any, method: str) -> None:
        """Reject an X from another library or device than in ``fit``, unless a backend was named."""
        if self.backend == "auto" and self.device is None:
            check_same_namespace(X, self, attribute="_values", method=method)

    def _outputs(self, X: Any, method: str) -> tuple[Array, Array]:
        """Return the network's outputs (n, C) for X (n, features) on its device, and the checked X."""
        check_is_fitted(self)
        self._require_side(X, method)
        X = self._validate(X, reset=False)
        model = self.model_
        with model.backend.isolated():
            x = check_examples(model.backend, "X", X, model.input_shape, model.layers[0].n_categories)
            return predict(model, x, CHUNK_SIZE), X

    # ----- scikit-learn's protocols

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def __sklearn_array_api_convert__(self, converter: Callable[[Array], Array]) -> Self:
        """Return the fitted estimator in another library or on another device, for ``move_estimator_to``."""
        made = copy(self)
        values = converter(self._values)
        made.model_ = assemble_model(contents_of(self.model_), backend_for("auto", None, None, values))
        classes = getattr(self, "classes_", None)
        if classes is not None and not holds_text(classes):
            made.classes_ = converter(classes)
        return made
