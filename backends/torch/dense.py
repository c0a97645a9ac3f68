"""torch's kernels of dense networks: fused calls that write into existing tensors.

The backward functions make the calls that autograd makes.
"""

from typing import Any

import torch

from backends.reference import Kernels
from backends.reference.activations import SATURATION_BOUND
from backends.reference.dense import require_from_output
from backends.reference.signatures import Arrays

Array = Any  # torch.Tensor
aten = torch.ops.aten


class TorchDense(Kernels):
    """Dense layers, activations and the sum of rows by index."""

    def scatter_rows(self, rows: Array, index: Array, out: Array) -> None:
        out.zero_().index_add_(0, index, rows)

    def activation(self, name: str, z: Array, y: Array) -> None:
        if name == "sigmoid":
            torch.sigmoid(z, out=y)
        elif name == "relu":
            torch.clamp_min(z, 0.0, out=y)
        elif name == "gelu":  # outside of this bound torch's calls give NaN: -inf times 0, and z z overflows
            aten.gelu.out(z.clamp_min(-SATURATION_BOUND), approximate="tanh", out=y)
        else:
            super().activation(name, z, y)

    def activation_backward(self, name: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
        if name == "sigmoid":
            aten.sigmoid_backward.grad_input(dy, y, grad_input=dz)
        elif name == "relu":
            aten.threshold_backward.grad_input(dy, z, 0.0, grad_input=dz)
        elif name == "gelu":
            z = z.clamp(-SATURATION_BOUND, SATURATION_BOUND)
            aten.gelu_backward.grad_input(dy, z, approximate="tanh", grad_input=dz)
        else:
            super().activation_backward(name, dy, z, y, dz)

    def dense(self, activation: str, x: Array, W: Array, b: Array, y: Array) -> None:
        require_from_output(activation)
        torch.addmm(b, x, W, out=y)
        self.activation(activation, y, y)

    def dense_backward(
        self, activation: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
    ) -> None:
        require_from_output(activation)
        dW, db, dx = gradients
        self.activation_backward(activation, dy, y, y, dz)
        torch.mm(x.T, dz, out=dW)
        torch.sum(dz, 0, out=db)
        if dx is not None:
            torch.mm(dz, W.T, out=dx)
