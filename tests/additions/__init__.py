"""One example of each kind that CONTRIBUTING.md describes, as the text that its list of files asks for.

test_contributing.py adds them to a copy of the checkout.
"""

from additions.layer import LAYER
from additions.others import BACKEND, CALLBACK, KERNEL, OPTION
from additions.training import ACTIVATION, LOSS, OPTIMIZER

__all__ = ["BACKEND", "SECTIONS"]

SECTIONS = {
    "An activation": ACTIVATION,
    "A faster kernel": KERNEL,
    "A loss": LOSS,
    "An optimizer": OPTIMIZER,
    "A layer": LAYER,
    "A callback": CALLBACK,
    "A command-line option": OPTION,
}
"""Heading of CONTRIBUTING.md -> what its list of files asks for."""
