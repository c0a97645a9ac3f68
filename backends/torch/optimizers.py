"""torch overrides for optimizers: torch.optim's fused Adam, else in-place calls; no reads from the device."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from backends.dispatch import FLOAT_DTYPES, Override
from backends.reference.control import RATE, UPDATES
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR, advance_adam_control
from backends.reference.signatures import Arrays, Numbers

Array = Any  # torch.Tensor


def _flush(control: Array, *moments: Array) -> None:
    """Set small moments to 0 on the CPU. On a GPU this would be six launches for no gain."""
    if control.device.type == "cpu" and int(control[UPDATES]) % FLUSH_EVERY == 0:
        for moment in moments:
            torch.hardshrink(moment, MOMENT_FLOOR, out=moment)


def sgd(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (velocity,) = slots
    momentum, nesterov = settings
    control[UPDATES].add_(1.0)
    rate = control[RATE]
    if momentum == 0.0:
        p.addcmul_(g, rate, value=-1.0)
        return
    velocity.mul_(momentum).add_(g)
    _flush(control, velocity)
    p.addcmul_(torch.add(g, velocity, alpha=momentum) if nesterov else velocity, rate, value=-1.0)


def _fused_step_check(name: str) -> Callable[[], bool]:
    """Return a function that says whether this torch has the private fused step of an optimizer."""
    return lambda: hasattr(torch, f"_fused_{name}_")


def adam_step(
    name: str, xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers
) -> None:
    """One step of "adam" or "adamw" with torch's fused call; AMSGrad if there is a third slot.

    On CUDA the call reads rate and step count as float32, whatever the dtype of p.
    """
    beta1, beta2, epsilon, weight_decay = (*settings, 0.0)[:4]
    advance_adam_control(control, beta1, beta2)
    amsgrad = len(slots) == 3
    states = [[slot] for slot in slots] if amsgrad else [*([slot] for slot in slots), []]
    # contiguous(): the call assumes that all strides are those of p.
    getattr(torch, f"_fused_{name}_")(
        [p], [g.contiguous()], *states, [control[UPDATES][0]], lr=control[RATE][0], beta1=beta1, beta2=beta2,
        weight_decay=weight_decay, eps=epsilon, amsgrad=amsgrad, maximize=False,
    )  # fmt: skip
    _flush(control, *slots)


def _adam_overrides(name: str) -> Iterator[Override]:
    for kernel in (name, f"{name}_amsgrad"):
        for device, dtypes in (("cpu", FLOAT_DTYPES), ("cuda", ("float32",))):
            step = partial(adam_step, name)
            yield Override(kernel, step, dtypes, devices=(device,), available=_fused_step_check(name))


STEPS = (*_adam_overrides("adam"), *_adam_overrides("adamw"))


def adagrad(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (total,) = slots
    (epsilon,) = settings
    control[UPDATES].add_(1.0)
    total.addcmul_(g, g)
    _flush(control, total)
    root = torch.sqrt(total).add_(epsilon)
    p.addcmul_(torch.div(g, root, out=root), control[RATE], value=-1.0)


def rmsprop(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    v, velocity = slots
    decay, epsilon, momentum = settings
    control[UPDATES].add_(1.0)
    v.mul_(decay).addcmul_(g, g, value=1.0 - decay)
    _flush(control, v)
    root = torch.sqrt(v).add_(epsilon)
    step = torch.div(g, root, out=root)
    if momentum != 0.0:
        step = velocity.mul_(momentum).add_(step)
        _flush(control, velocity)
    p.addcmul_(step, control[RATE], value=-1.0)
