"""Channels first: the images of plain torch.nn modules are (B, C, H, W), ours are (B, H, W, C).

Only the weights after a Flatten depend on this, because Flatten then returns the numbers in another order.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from dnn.interop import NoTwin
from dnn.interop.torch.twins import LayerTwin
from dnn.layers import Dense, Flatten, Layer, Reshape
from dnn.typing import Shape

Order = np.ndarray | None  # torch's position of each of our features; None: the same position


def flat_order(shape: Shape) -> Order:
    """Return torch's position of each number of our flattened images; None: the same position.

    >>> flat_order((1, 2, 2))
    array([0, 2, 1, 3])
    """
    positions = np.arange(prod(shape)).reshape(*shape[-1:], *shape[:-1])
    order = np.moveaxis(positions, 0, -1).ravel()
    return None if np.all(np.diff(order) == 1) else order


@dataclass
class Layout:
    """Order of the features in a network, followed from layer to layer.

    Attributes:
        is_first: whether torch's images have channels first.
        order: torch's position of each feature of our vector; None: the same position.
    """

    is_first: bool = False
    order: Order = None

    def of_torch(self, shape: Shape) -> Shape:
        """Return torch's shape of our examples."""
        return (*shape[-1:], *shape[:-1]) if self.is_first else shape

    def of_ours(self, shape: Shape) -> Shape:
        """Return our shape of torch's examples."""
        return (*shape[1:], *shape[:1]) if self.is_first else shape

    def pass_layer(self, layer: Layer, twin: LayerTwin, label: str) -> Order:
        """Follow a layer with known shapes; return the order before it, which its parameters have.

        Raises NoTwin: torch's module would group other numbers than our layer does.
        """
        before = self.order
        shape = layer.input_shape
        is_vector = len(shape) == 1
        if not self.is_first or twin.acts_on in ("elements", "channels"):
            return before
        if twin.acts_on == "features" and is_vector:
            self.order = None if isinstance(layer, Dense) else before
            return before
        if isinstance(layer, Flatten):
            self.order = before if is_vector else flat_order(shape)
            return None
        is_kept = len(layer.output_shape) == 1 or (
            type(layer) is Reshape and flat_order(layer.output_shape) is None
        )
        if is_vector and before is None and is_kept:
            return None
        expected = "vectors, from a Flatten" if twin.acts_on == "features" else "a layer with a known layout"
        if type(layer) is Reshape:
            expected = "images of one channel or one pixel, since other orders of the numbers have no twin"
        raise NoTwin(f"{label} for channels first, on examples of shape {self.of_torch(shape)}", expected)

    def merge(self, branches: "list[Layout]", label: str) -> None:
        """Continue after parallel branches. Raises NoTwin: a branch ends with flattened images."""
        if any(branch.order is not None for branch in branches):
            raise NoTwin(label, "branches with the same order of features; put a Linear after each Flatten")
        self.order = None

    def finish(self) -> None:
        """Raise NoTwin if the outputs are in different orders."""
        if self.order is not None:
            got = "the network returns flattened images, with channels first in torch and last here"
            raise NoTwin(got, "a Linear after Flatten, or AdaptiveAvgPool2d(1) before it")


def rows_in(order: Order, short: str) -> Any:
    """Return the index that puts the rows of torch's parameter in our order. A bias "b" stays as it is."""
    return slice(None) if order is None or short == "b" else order
