"""torch overrides for dense networks: fused calls that write into existing tensors.

The backward functions make the calls that autograd makes. On the CPU the products are MKL's, since they write
into existing tensors; oneDNN fuses bias and activation, but allocates its result.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from backends.cupy import sources
from backends.dispatch import by_kind, override
from backends.reference import random as reference_random
from backends.reference.activations import LEAKY_SLOPE, SATURATION_BOUND
from backends.reference.signatures import Arrays

Array = Any  # torch.Tensor
aten = torch.ops.aten


_FORWARD: dict[str, Callable[..., Any]] = {
    "linear": lambda z, y: None if y is z else y.copy_(z),
    "sigmoid": lambda z, y: torch.sigmoid(z, out=y),
    "tanh": lambda z, y: torch.tanh(z, out=y),
    "relu": lambda z, y: torch.clamp_min(z, 0.0, out=y),
    "leaky_relu": lambda z, y: aten.leaky_relu.out(z, LEAKY_SLOPE, out=y),
    "elu": lambda z, y: aten.elu.out(z, out=y),
    # Outside of this bound torch's calls give NaN: -inf times 0, and z z overflows.
    "gelu": lambda z, y: aten.gelu.out(z.clamp_min(-SATURATION_BOUND), approximate="tanh", out=y),
}
_BACKWARD: dict[str, Callable[..., Any]] = {
    "linear": lambda dy, z, y, dz: None if dz is dy else dz.copy_(dy),
    "sigmoid": lambda dy, z, y, dz: aten.sigmoid_backward.grad_input(dy, y, grad_input=dz),
    "tanh": lambda dy, z, y, dz: aten.tanh_backward.grad_input(dy, y, grad_input=dz),
    "relu": lambda dy, z, y, dz: aten.threshold_backward.grad_input(dy, z, 0.0, grad_input=dz),
    "leaky_relu": lambda dy, z, y, dz: aten.leaky_relu_backward.grad_input(
        dy, z, LEAKY_SLOPE, False, grad_input=dz
    ),
    # Not elu_backward: it returns dy for NaN.
    "elu": lambda dy, z, y, dz: torch.mul(dy, torch.clamp_max(y, 0.0).add_(1.0), out=dz),
    "gelu": lambda dy, z, y, dz: aten.gelu_backward.grad_input(
        dy, z.clamp(-SATURATION_BOUND, SATURATION_BOUND), approximate="tanh", grad_input=dz
    ),
}
ACTIVATIONS = by_kind("activation", _FORWARD), by_kind("activation_backward", _BACKWARD)


def scatter_rows(xp: Any, rows: Array, index: Array, out: Array) -> None:
    out.zero_().index_add_(0, index, rows)


@override(kinds=_FORWARD)
def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    torch.addmm(b, x, W, out=y)
    _FORWARD[kind](y, y)


@override(kinds=_BACKWARD)
def dense_backward(
    xp: Any, kind: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
) -> None:
    dW, db, dx = gradients
    _BACKWARD[kind](dy, y, y, dz)
    torch.mm(x.T, dz, out=dW)
    torch.sum(dz, 0, out=db)
    if dx is not None:
        torch.mm(dz, W.T, out=dx)


@override(devices=("cpu",))
def threefry(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    """Use NumPy in the memory of the tensors: a fourth of the time for large batches."""
    reference_random.threefry(np, key, high.numpy(), low.numpy(), out.numpy())


@cache
def _compiled_threefry() -> Any:
    """Compile the generator: a function of (high, low, key0=, key1=) in one launch; the reference has 190."""
    return torch.cuda.jiterator._create_jit_fn(sources.function("threefry"), key0=0, key1=0)


def compiles_threefry() -> bool:
    """Whether torch's private jiterator can compile the generator and gives correct numbers."""
    key = (0x13198A2E, 0xFFFFFFFF)
    words = torch.tensor([0, 1, 0xFFFFFFFF])
    expected = torch.zeros_like(words)
    reference_random.threefry(torch, key, words[2:], words, expected)
    try:
        found = torch.zeros_like(words, device="cuda")
        threefry_compiled(torch, key, words[2:].cuda(), words.cuda(), found)
        return bool(torch.equal(found.cpu(), expected))
    except Exception:  # torch, CUDA and the compiler raise many types
        return False


@override("threefry", devices=("cuda",), available=compiles_threefry)
def threefry_compiled(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    out.copy_(_compiled_threefry()(high, low, key0=key[0], key1=key[1]))
