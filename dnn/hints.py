"""What ``compile``, ``fit`` and ``summary`` tell the user besides their results."""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from math import prod
from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.inputs.rows import Rows
from dnn.io.notices import warn
from dnn.io.tables import format_columns
from dnn.layers import Layer
from dnn.layers.dense import Affine
from dnn.layers.windows import Windows
from dnn.losses import Regression
from dnn.network import Network
from dnn.optimizers import OPTIMIZERS, Optimizer

MAX_USUAL = 100.0  # size of a target
MAX_SCALED = 250.0  # largest number in scaled examples; pixels that are not scaled go up to 255


def takes_optimizer_first(compile: Callable[..., None]) -> Callable[..., None]:
    """Decorate ``compile``: an optimizer as first argument comes before the loss, as in Keras."""

    @wraps(compile)
    def sort_and_call(model: Any, /, *arguments: Any, **named: Any) -> None:
        first, *rest = arguments or (None,)
        is_name = isinstance(first, str) and (first in OPTIMIZERS or "loss" in named)
        if isinstance(first, Optimizer) or is_name:
            arguments = (*rest[:1], first, *rest[1:]) if rest else ()
            named = named if rest else dict(optimizer=first, **named)
        compile(model, *arguments, **named)

    return sort_and_call


def warn_of_logits(network: Network) -> None:
    """Warn if the loss contains an activation that the last layer lacks."""
    loss = network.objective
    if loss.activation and network.layers[-1].activation == "linear":
        cure = f"end it with {loss.activation!r} for probabilities (from_torch has output_activation=)"
        warn(f"the last layer is linear, so predict returns logits of the loss {loss.name!r}; {cure}")


def warn_of_slow_learning(network: Network, x: Any, y: Any, updates: int) -> None:
    """Warn of what makes a new network learn slowly: large values, targets it cannot return, a rate of 0."""
    if network.epochs_done:
        return
    xp = network.backend.xp
    first = next((layer for layer in network.layers if layer.parameter_shapes()), None)
    is_unscaled = isinstance(first, Affine) and network.scale == 1.0 and not isinstance(x, Rows)
    if is_unscaled and float(xp.max(x)) > MAX_SCALED:
        warn(
            f"x holds values above {MAX_SCALED:g}, with which a network learns badly; begin with "
            "Rescaling(1 / 255) for pixels, a StandardScaler in a pipeline of scikit-learn, or with "
            "BatchNormalization() for a table"
        )
    if isinstance(network.loss, Regression) and y.ndim == 2:
        low, high = float(xp.min(y)), float(xp.max(y))
        last = network.layers[-1].activation
        z = np.linspace(-MAX_USUAL, MAX_USUAL, 2001)
        outputs = ACTIVATIONS[last].forward(np, np.stack([z, -z], axis=1)).round(3)
        bottom, top = outputs.min(), outputs.max()
        if low < bottom or high > top:
            change = "" if last == "linear" else "end in 'linear', and "
            warn(
                f"y holds values from {low:.3g} to {high:.3g}, but a network that ends in {last!r} learns "
                f"well only values from {bottom:g} to {top:g}; {change}with a new model train on "
                "(y - y.mean()) / y.std(), validate alike, and scale predictions back"
            )
    rates = network.optimizer_state.rates
    if rates[min(updates, rates.shape[0]) - 1] == 0:
        warn(
            f"the learning rate is 0 before the last of {updates} updates; give a rate above 0, or a "
            f"schedule with steps={updates}"
        )


def warn_of_channels_first(network: Network) -> None:
    """Warn if the images seem to be (C, H, W), as in PyTorch; windows move along the first two axes."""
    shape = network.input_shape
    if len(shape) != 3 or not any(
        isinstance(layer, Windows) and layer.input_shape == shape for layer in network.layers
    ):
        return
    channels, height, width = shape
    if min(height, width) > 7 and (channels == 3 or (channels == 1 and height == width)):
        got = f"input_shape {shape} means {channels} x {height} pixels with {width} channels"
        cure = f"write input_shape={(height, width, channels)} and use x.transpose(0, 2, 3, 1)"
        warn(f"{got}; if channels come first, {cure}")


def print_summary(network: Network, print_fn: Callable[[str], object]) -> None:
    """Print a table of the layers with output shapes and parameter counts, and totals."""
    rows = [("layer", "output shape", "parameters"), *_rows(network.layers)]
    rows.append(("total", "", f"{network.parameters.count:,}"))
    for line in format_columns(rows, left=2).splitlines():
        print_fn(line)


def _rows(layers: Sequence[Layer], indent: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield name, output shape and parameter count of each layer; the layers of a container are indented."""
    for layer in layers:
        name = type(layer).__name__
        label = name if layer.activation == "linear" else f"{name}, {layer.activation}"
        count = sum(prod(shape) for shape in layer.parameter_shapes().values())
        yield f"{indent}{layer.name} ({label})", str(("batch", *layer.output_shape)), f"{count:,}"
        yield from _rows(layer.inner, indent + "  ")
