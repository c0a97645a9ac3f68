"""evaluate and predict, in batches, so that memory does not grow with the number of examples."""

from collections.abc import Iterable, Iterator
from typing import Self

from backends import Array, InputError
from dnn.inputs.batches import CheckedBatches
from dnn.inputs.examples import Examples
from dnn.inputs.rows import Rows
from dnn.network import Network
from dnn.training.loading import BatchLoader
from dnn.training.step import gradients
from dnn.training.totals import Totals


class Evaluation(tuple[float, ...]):
    """Result of ``evaluate``: a tuple of the mean loss and the metrics, which are attributes too.

    A loss without metrics is formatted like a number.

    >>> found = Evaluation([0.5, 0.75], ["loss", "accuracy"])
    >>> found, found.accuracy
    (Evaluation(loss=0.5, accuracy=0.75), 0.75)
    >>> f"{Evaluation([0.5], ['loss']):.3f}"
    '0.500'
    """

    def __new__(cls, numbers: Iterable[float], names: Iterable[str] = ()) -> Self:
        result = super().__new__(cls, numbers)
        vars(result).update(zip(names, result, strict=False))
        return result

    def __getattr__(self, name: str) -> float:
        raise AttributeError(f"{name} was not measured, expected one of {', '.join(vars(self))}")

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return dict(vars(self))

    def __format__(self, spec: str) -> str:
        if spec and len(self) > 1:
            raise InputError(
                f"{self} has no format {spec!r}", "one number", "write .loss after evaluate(...)"
            )
        return format(self[0] if spec else str(self), spec)

    def __repr__(self) -> str:
        pairs = (f"{name}={value!r}" for name, value in vars(self).items())
        return f"Evaluation({', '.join(pairs)})"


def load_batches(
    network: Network, x: Array | Rows, batch_size: int, training: bool = False
) -> Iterator[tuple[int, int, Array]]:
    """Yield (start, stop, batch) for consecutive batches of x, ready for ``Network.forward``."""
    backend = network.backend
    n = x.shape[0]
    loader = BatchLoader(network, x, min(batch_size, n))
    for start in range(0, n, batch_size):
        stop = min(start + batch_size, n)
        network.reserve(stop - start, training)
        yield start, stop, loader.load(x, backend.indices(start, stop))


def evaluate(network: Network, examples: Examples | CheckedBatches, batch_size: int) -> Evaluation:
    """Return mean loss and metrics over the examples, ``batch_size`` of them at a time."""
    batches = [examples] if isinstance(examples, Examples) else examples
    totals = Totals(network, examples.has_weights, examples.has_classes)
    size = 0
    for checked in batches:
        size += checked.size
        for start, stop, batch in load_batches(network, checked.x, batch_size):
            _, y, weights = checked.between(start, stop)
            loss_inputs, losses, _ = network.loss_of(batch, y, training=False)
            totals.add(loss_inputs, y, losses if weights is None else losses * weights, weights)
    return Evaluation(totals.read(size), totals.names)


def compute_gradients(network: Network, examples: Examples) -> Evaluation:
    """Compute the gradients of one batch of all examples; return its mean loss and metrics.

    The gradients are those of an update: ``network.parameters.gradient_by_name`` holds them by name.
    """
    totals = Totals(network, examples.has_weights, examples.has_classes)
    for _, _, batch in load_batches(network, examples.x, examples.size, training=True):
        gradients(network, batch, examples.y, examples.weights, totals)
    return Evaluation(totals.read(examples.size), totals.names)


def predict(network: Network, x: Array | Rows, batch_size: int) -> Array:
    """Return the outputs (N, C) on the device for checked examples x (N, *input_shape)."""
    outputs = network.backend.zeros((x.shape[0], network.outputs))
    for start, stop, batch in load_batches(network, x, batch_size):
        network.forward(batch, out=outputs[start:stop, ...])
    return outputs
