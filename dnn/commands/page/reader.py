"""What the network makes of one picture: its answer, its hidden layers, and the pixels that it goes by.

z (B, C) stands for the last layer's outputs before their activation, k for a layer with weights.
"""

from typing import Any, NamedTuple

import numpy as np

from backends import InputError
from dnn.datasets.digit_images import image_shape_of, load_digit_image
from dnn.layers import Layer
from dnn.sequential import Sequential
from dnn.training.evaluation import chunks
from dnn.validation.arrays import validate_examples

Host = np.ndarray[Any, Any]
Answer = dict[str, Any]
MAX_BATCH = 400  # of one batch in which each lacks a pixel
MAX_UNITS = 4096  # of a layer that are shown


class Forward(NamedTuple):
    """One pass forward, on the host in float64."""

    hidden: dict[str, Host]  # by layer with weights, but the last: what it passes on to the next, (B, ...)
    z: Host  # (B, C)
    outputs: Host  # (B, C)


def weighted(model: Sequential) -> list[Layer]:
    """The layers that multiply by a matrix."""
    return [x for x in model.layers if any(len(shape) > 1 for shape in x.parameter_shapes().values())]


def forward(model: Sequential, x: Host) -> Forward:
    """The pass forward of x (B, *input_shape), layer by layer."""

    def host(array: Any) -> Host:
        return np.array(model.backend.to_host(array), np.float64)

    validated = validate_examples(model.backend, "x", x, model.input_shape, model.layers[0].n_categories)
    ((_, _, h),) = chunks(model, validated, len(x))
    layers = weighted(model)
    hidden: dict[str, Host] = {}
    before = ""
    for layer in model.layers[model.n_folded :]:
        if layer in layers:
            if before:
                hidden[before] = host(h)
            before = layer.name
        z = host(layer.forward_logits(h, training=False)) if layer is model.layers[-1] else None
        h = layer.forward(h, training=False)
    assert z is not None
    return Forward(hidden, z, host(h))


class Reader:
    """Answers about pictures, of one model. It may be asked from several threads at once.

    Args:
        only_digits: refuse a drawing that is no digit, see ``dnn.datasets.no_digit``.
        deskew: set slanted digits upright.

    Raises InputError: the model does not take one grey image, or has one output only.
    """

    def __init__(self, model: Sequential, only_digits: bool, deskew: bool) -> None:
        self.model = model
        self.only_digits = only_digits
        self.deskew = deskew
        self.shape = image_shape_of(model.input_shape)
        if model.outputs < 2:
            raise InputError(f"the run's network has {model.outputs} output, expected one for each digit")

    def picture(self, content: bytes, only_digits: bool | None = None) -> Host:
        """(height, width) uint8 of a PNG's or JPEG's bytes, as the network takes it.
        Raises InputError: they are no picture, or it shows no digit.
        """
        only = self.only_digits if only_digits is None else only_digits
        return load_digit_image(content, self.shape, only, self.deskew)

    def forward(self, *pictures: Host) -> Forward:
        """Of pictures, each (height, width) uint8."""
        return forward(self.model, np.stack(pictures).reshape(-1, *self.model.input_shape))

    def answer(self, content: bytes) -> Answer:
        """The digit, every digit's output, the picture that the network sees, and its hidden layers."""
        picture = self.picture(content)
        made = self.forward(picture)
        hidden = [
            {"name": name, "units": h.size, "active": int(np.count_nonzero(h)),
             "values": _rounded(h.ravel()[:MAX_UNITS])}
            for name, h in made.hidden.items()
        ]  # fmt: skip
        return {
            "digit": int(made.outputs[0].argmax()), "outputs": _rounded(made.outputs[0], 6),
            "shape": self.shape, "picture": picture.ravel().tolist(), "hidden": hidden,
        }  # fmt: skip

    def pixels(self, content: bytes) -> Answer:
        """What each pixel adds to the lead of the answer over the digit that comes next.

        The lead is z_a - z_b for the two largest outputs a and b; a pixel's part is what is lost of it when
        this pixel alone is made blank. Parts do not add up to the lead: the network is not linear.
        """
        picture = self.picture(content)
        (z,) = self.forward(picture).z
        second, first = np.argsort(z, kind="stable")[-2:]
        parts = np.zeros(picture.size)
        ink = np.flatnonzero(picture)
        for some in np.array_split(ink, -(-len(ink) // MAX_BATCH)):
            without = np.repeat(picture.reshape(1, -1), len(some), axis=0)
            without[np.arange(len(some)), some] = 0
            lead = self.forward(*without).z[:, [first, second]] @ [1.0, -1.0]
            parts[some] = z[first] - z[second] - lead
        return {"for": int(first), "against": int(second), "shape": self.shape, "parts": _rounded(parts, 5)}


def _rounded(values: Host, digits: int = 3) -> list[float]:
    """For JSON. Raises InputError: it has no NaN and no infinity."""
    if not np.isfinite(values).all():
        raise InputError("the network's outputs are no finite numbers, expected a run that did not diverge")
    rounded: list[float] = np.round(values, digits).tolist()
    return rounded
