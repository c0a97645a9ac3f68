"""Conversion to and from other libraries: torch.nn, ONNX and scikit-learn."""

from backends import InputError


class NoTwin(InputError):
    """A layer, activation, module, loss or optimizer has no counterpart in the other library."""
