"""Activations and the dense layer in torch: fused calls that write into the tensors that are there.

The backward calls are the ones that autograd uses underneath. On the CPU in float32 the products are
oneDNN's, which are faster than MKL's here and take bias and activation into the same pass.
"""

from __future__ import annotations

from typing import Any

import torch

from backends.reference.activations import LEAK

Array = Any  # torch.Tensor
aten = torch.ops.aten

SOFTPLUS_LINEAR = 40.0
"""Above it log(1 + e^z) is z in float64 too; at 20, torch's own choice, 2e-9 would be missing."""

_FORWARD = {
    "linear": lambda z, y: None if y is z else y.copy_(z),
    "sigmoid": lambda z, y: torch.sigmoid(z, out=y),
    "tanh": lambda z, y: torch.tanh(z, out=y),
    "relu": lambda z, y: torch.clamp_min(z, 0.0, out=y),
    "softmax": lambda z, y: torch.softmax(z, -1, out=y),
    "leaky_relu": lambda z, y: aten.leaky_relu.out(z, LEAK, out=y),
    "elu": lambda z, y: aten.elu.out(z, out=y),
    "gelu": lambda z, y: aten.gelu.out(z, approximate="tanh", out=y),
    "softplus": lambda z, y: aten.softplus.out(z, 1.0, SOFTPLUS_LINEAR, out=y),
}

_BACKWARD = {
    "linear": lambda dy, z, y, dz: None if dz is dy else dz.copy_(dy),
    "sigmoid": lambda dy, z, y, dz: aten.sigmoid_backward.grad_input(dy, y, grad_input=dz),
    "tanh": lambda dy, z, y, dz: aten.tanh_backward.grad_input(dy, y, grad_input=dz),
    "relu": lambda dy, z, y, dz: aten.threshold_backward.grad_input(dy, z, 0.0, grad_input=dz),
    "softmax": lambda dy, z, y, dz: aten._softmax_backward_data.out(dy, y, -1, y.dtype, grad_input=dz),
    "leaky_relu": lambda dy, z, y, dz: aten.leaky_relu_backward.grad_input(dy, z, LEAK, False, grad_input=dz),
    # Not elu_backward, in which NaN would become dy.
    "elu": lambda dy, z, y, dz: torch.mul(dy, torch.clamp_max(y, 0.0).add_(1.0), out=dz),
    "gelu": lambda dy, z, y, dz: aten.gelu_backward.grad_input(dy, z, approximate="tanh", grad_input=dz),
    "softplus": lambda dy, z, y, dz: aten.softplus_backward.grad_input(
        dy, z, 1.0, SOFTPLUS_LINEAR, grad_input=dz
    ),
}


def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    _FORWARD[kind](z, y)


def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    _BACKWARD[kind](dy, z, y, dz)


def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    torch.addmm(b, x, W, out=y)
    _FORWARD[kind](y, y)


# What oneDNN computes in the same pass as the product. Its relu would turn NaN into 0. Its sigmoid gives 0
# where the result is below 2e-38, next to the smallest normal number.
_EPILOGUES = {"linear": "none", "sigmoid": "sigmoid", "tanh": "tanh"}


def onednn_linear(x: Array, W: Array, b: Array | None, epilogue: str) -> Array:
    """f(x W + b) in new memory; a private call, which torch.compile makes too."""
    return torch.ops.mkldnn._linear_pointwise(x, W.T, b, epilogue, [], "")


def dense_onednn(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    epilogue = _EPILOGUES.get(kind)
    y.copy_(onednn_linear(x, W, b, epilogue or "none"))
    if epilogue is None:
        _FORWARD[kind](y, y)


def dense_backward(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    _BACKWARD[kind](dy, y, y, dz)
    _weight_gradients(x, dz, dW, db)
    if dx is not None:
        torch.mm(dz, W.T, out=dx)


NARROW = 32
"""Up to so many columns MKL's x^T dz is slower than its dz^T x and a copy."""


def _weight_gradients(x: Array, dz: Array, dW: Array, db: Array) -> None:
    if dz.shape[1] > NARROW or dW.device.type != "cpu":
        torch.mm(x.T, dz, out=dW)
    else:
        dW.copy_(torch.mm(dz.T, x).T)
    torch.sum(dz, 0, out=db)


def dense_backward_onednn(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    _BACKWARD[kind](dy, y, y, dz)
    _weight_gradients(x, dz, dW, db)
    if dx is not None:
        dx.copy_(onednn_linear(dz, W.T, None, "none"))


def has_onednn() -> bool:
    """Whether this torch has the private call, with the arguments that are known here."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        one = torch.ones(1, 1)
        return float(onednn_linear(one, one, one[0], "none")) == 2.0
    except (AttributeError, RuntimeError, TypeError):
        return False
