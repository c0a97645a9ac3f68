"""The kernels, each in standard array API: the definition of correct.

Everything that a backend may replace by something faster is here, and nothing else is. A kernel takes
the array namespace ``xp`` first, reads some arrays and writes others *in place*; it returns nothing.
Its declaration and its docstring say which are written; every other array is left as it was. A kernel with
a *kind* (an activation, a form of target) takes it second and is bound once for each kind.

Symbols: B batch size, n_in and n_out widths, x input, W and b weights and bias, z = x W + b, y output,
dy the gradient of the loss with respect to y. Derivatives at kinks: relu'(0) = 0. NaN passes through.
"""

from importlib import import_module

from backends.reference.activations import ACTIVATIONS, ActivationFunction
from backends.reference.declaration import Declaration, declarations, kernel
from backends.table import Table

_MODULES = (
    "gather", "activations", "dense_layer", "convolution", "pooling", "normalization", "random", "losses",
    "optimizers", "gradients", "warping",
)  # fmt: skip
_DECLARED = (d for name in _MODULES for d in declarations(import_module(f"{__name__}.{name}")))

KERNELS: Table[Declaration] = Table("kernel", {declared.name: declared for declared in _DECLARED})
"""Every kernel by name."""

__all__ = ["ACTIVATIONS", "KERNELS", "ActivationFunction", "Declaration", "declarations", "kernel"]
