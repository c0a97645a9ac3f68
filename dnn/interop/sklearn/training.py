"""Translate the estimators' settings to a network: its layers, its Task, and when training stops.

scikit-learn's losses are sums over the outputs, ours are means. The factor s between them, ``Task.scale``, is
C / 2 for squared errors, C for C binary labels, else 1. We minimise scikit-learn's loss and penalty divided
by s. The learning rate of SGD, epsilon of Adam and tolerances depend on the size of the gradient, so they are
rescaled by s.
"""

from copy import copy
from typing import Any, NamedTuple

from sklearn.utils._array_api import get_namespace

from backends import Array, Backend, InputError
from backends.errors import short_repr
from dnn.layers import Dense
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.lbfgs.state import Reason
from dnn.optimizers import SGD, Adam, AdamW, Optimizer
from dnn.sequential import Sequential
from dnn.settings.checks import positive_integer
from dnn.training.callback import CheckedCallback

Samples = tuple[Array, Array, Array | None]  # x, targets and weights, on X's device
INITIALIZER_NAME = "glorot_uniform"  # as in scikit-learn; with few features He's weights are much larger


class Task(NamedTuple):
    """The training objective: outputs, loss, and the scores to report."""

    outputs: int
    loss: str
    activation: str  # the last layer's activation
    score: str  # metric that early stopping maximises
    scale: float = 1.0  # s: scikit-learn's loss divided by ours
    loss_factor: float = 1.0  # scikit-learn's loss_ divided by our loss
    multilabel: bool = False  # whether an example may have several labels


def build(estimator: Any, backend: Backend, features: int, task: Task, seed: int) -> Sequential:
    """Return a new network with copies of ``layers``, or with dense layers of ``hidden_layer_sizes``.

    Args:
        features: number of columns of X.

    Raises InputError: the outputs or the activation of the last layer do not fit the task.
    """
    if estimator.layers is not None:
        layers = [copy(layer) for layer in estimator.layers]
    else:
        sizes = estimator.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        layers = [
            Dense(
                positive_integer("hidden_layer_sizes", n), estimator.activation, initializer=INITIALIZER_NAME
            )
            for n in sizes
        ]
        layers.append(Dense(task.outputs, task.activation, initializer=INITIALIZER_NAME))
    model = Sequential(layers, input_shape=(features,), backend=backend, seed=seed)
    if (found := (model.outputs, layers[-1].activation)) != (task.outputs, task.activation):
        raise InputError(
            f"layers end with {found[0]} outputs and the activation {short_repr(found[1])}",
            f"{task.outputs} and {task.activation!r} for this y",
        )
    return model


def _optimizer(estimator: Any, scale: float) -> Optimizer:
    rate = estimator.learning_rate_init
    if estimator.solver == "sgd":
        momentum = estimator.momentum
        return SGD(rate * scale, momentum=momentum, nesterov=estimator.nesterovs_momentum and momentum > 0.0)
    settings = rate, estimator.beta_1, estimator.beta_2, estimator.epsilon / scale
    if estimator.solver == "adamw":
        return AdamW(*settings, weight_decay=estimator.alpha)
    return Adam(*settings)


def compile_model(
    estimator: Any, model: Sequential, task: Task, examples: Samples, incremental: bool
) -> None:
    """Compile the model, except in an incremental fit, which keeps the optimizer's state.

    As in scikit-learn, the penalty alpha / 2 |W|^2 is divided by the total weight of a batch.
    """
    x, _, weights = examples
    mean = 1.0 if weights is None else float(get_namespace(weights)[0].mean(weights))
    batch = batch_size(estimator, x.shape[0]) * (mean or 1.0)
    l2 = 0.0 if estimator.solver == "adamw" else estimator.alpha / (2.0 * batch * task.scale)
    if incremental and model.loss is not None:
        if model.penalty is not None:
            model.penalty.l2 = l2
        return
    metrics = (task.score,) if estimator.early_stopping else ()
    model.compile(task.loss, _optimizer(estimator, task.scale), metrics, l2=l2)


class Stopping(CheckedCallback):
    """Stop training when a value has not improved by tol for more than ``patience`` epochs.

    The value is the training loss, or with early stopping the validation score. With early stopping the
    weights of the best epoch are restored at the end, from a copy on the device.

    Args:
        monitor: name of the value in the logs.
        factor: the value is multiplied by it, and the smallest product is the best. For losses it is
            scikit-learn's loss_ divided by our loss, for scores -1.
    """

    tol: float
    patience: float
    monitor: str
    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.best = float("inf")
        self.waited = 0
        self._kept: list[Array] = []

    def _arrays(self) -> list[Array]:
        parameters = self.model.parameters
        return [parameters.vector, *parameters.state.values()]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        value = logs[self.monitor] * self.factor
        self.waited = 0 if value <= self.best - self.tol else self.waited + 1  # NaN counts as no improvement
        if value < self.best:
            self.best = value
            if self.factor < 0.0:
                xp = self.model.backend.xp
                self._kept = [xp.asarray(array, copy=True) for array in self._arrays()]
        if self.waited > self.patience:
            self.model.stop_training = True

    def on_train_end(self) -> None:
        for array, best in zip(self._arrays(), self._kept, strict=False):
            array[...] = best


def train(
    estimator: Any, model: Sequential, task: Task, examples: Samples, validation: Samples | None,
    epochs: int,
) -> tuple[list[float], list[float] | None, bool]:  # fmt: skip
    """Train from the current weights on examples (x, targets, weights or None).

    Returns the losses of the epochs, or iterations of lbfgs, the validation scores, and whether the training
    converged.
    """
    x, y, weights = examples
    if estimator.solver == "lbfgs":
        settings = LBFGS(max_iterations=epochs, gradient_tolerance=estimator.tol / task.scale)
        state = fit_lbfgs(model, x, y, settings=settings, sample_weight=weights)
        losses = [value * task.loss_factor for value in state.history["loss"][1:] or [state.value]]
        return losses, None, state.reason is not Reason.ITERATIONS
    score = f"val_{task.score}"
    monitor = ("loss", task.loss_factor) if validation is None else (score, -1.0)
    stopping = Stopping(estimator.tol, estimator.n_iter_no_change, *monitor)
    n = x.shape[0]
    batch = batch_size(estimator, n)
    history = model.fit(
        x, y, batch_size=batch, epochs=epochs, validation_data=validation, callbacks=[stopping],
        shuffle=estimator.shuffle and batch < n,  # shuffling a full batch changes nothing
        sample_weight=weights, verbose=2 if estimator.verbose else 0,
    )  # fmt: skip
    losses = [value * task.loss_factor for value in history.history["loss"]]
    return losses, history.history.get(score), model.stop_training


def batch_size(estimator: Any, n: int) -> int:
    """Return the batch size for n examples; n for L-BFGS."""
    if estimator.solver == "lbfgs":
        return n
    return min(200 if estimator.batch_size == "auto" else estimator.batch_size, n)
