"""The network's view of one picture: prediction, hidden layers, and each pixel's contribution.

z (B, C) is the last layer's output before its activation.
"""

from typing import Any, NamedTuple

import numpy as np

from dnn.commands.pictures import read_picture
from dnn.datasets.digits import image_shape_of
from dnn.inputs.arrays import check_examples
from dnn.layers import Layer
from dnn.sequential import Sequential
from dnn.training.evaluation import load_batches
from dnn.typing import Json

HostArray = np.ndarray[Any, Any]
MAX_BATCH = 400  # pictures per batch in ``Reader.pixels``
MAX_UNITS = 4096  # units shown per layer


class Forward(NamedTuple):
    """The arrays of one forward pass, on the host in float64."""

    # Layer -> its activations (B, ...), the input of the next layer with weights.
    hidden: dict[str, HostArray]
    z: HostArray  # (B, C)
    outputs: HostArray  # (B, C)


def layers_with_weights(model: Sequential) -> list[Layer]:
    """Return the layers that multiply by a matrix."""
    return [x for x in model.layers if any(len(shape) > 1 for shape in x.parameter_shapes().values())]


def forward(model: Sequential, x: HostArray) -> Forward:
    """Run x (B, *input_shape) forward, layer by layer."""

    def host(array: Any) -> HostArray:
        return np.array(model.backend.to_host(array), np.float64)

    checked = check_examples(model.backend, "x", x, model.input_shape, model.layers[0].n_categories)
    ((_, _, h),) = load_batches(model, checked, len(x))
    layers = layers_with_weights(model)
    hidden: dict[str, HostArray] = {}
    before = ""
    for layer in model.called_layers:
        if layer in layers:
            if before:
                hidden[before] = host(h)
            before = layer.name
        h = layer.forward(h, training=False)
    return Forward(hidden, host(h), host(model.activate(h)))


class Reader:
    """Predictions of one model for pictures. It may be used from several threads at once.

    Args:
        only_digits: reject pictures that show no digit, see ``dnn.datasets.digits.no_digit``.
        names: of the classes of own pictures; (): digits.
    Raises InputError: the model's input is not one image.
    """

    def __init__(self, model: Sequential, only_digits: bool, names: tuple[str, ...] = ()) -> None:
        self.model = model
        self.only_digits = only_digits
        self.names = names
        self.shape = model.input_shape if names else image_shape_of(model.input_shape)

    def picture(self, content: bytes) -> HostArray:
        """Return the network's input, uint8 of ``shape``, for the bytes of a PNG or JPEG.

        Raises InputError: not a picture, or it shows no digit.
        """
        return read_picture(content, self.model, self.names, self.only_digits)

    def forward(self, *pictures: HostArray) -> Forward:
        """Run pictures forward, each uint8 of ``shape``."""
        return forward(self.model, np.stack(pictures).reshape(-1, *self.model.input_shape))

    def answer(self, content: bytes) -> Json:
        """Return the predicted digit, all outputs, the network's input and its hidden layers."""
        picture = self.picture(content)
        result = self.forward(picture)
        hidden = [
            {"name": name, "units": h.size, "active": int(np.count_nonzero(h)),
             "values": h.ravel()[:MAX_UNITS].tolist()}
            for name, h in result.hidden.items()
        ]  # fmt: skip
        return {
            "digit": int(result.outputs[0].argmax()), "outputs": result.outputs[0].tolist(),
            "shape": self.shape, "picture": picture.ravel().tolist(), "hidden": hidden,
        }  # fmt: skip

    def pixels(self, content: bytes) -> Json:
        """Return each pixel's contribution to the lead of the predicted digit over the second.

        The lead is z_a - z_b for the two largest outputs a and b. A pixel's contribution is the decrease of
        the lead when this pixel alone is set to 0. The network is not linear, so the contributions do not
        add up to the lead.
        """
        picture = self.picture(content)
        (z,) = self.forward(picture).z
        second, first = np.argsort(z, kind="stable")[-2:]
        parts = np.zeros(picture.size)
        ink = np.flatnonzero(picture)
        for pixels in np.array_split(ink, -(-len(ink) // MAX_BATCH)):
            without = np.repeat(picture.reshape(1, -1), len(pixels), axis=0)
            without[np.arange(len(pixels)), pixels] = 0
            lead = self.forward(*without).z[:, [first, second]] @ [1.0, -1.0]
            parts[pixels] = z[first] - z[second] - lead
        return {"for": int(first), "against": int(second), "shape": self.shape, "parts": parts.tolist()}
