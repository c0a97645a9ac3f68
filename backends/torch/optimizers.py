"""PyTorch's optimizer steps and clipping: torch.optim's fused calls, else in place, without host reads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import torch

from backends.dispatch import FLOATS, Override
from backends.reference import FLUSH_EVERY, MOMENT_FLOOR, NORM_FLOOR

Array = Any  # torch.Tensor


def clip_norm(xp: Any, g: Array, limit: float) -> None:
    norm = torch.dot(g, g).sqrt_()
    g.mul_(norm.add_(NORM_FLOOR).reciprocal_().mul_(limit).clamp_(max=1.0))  # NaN stays in clamp


def clip_value(xp: Any, g: Array, limit: float) -> None:
    g.clamp_(-limit, limit)


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    if l2 != 0.0:
        g.add_(w, alpha=2.0 * l2)
    if l1 != 0.0:
        g.add_(torch.sign(w).masked_fill_(w.isnan(), torch.nan), alpha=l1)  # torch's sign(NaN) is 0


def _flush(control: Array, *moments: Array) -> None:
    if (
        control.device.type != "cpu"
    ):  # no host read there: look at every update, and keep all unless one is due
        due = control[3:4].remainder(FLUSH_EVERY) == 0
        for moment in moments:
            torch.where(due, torch.hardshrink(moment, MOMENT_FLOOR), moment, out=moment)
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


@lru_cache(maxsize=32)
def _advance(beta1: float, beta2: float, dtype: torch.dtype, device: torch.device) -> tuple[Array, Array]:
    """(factors, summands) that take the control array from one update to the next in one call."""
    factors, summands = (1.0, beta1, beta2, 1.0), (0.0, 1.0 - beta1, 1.0 - beta2, 1.0)
    return tuple(torch.tensor(row, dtype=dtype, device=device) for row in (factors, summands))


def _fused_adam(
    fused: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    factors, summands = _advance(beta1, beta2, control.dtype, control.device)
    torch.addcmul(summands, factors, control, out=control)
    fused(
        [p],
        [g.contiguous()],  # the call takes all strides for those of p
        [m],
        [v],
        [],
        [control[3]],
        lr=control[0],
        beta1=beta1,
        beta2=beta2,
        weight_decay=weight_decay,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )
    _flush(control, m, v)


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
    _fused_adam(torch._fused_adam_, p, g, m, v, control, beta1, beta2, epsilon, 0.0)


def adamw(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    _fused_adam(torch._fused_adamw_, p, g, m, v, control, beta1, beta2, epsilon, weight_decay)


def adagrad(xp: Any, p: Array, g: Array, total: Array, control: Array, epsilon: float) -> None:
    control[3:4].add_(1.0)
    total.addcmul_(g, g)
    _flush(control, total)
    root = torch.sqrt(total).add_(epsilon)
    p.addcmul_(torch.div(g, root, out=root), control[0:1], value=-1.0)


def adagrad_fused(xp: Any, p: Array, g: Array, total: Array, control: Array, epsilon: float) -> None:
    control[3:4].add_(1.0)
    torch._fused_adagrad_(
        [p],
        [g.contiguous()],
        [total],
        [control[3]],
        lr=control[0],
        lr_decay=0.0,
        weight_decay=0.0,
        eps=epsilon,
        maximize=False,
    )
    _flush(control, total)


def rmsprop(
    xp: Any,
    p: Array,
    g: Array,
    v: Array,
    velocity: Array,
    control: Array,
    decay: float,
    epsilon: float,
    momentum: float,
) -> None:
    control[3:4].add_(1.0)
    v.mul_(decay).addcmul_(g, g, value=1.0 - decay)
    _flush(control, v)
    root = torch.sqrt(v).add_(epsilon)
    step = torch.div(g, root, out=root)
    if momentum != 0.0:
        step = velocity.mul_(momentum).add_(step)
        _flush(control, velocity)
    p.addcmul_(step, control[0:1], value=-1.0)


def optimizer_overrides(device: str) -> Mapping[str, Override]:
    """What holds on this type of device. The fused calls are private: torch releases without them, and
    devices where they were never tried, go without."""
    found = {
        "penalty": Override(penalty),
        "clip_norm": Override(clip_norm),
        "clip_value": Override(clip_value),
        "sgd": Override(sgd),
        "adagrad": Override(adagrad),
        "rmsprop": Override(rmsprop),
    }
    # On CUDA they read the rate and the step count as float32, whatever the parameters are.
    fused_dtypes = {"cpu": FLOATS, "cuda": ("float32",)}.get(device, ())
    for name, function in (("adam", adam), ("adamw", adamw)):
        if hasattr(torch, f"_fused_{name}_"):
            found[name] = Override(function, fused_dtypes)
    if device == "cpu" and hasattr(torch, "_fused_adagrad_"):
        found["adagrad"] = Override(adagrad_fused)
    return MappingProxyType(found)
