"""The table that ``Sequential.summary`` prints."""

from collections.abc import Iterator, Sequence
from math import prod

from dnn.layers import Layer
from dnn.network import Network


def summary_lines(model: Network) -> Iterator[str]:
    """A head, a line a layer, the total, and how many numbers of state are not trained if there are any."""
    rows = [("layer", "output shape", "parameters"), *_rows(model.layers)]
    rows.append(("total", "", f"{model.parameters.count:,}"))
    untrained = sum(prod(array.shape) for array in model.parameters.state.values())
    if untrained:
        rows.append(("state, not trained", "", f"{untrained:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        yield f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}"


def _rows(layers: Sequence[Layer], indent: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, output shape and parameters of each layer; below a container those of its layers."""
    for layer in layers:
        name = type(layer).__name__
        label = name if layer.activation == "linear" else f"{name}, {layer.activation}"
        count = sum(prod(shape) for shape in layer.parameter_shapes().values())
        yield f"{indent}{layer.name} ({label})", str(("batch", *layer.output_shape)), f"{count:,}"
        yield from _rows(getattr(layer, "inner", ()), indent + "  ")
