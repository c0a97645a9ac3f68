"""Metrics: numbers besides the loss, summed on the device batch by batch.

``compile(metrics=...)`` accepts names and functions of your own. Names beside those in ``METRICS`` are
"f1_macro", "f1_micro" and "f1_weighted", averages over the classes; "f1_2", that of class 2; and the same for
precision and recall. Metrics do not depend on the weights of examples.

``dnn.callbacks.Score`` computes other functions of ``sklearn.metrics``, such as the area under a curve.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import short_repr
from backends.reference.arithmetic import clip
from backends.reference.losses import one_hot
from backends.table import Table
from dnn.losses import Loss
from dnn.settings.base import Settings
from dnn.settings.checks import is_text, look_up, require_kind, require_list

__all__ = ["METRICS", "R2", "Metric", "metric_of", "resolve_metrics"]

# Keras names the accuracy by the form of the targets.
ACCURACIES = "accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"
SHARES = {"precision": 1.0, "recall": 0.0, "f1": 0.5}  # see ClassScore
RESERVED_NAMES = ("loss", "seconds", "epoch")  # names that the history uses itself


@dataclass(frozen=True)
class Metric:
    """Mean of one number per example, over the examples that the loss does not ignore."""

    name: str  # in the history
    # (backend, loss, outputs (B, C), y (B,) class numbers or (B, C) rows) -> numbers (B,)
    batch: Callable[[Backend, Loss, Array, Array], Array]
    takes_logits: bool = False  # whether batch gets the inputs of the loss instead of outputs
    higher_is_better: bool | None = None  # None: unknown, so that monitors need a ``mode``

    def __post_init__(self) -> None:
        require_kind("higher_is_better", self.higher_is_better, bool, None)
        if self.higher_is_better is None:  # a subclass may define it
            object.__setattr__(self, "higher_is_better", type(self).higher_is_better)

    def size(self, n_outputs: int) -> int:
        """Return the length of ``sums`` for a network with this number of outputs."""
        return 1

    def add(self, backend: Backend, loss: Loss, sums: Array, outputs: Array, y: Array, counts: Array) -> None:
        """Add a batch to ``sums`` (size,); counts (B,) is 0 for ignored examples, else 1. None: all 1."""
        each = self.batch(backend, loss, outputs, y)
        sums += backend.xp.sum(each if counts is None else backend.xp.where(counts > 0, each, counts))

    def join(self, backend: Backend, sums: Array, other: Array) -> None:
        """Add the sums ``other`` of other examples to ``sums``; both are (size,)."""
        sums += other

    def value(self, sums: np.ndarray, examples: int) -> float:
        """Return the metric over this many examples, given the sums on the host."""
        return float(sums[0]) / examples


class R2(Metric):
    """1 - sum (t - y)^2 / sum (t - mean t)^2, averaged over the outputs; scikit-learn's r2_score.

    The sums are n, and for each output the mean of t and both sums of squares. Two sets of examples are
    joined without cancellation (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample
    variance").
    """

    higher_is_better = True

    def size(self, n_outputs: int) -> int:
        return 1 + 3 * n_outputs

    def add(self, backend: Backend, loss: Loss, sums: Array, outputs: Array, y: Array, counts: Array) -> None:
        xp = backend.xp
        t = one_hot(xp, y, outputs)
        w = xp.ones_like(t[:, :1]) if counts is None else counts[:, None]
        n = xp.sum(w, axis=0)
        mean = xp.sum(w * t, axis=0) / clip(xp, n, 1.0)
        spread = xp.sum(w * (t - mean) ** 2, axis=0)
        residual = xp.sum(w * (t - outputs) ** 2, axis=0)
        self.join(backend, sums, xp.concat([n, mean, spread, residual]))

    def join(self, backend: Backend, sums: Array, other: Array) -> None:
        n, mean, spread, residual = self._split(sums)
        n2, mean2, spread2, residual2 = self._split(other)
        both = clip(backend.xp, n + n2, 1.0)
        between = mean2 - mean
        spread += spread2 + between**2 * (n * n2 / both)
        residual += residual2
        mean += between * (n2 / both)
        n += n2

    def _split(self, sums: Array) -> tuple[Array, Array, Array, Array]:
        c = (sums.shape[0] - 1) // 3
        return sums[:1], sums[1 : 1 + c], sums[1 + c : 1 + 2 * c], sums[1 + 2 * c :]

    def value(self, sums: np.ndarray, examples: int) -> float:
        spread, residual = sums[1:].astype(np.float64).reshape(3, -1)[1:]
        shares = residual / np.where(spread > 0, spread, 1.0)
        return float(np.mean(np.where(spread > 0, 1.0 - shares, residual == 0)))  # equal targets: 1 or 0


@dataclass(frozen=True)
class ClassScore(Metric):
    """Precision, recall or F1 of all examples, equal to scikit-learn's with zero_division=0.

    A network with one output has two classes. If an example may have several labels (rows of targets with an
    elementwise loss), each output is a class. The sums hold three counts of each class: of the examples for
    which the class is answered rightly, of those for which it is answered, and of those to which it belongs.
    One more sum follows the counts; it is above 0 if examples may have several labels.

    Args:
        share: of the answered examples in the denominator: 1 for precision, 0 for recall, 0.5 for F1.
        average: "macro", "micro", "weighted", or the number of a class. "": of class 1 if there are two
            classes, else "macro".
    """

    share: float = 0.5
    average: str = ""

    def size(self, n_outputs: int) -> int:
        """Raises InputError: there is no class of this number."""
        classes = max(n_outputs, 2)
        if self.average.isdigit() and int(self.average) >= classes:
            raise InputError(f"metric is {self.name!r}", f"a class from 0 to {classes - 1}")
        return 3 * classes + 1

    def add(self, backend: Backend, loss: Loss, sums: Array, outputs: Array, y: Array, counts: Array) -> None:
        xp = backend.xp
        like = outputs if outputs.shape[1] > 1 else xp.concat([outputs, outputs], axis=1)
        rows = _decide(xp, loss, outputs, y)
        answers, truth = (xp.astype(one_hot(xp, a, like), backend.dtype) for a in rows)
        each = xp.concat([answers * truth, answers, truth], axis=1)
        sums[:-1] += xp.sum(each if counts is None else each * counts[:, None], axis=0)
        sums[-1:] += rows[0].ndim - 1.0

    def value(self, sums: np.ndarray, examples: int) -> float:
        right, answered, true = sums[:-1].astype(np.float64).reshape(3, -1)
        below = self.share * answered + (1.0 - self.share) * true
        scores = right / np.maximum(below, 0.5)  # if below is 0, so is right
        several = sums[-1] > 0
        average = self.average or ("1" if scores.size == 2 and not several else "macro")
        if average.isdigit():
            return float(scores[int(average)])
        weights = {"macro": (answered + true > 0) | several, "micro": below, "weighted": true}[average]
        return float(scores @ weights / max(np.sum(weights), 1))


def _decide(xp: Any, loss: Loss, outputs: Array, y: Array) -> Sequence[Array]:
    """Return what is answered and what is true: classes (B,), or yes or no for each output (B, C).

    The class is the one with the largest output; rows of targets mean their argmax. An output says yes if it
    is above the loss's threshold, a target above 0.5. One output is the answer whether the class is 1.
    """
    if outputs.shape[1] > 1 and not (loss.elementwise and y.ndim == 2):
        return xp.argmax(outputs, axis=1), y if y.ndim == 1 else xp.argmax(y, axis=1)
    yes = outputs > loss.threshold, y > 0.5
    return yes if outputs.shape[1] > 1 else [xp.astype(a[:, 0], xp.int64) for a in yes]


def _accuracy(backend: Backend, loss: Loss, outputs: Array, y: Array) -> Array:
    """Return 1 for each example with the right answer, else 0; of several answers the share of right ones."""
    answers, truth = _decide(backend.xp, loss, outputs, y)
    correct = backend.xp.astype(answers == truth, backend.dtype)
    return backend.xp.mean(correct, axis=1) if correct.ndim == 2 else correct


def _mean_error(power: int, backend: Backend, loss: Loss, outputs: Array, y: Array) -> Array:
    return backend.xp.mean(abs(outputs - one_hot(backend.xp, y, outputs)) ** power, axis=1)


_squared_error = partial(_mean_error, 2)


def _class_score(name: str) -> Any:
    """Return the precision, recall or F1 of this name; None for another name."""
    found = re.fullmatch(r"(precision|recall|f1)(_macro|_micro|_weighted|_\d+|)", name)
    if found is None:
        return None
    share = SHARES[found[1]]
    batch = _squared_error  # not used: the sums are those of ``add``
    return ClassScore(
        name, batch, takes_logits=True, higher_is_better=True, share=share, average=found[2][1:]
    )


METRICS: Table[Metric] = Table("metric", {m.name: m for m in (
    *(Metric(name, _accuracy, takes_logits=True, higher_is_better=True) for name in ACCURACIES),
    Metric("mean_absolute_error", partial(_mean_error, 1), higher_is_better=False),
    Metric("mean_squared_error", _squared_error, higher_is_better=False),
    R2("r2", _squared_error),
    *map(_class_score, SHARES),
)})  # fmt: skip
"""Metrics by name. Add your own with ``dnn.register``."""


@dataclass(frozen=True)
class _FunctionMetric:
    """Adapter from a function of (y, outputs) to ``Metric.batch``; pickle supports it, unlike a closure."""

    function: Callable[[Array, Array], Array]

    def __call__(self, backend: Backend, loss: Loss, outputs: Array, y: Array) -> Array:
        values = self.function(y, outputs)
        n = outputs.shape[0]
        shape = tuple(getattr(values, "shape", ()))
        if shape == (n,):
            return backend.xp.astype(values, backend.dtype)
        if shape:
            got = f"metric {self.function.__name__} returned shape {shape}"
            raise InputError(got, f"({n},), one number per example, or () for their mean")
        return backend.zeros(n) + values


def metric_of(function: Callable[[Array, Array], Array], name: str | None = None) -> Metric:
    """Make a metric from a function of (y, outputs).

    Args:
        function: takes arrays on the device: y (B,) class numbers, ignored ones included, or (B, C) rows; and
            the model's outputs (B, C). Returns one number per example (B,), or their mean (0-d). Its
            attribute ``higher_is_better``, if it has one, is that of the metric.
        name: in the history; None: the name of the function.
    Raises InputError: the name is reserved or is not an identifier.
    """
    name = getattr(function, "__name__", "") if name is None else name
    if not (is_text(name) and name.isidentifier()) or name in RESERVED_NAMES or name.startswith("val_"):
        got = f"a metric is named {short_repr(name)}"
        others = ", ".join(RESERVED_NAMES)
        raise InputError(got, f"a function made by def with a name of its own, other than {others}")
    higher_is_better = getattr(function, "higher_is_better", None)
    return Metric(name, _FunctionMetric(function), higher_is_better=higher_is_better)


def _resolve_metric(metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if callable(metric) and not isinstance(metric, Settings):
        return metric_of(metric)
    score = None if str(metric) in METRICS else _class_score(str(metric))
    return score or look_up("metric", metric, METRICS)


def resolve_metrics(metrics: Sequence[Any]) -> tuple[Metric, ...]:
    """Return the metrics for names, metrics and functions, as in ``compile``. Raises InputError."""
    metrics = [metrics] if isinstance(metrics, str) else metrics
    require_list("metrics", metrics)
    resolved = tuple(map(_resolve_metric, metrics))
    names = [metric.name for metric in resolved]
    if len(set(names)) < len(names):
        raise InputError(f"metrics are named {', '.join(names)}", "different names")
    return resolved
