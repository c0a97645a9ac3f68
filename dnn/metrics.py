"""Metrics: numbers beside the loss, added up on the device, batch by batch.

``compile(metrics=...)`` takes their names and functions of your own. For metrics that need all predictions at
once (confusion matrix, precision and recall of each class, top-k accuracy, calibration) pass the predictions
to ``sklearn.metrics``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import short_repr
from backends.reference.losses import as_dense
from backends.table import Table
from dnn.losses import Loss
from dnn.validation.settings import is_text, look_up, require_list

RESERVED_NAMES = ("loss", "seconds", "epoch")  # the history has them already


@dataclass(frozen=True)
class Metric:
    """Mean of a number for each example, over all examples that the loss does not ignore."""

    name: str  # in the history
    # (backend, loss, outputs (B, C), y (B,) class numbers or (B, C)) -> these numbers (B,)
    batch: Callable[[Backend, Loss, Array, Array], Array]
    raw: bool = False  # batch takes what the loss takes (logits, if it contains the activation), not outputs

    def size(self, outputs: int) -> int:
        """How many numbers it keeps for a network with so many outputs."""
        return 1

    def add(self, backend: Backend, loss: Loss, sums: Array, outputs: Array, y: Array, counts: Array) -> None:
        """One more batch into ``sums`` (size,); counts (B,) is 0 for ignored examples, else 1; None: 1."""
        each = self.batch(backend, loss, outputs, y)
        sums += backend.xp.sum(each if counts is None else backend.xp.where(counts > 0, each, counts))

    def join(self, backend: Backend, sums: Array, other: Array) -> None:
        """Into ``sums`` (size,) also what was kept of other examples."""
        sums += other

    def value(self, sums: np.ndarray, examples: int) -> float:
        """Value over this many examples, from what was kept."""
        return float(sums[0]) / examples


class R2(Metric):
    """1 - sum (t - y)^2 / sum (t - mean t)^2, the mean over the outputs; scikit-learn's r2_score.

    Kept are n, and for each output the mean of t, and both sums. Those of two sets of examples are joined
    without cancellation (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance").
    """

    def size(self, outputs: int) -> int:
        return 1 + 3 * outputs

    def add(self, backend: Backend, loss: Loss, sums: Array, outputs: Array, y: Array, counts: Array) -> None:
        xp = backend.xp
        t = _rows(xp, y, outputs)
        w = xp.ones_like(t[:, :1]) if counts is None else counts[:, None]
        n = xp.sum(w, axis=0)
        mean = xp.sum(w * t, axis=0) / xp.clip(n, 1.0, None)
        spread = xp.sum(w * (t - mean) ** 2, axis=0)
        residual = xp.sum(w * (t - outputs) ** 2, axis=0)
        self.join(backend, sums, xp.concat([n, mean, spread, residual]))

    def join(self, backend: Backend, sums: Array, other: Array) -> None:
        n, mean, spread, residual = self._parts(sums)
        n2, mean2, spread2, residual2 = self._parts(other)
        both = backend.xp.clip(n + n2, 1.0, None)
        between = mean2 - mean
        spread += spread2 + between**2 * (n * n2 / both)
        residual += residual2
        mean += between * (n2 / both)
        n += n2

    def _parts(self, sums: Array) -> tuple[Array, Array, Array, Array]:
        c = (sums.shape[0] - 1) // 3
        return sums[:1], sums[1 : 1 + c], sums[1 + c : 1 + 2 * c], sums[1 + 2 * c :]

    def value(self, sums: np.ndarray, examples: int) -> float:
        spread, residual = sums[1:].astype(np.float64).reshape(3, -1)[1:]
        perfect = np.where(residual == 0, 1.0, 0.0)  # of targets that are all equal
        return float(
            np.mean(np.where(spread > 0, 1.0 - residual / np.where(spread > 0, spread, 1.0), perfect))
        )


def _rows(xp: Any, y: Array, outputs: Array) -> Array:
    """Targets as rows (B, C); class numbers become one-hot."""
    return as_dense(xp, "integer" if y.ndim == 1 else "dense", y, outputs)


def _accuracy(backend: Backend, loss: Loss, outputs: Array, y: Array) -> Array:
    """1 for each row whose largest output is at the class of y, of rows their largest entry, else 0.

    With one output the class is whether it is above the loss's boundary, and the target's above 0.5. Where
    the loss is elementwise each output of a row answers for itself: the share of right answers counts.
    """
    xp = backend.xp
    if outputs.shape[1] == 1 or (loss.elementwise and y.ndim == 2):
        right = (outputs > loss.boundary) == (y > 0.5)
    else:
        right = xp.argmax(outputs, axis=1) == (y if y.ndim == 1 else xp.argmax(y, axis=1))
    right = xp.astype(right, backend.dtype)
    return xp.mean(right, axis=1) if right.ndim == 2 else right


def _absolute_error(backend: Backend, loss: Loss, outputs: Array, y: Array) -> Array:
    return backend.xp.mean(abs(outputs - _rows(backend.xp, y, outputs)), axis=1)


def _squared_error(backend: Backend, loss: Loss, outputs: Array, y: Array) -> Array:
    return backend.xp.mean((outputs - _rows(backend.xp, y, outputs)) ** 2, axis=1)


METRICS: Table[Metric] = Table("metric", {m.name: m for m in (
    Metric("accuracy", _accuracy, raw=True), Metric("mean_absolute_error", _absolute_error),
    Metric("mean_squared_error", _squared_error), R2("r2", _squared_error),
)})  # fmt: skip
"""Every metric by name; one of your own: ``dnn.register``."""
NAME_ALIASES = {"acc": "accuracy", "mae": "mean_absolute_error", "mse": "mean_squared_error"}  # Keras's


@dataclass(frozen=True)
class _FunctionMetric:
    """A function of (y, outputs) as a metric's ``batch``, which pickle can write."""

    function: Callable[[Array, Array], Array]

    def __call__(self, backend: Backend, loss: Loss, outputs: Array, y: Array) -> Array:
        values = self.function(y, outputs)
        n = outputs.shape[0]
        shape = tuple(getattr(values, "shape", ()))
        if shape == (n,):
            return backend.xp.astype(values, backend.dtype)
        if shape:
            got = f"metric {self.function.__name__} returned shape {shape}"
            raise InputError(got, f"({n},), a number for each example, or () for their mean")
        return backend.zeros(n) + values


def metric_of(function: Callable[[Array, Array], Array], name: str | None = None) -> Metric:
    """A function of (y, outputs) as a metric, named as the function or ``name``.

    It takes arrays on the device: y (B,) class numbers, ignored ones too, or (B, C) rows, and the model's
    outputs (B, C). It returns a number for each example, (B,), or their mean (0-d).
    Raises InputError: the name cannot stand in a history.
    """
    name = getattr(function, "__name__", "") if name is None else name
    if not (is_text(name) and name.isidentifier()) or name in RESERVED_NAMES or name.startswith("val_"):
        got = f"a metric is named {short_repr(name)}"
        others = ", ".join(RESERVED_NAMES)
        raise InputError(got, f"a function made by def with a name of its own, other than {others}")
    return Metric(name, _FunctionMetric(function))


def resolve_metrics(given: Sequence[Any]) -> tuple[Metric, ...]:
    """Metrics from names, metrics and functions, as ``compile`` takes them. Raises InputError: others."""
    require_list("metrics", given)
    found = []
    for metric in given:
        if isinstance(metric, Metric):
            found.append(metric)
        elif callable(metric):
            found.append(metric_of(metric))
        else:
            found.append(look_up("metric", NAME_ALIASES.get(str(metric), metric), METRICS))
    names = [metric.name for metric in found]
    if len(set(names)) < len(names):
        raise InputError(f"metrics are named {', '.join(names)}, expected different names")
    return tuple(found)
