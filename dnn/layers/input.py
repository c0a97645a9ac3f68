"""Input: the shape of one example, as the first entry of a model's layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backends import InputError
from dnn.validation.settings import Checked, assign, positive_integer, require, require_list


@dataclass(frozen=True)
class Input(Checked):
    """Shape of one example, as the first entry of a model's layers: ``Sequential([Input((784,)), ...])``.

    >>> Input((28, 28, 1))
    Input(shape=(28, 28, 1))
    """

    shape: Sequence[int]
    name: str | None = field(default=None, repr=False)  # Keras has it; it has no effect

    def __post_init__(self) -> None:
        require_list("shape", self.shape)
        assign(self, shape=tuple(positive_integer("shape", n) for n in self.shape))


def split_input(layers: Any, shape: Any) -> tuple[Any, Any]:
    """Return the layers without a first ``Input``, and the input shape."""
    if isinstance(layers, (list, tuple)) and layers and isinstance(layers[0], Input):
        require(shape is None, "input_shape", shape, "no other shape beside Input")
        return layers[1:], layers[0].shape
    expected = "Sequential([Input((784,)), ...]), or input_shape=(784,)"
    if shape is None:
        raise InputError("a model has no input shape", expected, "give all layers in the list")
    return layers, shape
