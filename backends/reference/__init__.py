"""The reference kernels in standard array API. They define the correct results.

These are exactly the functions that a backend may override. A kernel's first argument is the array namespace
``xp``. It reads some arrays, writes others *in place* and returns nothing. Its declaration and its docstring
say which arrays it writes; it leaves the others unchanged. A kernel with a *kind* (an activation, a form of
targets) has it as the second argument and is bound once per kind.

Symbols: B batch size, n_in and n_out widths, x input, W and b weights and bias, z = x W + b, y output,
dy the gradient of the loss with respect to y. relu'(0) = 0. NaN in the inputs gives NaN in the outputs.
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
