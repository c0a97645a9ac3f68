"""Using a network: evaluate and predict, in chunks, so that memory does not grow with the examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dnn import inputs
from dnn.example_weights import example_weights
from dnn.metrics import count_correct

if TYPE_CHECKING:
    from dnn.model import Sequential

Array = Any


class Evaluation(NamedTuple):
    """What ``evaluate`` returns: the mean loss, and the share of right predictions."""

    loss: float
    accuracy: float


def chunks(
    model: Sequential, x: Array, chunk: int, training: bool = False
) -> Iterator[tuple[int, int, Array]]:
    """x piece by piece as (start, stop, batch in the backend's dtype), buffers reserved."""
    backend, scale = model.backend, inputs.scale_of(x)
    xp, gather = backend.xp, backend.kernel("gather_rows")
    n = int(x.shape[0])
    chunk = min(chunk, n)
    buffer = backend.zeros((chunk, *x.shape[1:]))
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        batch = buffer[: stop - start, ...]
        index = xp.arange(start, stop, dtype=xp.int64, device=backend.device)
        gather(x, index, batch, scale)
        model.reserve(stop - start, training)
        yield start, stop, batch


def evaluate(model: Sequential, x: Any, y: Any, batch_size: int, sample_weight: Any = None) -> Evaluation:
    """What ``Sequential.evaluate`` does; see there."""
    backend, goal = model.backend, model.loss
    assert goal is not None
    chunk = inputs.positive_integer("batch_size", batch_size)
    x = inputs.examples(backend, "x", x, model.input_shape)
    n = int(x.shape[0])
    y = inputs.targets(backend, "y", y, n, model.outputs)
    goal.check_targets(backend, "y", y)
    weights = example_weights(backend, y, sample_weight, None, model.outputs)
    kind = "integer" if y.ndim == 1 else "dense"
    loss, correct = backend.zeros(1), backend.zeros(1)
    for start, stop, batch in chunks(model, x, chunk):
        part = y[start:stop, ...]
        outputs, losses, _ = model.loss_of(batch, part, kind, training=False)
        loss += backend.xp.sum(losses if weights is None else losses * weights[start:stop])
        correct += count_correct(backend, outputs, part, goal.boundary)
    total = n if weights is None else float(backend.xp.sum(weights))
    return Evaluation(float(backend.to_host(loss)[0]) / total, float(backend.to_host(correct)[0]) / n)


def predict(model: Sequential, x: Any, batch_size: int) -> np.ndarray:
    """What ``Sequential.predict`` does; see there."""
    chunk = inputs.positive_integer("batch_size", batch_size)
    x = inputs.examples(model.backend, "x", x, model.input_shape)
    outputs = np.empty((int(x.shape[0]), model.outputs), dtype=model.backend.dtype_name)
    for start, stop, batch in chunks(model, x, chunk):
        outputs[start:stop] = model.backend.to_host(model.forward(batch, training=False))
    return outputs
