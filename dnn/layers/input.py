"""Input: the shape of one example, as the first entry of a model's layers."""

from typing import Annotated, Any

from backends import InputError
from dnn.settings.base import Settings
from dnn.settings.checks import Lengths, or_none, positive_integers, require, require_text
from dnn.typing import Shape


class Input(Settings):
    """Shape of one example, as the first entry of a model's layers: ``Sequential([Input((784,)), ...])``.

    >>> Input((28, 28, 1))
    Input(shape=(28, 28, 1), name=None)
    """

    shape: Lengths
    name: Annotated[str | None, or_none(require_text)] = None  # Keras has it; it has no effect


def split_input(layers: Any, shape: Any) -> tuple[Any, Shape]:
    """Return the layers without a first ``Input``, and the input shape."""
    if isinstance(layers, (list, tuple)) and layers and isinstance(layers[0], Input):
        require(shape is None, "input_shape", shape, "no other shape beside Input")
        shape = layers[0].shape
        layers = layers[1:]
    expected = "Sequential([Input((784,)), ...]), or input_shape=(784,)"
    cure = "give all layers in the list; the layers of a part are a list without Sequential, added as *part"
    if shape is None:
        raise InputError("a model has no input shape", expected, cure)
    lengths = positive_integers("input_shape", shape)
    if not lengths:
        raise InputError("input_shape is empty", "at least one length, such as (784,)")
    return layers, lengths
