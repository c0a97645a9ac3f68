"""The table that ``Sequential.summary`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnn.model import Sequential


def summary_lines(model: Sequential) -> Iterator[str]:
    """A head, a line a layer, and the total."""
    rows = [("layer", "output shape", "parameters")]
    for layer in model.layers:
        label = f"{layer.name} ({type(layer).__name__}, {layer.activation})"
        count = sum(prod(shape) for shape in layer.parameter_shapes().values())
        rows.append((label, str(("batch", *layer.output_shape)), f"{count:,}"))
    rows.append(("total", "", f"{model.parameters.count:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        yield f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}"
