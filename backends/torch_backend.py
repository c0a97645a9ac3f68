"""PyTorch as an array library: CPU, CUDA or MPS tensors, no autograd, no torch.nn.

The kernels write into the tensors that are there (``out=``) and use torch's fused calls. The backward
calls and the fused Adam are the ones that autograd and torch.optim use underneath.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from backends.backend import Backend
from backends.dispatch import Override
from backends.errors import BackendUnavailable, InputError
from backends.reference import FLUSH_EVERY, MOMENT_FLOOR

Array = Any  # torch.Tensor
aten = torch.ops.aten


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if rows.dtype == out.dtype:
        torch.index_select(rows, 0, index, out=out)
        if scale != 1.0:
            out.mul_(scale)
    else:
        picked = torch.index_select(rows, 0, index)
        if scale == 1.0:
            out.copy_(picked)
        else:
            # Not torch.mul(picked, scale): of integers and a float it works in float32.
            out.copy_(picked).mul_(scale)


_FORWARD = {
    "linear": lambda z, y: None if y is z else y.copy_(z),
    "sigmoid": lambda z, y: torch.sigmoid(z, out=y),
    "tanh": lambda z, y: torch.tanh(z, out=y),
    "relu": lambda z, y: torch.clamp_min(z, 0.0, out=y),
    "softmax": lambda z, y: torch.softmax(z, -1, out=y),
}

_BACKWARD = {
    "linear": lambda dy, z, y, dz: None if dz is dy else dz.copy_(dy),
    "sigmoid": lambda dy, z, y, dz: aten.sigmoid_backward.grad_input(dy, y, grad_input=dz),
    "tanh": lambda dy, z, y, dz: aten.tanh_backward.grad_input(dy, y, grad_input=dz),
    "relu": lambda dy, z, y, dz: aten.threshold_backward.grad_input(dy, z, 0.0, grad_input=dz),
    "softmax": lambda dy, z, y, dz: aten._softmax_backward_data.out(dy, y, -1, y.dtype, grad_input=dz),
}


def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    _FORWARD[kind](z, y)


def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    _BACKWARD[kind](dy, z, y, dz)


def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, z: Array, y: Array) -> None:
    torch.addmm(b, x, W, out=z)
    _FORWARD[kind](z, y)


def dense_backward(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    z: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    _BACKWARD[kind](dy, z, y, dz)
    torch.mm(x.T, dz, out=dW)
    torch.sum(dz, 0, out=db)
    if dx is not None:
        torch.mm(dz, W.T, out=dx)


def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    batch = logits.shape[0]
    log_p = torch.log_softmax(logits, 1)
    column = targets[:, None]
    torch.neg(torch.gather(log_p, 1, column)[:, 0], out=losses)
    torch.exp(log_p, out=dlogits)
    dlogits.scatter_add_(1, column, dlogits.new_full((1, 1), -1.0).expand(batch, 1))
    dlogits.mul_(1.0 / batch)


def _flush(control: Array, *moments: Array) -> None:
    if control.is_cuda:  # no host read there: look at every update, and keep all unless one is due
        due = control[3:4].remainder(FLUSH_EVERY) == 0
        for moment in moments:
            moment.masked_fill_((moment.abs() < MOMENT_FLOOR) & due, 0.0)
    elif int(control[3]) % FLUSH_EVERY == 0:
        for moment in moments:
            torch.hardshrink(moment, MOMENT_FLOOR, out=moment)


def sgd(
    xp: Any, p: Array, g: Array, velocity: Array, control: Array, momentum: float, nesterov: bool
) -> None:
    control[3:4].add_(1.0)
    rate = control[0:1]
    if momentum == 0.0:
        p.addcmul_(g, rate, value=-1.0)
        return
    velocity.mul_(momentum).add_(g)
    _flush(control, velocity)
    if nesterov:
        p.addcmul_(torch.add(g, velocity, alpha=momentum), rate, value=-1.0)
    else:
        p.addcmul_(velocity, rate, value=-1.0)


def adam(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    c1, c2, step = control[1:2], control[2:3], control[3:4]
    c1.mul_(beta1).add_(1.0 - beta1)
    c2.mul_(beta2).add_(1.0 - beta2)
    step.add_(1.0)
    torch._fused_adam_(
        [p],
        [g.contiguous()],  # the call takes all strides for those of p
        [m],
        [v],
        [],
        [step],
        lr=control[0],
        beta1=beta1,
        beta2=beta2,
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )
    _flush(control, m, v)


@dataclass(frozen=True, eq=False)
class TorchBackend(Backend):
    """PyTorch tensors on one device."""

    OVERRIDES: ClassVar[Mapping[str, Override]] = {
        "gather_rows": Override(gather_rows),
        "activation": Override(activation),
        "activation_backward": Override(activation_backward),
        "dense": Override(dense),
        "dense_backward": Override(dense_backward),
        "softmax_cross_entropy": Override(softmax_cross_entropy, kinds=("integer",)),
        "sgd": Override(sgd),
        "adam": Override(adam),
    }

    def declared_overrides(self) -> Mapping[str, Override]:
        declared = dict(self.OVERRIDES)
        # A private call: torch releases without it, and devices where it was never tried, use the
        # reference.
        if not hasattr(torch, "_fused_adam_") or self.device.type not in ("cpu", "cuda"):
            del declared["adam"]
        return declared

    def from_host(self, array: np.ndarray, dtype: Any = None) -> Array:
        array = np.asarray(array)
        # torch takes neither negative strides nor, without a warning, read-only memory.
        if not array.flags.writeable or any(stride < 0 for stride in array.strides):
            array = array.copy()
        return torch.from_numpy(array).to(device=self.device, dtype=dtype)

    def to_host(self, array: Array) -> np.ndarray:
        host: np.ndarray = array.detach().cpu().numpy()
        return host

    def owns(self, array: Any) -> bool:
        return isinstance(array, torch.Tensor) and array.device == self.device

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def describe_library(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "tf32": torch.get_float32_matmul_precision() != "highest",
        }
        if self.device.type == "cuda":
            facts["device_name"] = torch.cuda.get_device_name(self.device)
            facts["cuda"] = torch.version.cuda
        return facts


def _warm_up() -> None:
    # oneMKL 2024.2 can pick a low-accuracy variant of a unary function when threads race on its first
    # call (pytorch#188792); one quiet call each settles the choice.
    for dtype in (torch.float32, torch.float64):
        x = torch.full((64,), 0.5, dtype=dtype)
        for function in (torch.exp, torch.log, torch.tanh, torch.sigmoid, torch.sqrt):
            function(x)


def make(device: Any, dtype: str, fused: bool) -> TorchBackend:
    """The factory that ``get_backend("torch")`` calls."""
    import array_api_compat.torch as xp

    try:
        place = torch.device("cpu" if device is None else device)
    except (RuntimeError, TypeError):
        raise InputError(
            f"device is {device!r}, expected 'cpu', 'cuda', 'cuda:N' or 'mps' for the backend 'torch'"
        ) from None
    if place.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            why = "this torch is a CPU build" if torch.version.cuda is None else "torch finds none"
            raise BackendUnavailable(
                f"backend 'torch' on {device!r} needs a CUDA device, but {why}; "
                f"use --device cpu, or install the NVIDIA driver and a CUDA build of torch"
            )
        index = torch.cuda.current_device() if place.index is None else place.index
        if index >= count:
            raise BackendUnavailable(
                f"backend 'torch' has {count} CUDA device(s), got {device!r}; expected cuda:0 to "
                f"cuda:{count - 1}"
            )
        place = torch.device("cuda", index)
        torch.set_float32_matmul_precision("highest")  # TF32 off, whatever was set before
        torch.backends.cudnn.allow_tf32 = False
    elif place.type == "mps":
        if not torch.backends.mps.is_available():
            raise BackendUnavailable("backend 'torch' on 'mps' needs Apple's Metal; use --device cpu")
        if dtype == "float64":
            raise InputError("dtype is 'float64', expected 'float32' on the device 'mps'")
        place = torch.device("mps", 0)
    elif place.type != "cpu":
        raise InputError(
            f"device is {device!r}, expected 'cpu', 'cuda', 'cuda:N' or 'mps' for the backend 'torch'"
        )
    elif re.fullmatch(r"cpu:[1-9]\d*", str(place)):
        raise InputError(f"device is {device!r}, expected 'cpu': there is one CPU device")
    else:
        place = torch.device("cpu")
    _warm_up()
    return TorchBackend("torch", xp, place, dtype, fused)
