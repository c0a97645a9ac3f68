"""Using a network: evaluate and predict, in chunks, so that memory does not grow with the examples."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from dnn.metrics import count_correct
from dnn.network import Network
from dnn.validation.arrays import scale_of
from dnn.validation.examples import Examples
from dnn.validation.rows import Rows, row_gatherer

Array = Any


class Evaluation(NamedTuple):
    """What ``evaluate`` returns: the mean loss, and the share of right predictions."""

    loss: float
    accuracy: float


def chunks(
    network: Network, x: Array | Rows, chunk: int, training: bool = False
) -> Iterator[tuple[int, int, Array]]:
    """x piece by piece as (start, stop, batch in the backend's dtype), buffers reserved."""
    backend, scale = network.backend, scale_of(x)
    xp, gather = backend.xp, row_gatherer(backend, x)
    n = int(x.shape[0])
    chunk = min(chunk, n)
    buffer = backend.zeros((chunk, *x.shape[1:]))
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        batch = buffer[: stop - start, ...]
        index = xp.arange(start, stop, dtype=xp.int64, device=backend.device)
        gather(x, index, batch, scale)
        network.reserve(stop - start, training)
        yield start, stop, batch


def evaluate(network: Network, examples: Examples, chunk: int) -> Evaluation:
    """Mean loss and share of right predictions, over so many examples at a time."""
    backend, weights = network.backend, examples.weights
    loss, correct = backend.zeros(1), backend.zeros(1)
    for start, stop, batch in chunks(network, examples.x, chunk):
        y = examples.y[start:stop, ...]
        outputs, losses, _ = network.loss_of(batch, y, training=False)
        loss += backend.xp.sum(losses if weights is None else losses * weights[start:stop])
        correct += count_correct(backend, outputs, y, network.goal.boundary)
    total = examples.size if weights is None else float(backend.xp.sum(weights))
    right = float(backend.to_host(correct)[0]) / examples.size
    return Evaluation(float(backend.to_host(loss)[0]) / total, right)


def predict(network: Network, x: Array | Rows, chunk: int) -> np.ndarray:
    """The outputs (N, C) for admitted examples x (N, *input_shape), on the host."""
    outputs = np.empty((int(x.shape[0]), network.outputs), dtype=network.backend.dtype_name)
    for start, stop, batch in chunks(network, x, chunk):
        outputs[start:stop] = network.backend.to_host(network.forward(batch, training=False))
    return outputs
