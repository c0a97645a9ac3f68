"""torch's steps of the optimizers: in-place calls, and torch.optim's fused Adam; no reads from the device."""

import torch

from backends.reference import Kernels
from backends.reference.optimizers import RATE, UPDATES, advance_adam_control, count_update
from backends.reference.signatures import Array, Arrays, Numbers

# Dtypes of p that the fused Adam supports. On CUDA it reads its scalars as float32, whatever the dtype of p.
FUSED_DTYPES = {"cpu": (torch.float32, torch.float64), "cuda": (torch.float32,)}


class TorchOptimizers(Kernels):
    """In-place calls; Adam and AdamW are torch's private fused call, where this torch has it."""

    def _flush(self, moment: Array, updates: Array) -> Array:
        """Return the moment as it is: on a GPU this would be six launches for no gain."""
        return moment

    def sgd(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        (velocity,) = slots
        momentum, nesterov = settings
        count_update(control)
        rate = control[RATE]
        if momentum == 0.0:
            p.addcmul_(g, rate, value=-1.0)
            return
        velocity.mul_(momentum).add_(g)
        self._flush(velocity, control[UPDATES])
        p.addcmul_(torch.add(g, velocity, alpha=momentum) if nesterov else velocity, rate, value=-1.0)

    def adagrad(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        (total,) = slots
        (epsilon,) = settings
        count_update(control)
        total.addcmul_(g, g)
        self._flush(total, control[UPDATES])
        root = torch.sqrt(total).add_(epsilon)
        p.addcmul_(torch.div(g, root, out=root), control[RATE], value=-1.0)

    def rmsprop(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2:
            return super().rmsprop(p, g, slots, control, settings)
        v, velocity = slots
        decay, epsilon, momentum = settings
        count_update(control)
        v.mul_(decay).addcmul_(g, g, value=1.0 - decay)
        self._flush(v, control[UPDATES])
        root = torch.sqrt(v).add_(epsilon)
        step = torch.div(g, root, out=root)
        if momentum != 0.0:
            step = velocity.mul_(momentum).add_(step)
            self._flush(velocity, control[UPDATES])
        p.addcmul_(step, control[RATE], value=-1.0)

    def adam(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        fused_step = getattr(torch, "_fused_adamw_", None)  # without decay it is Adam
        if fused_step is None or p.dtype not in FUSED_DTYPES.get(p.device.type, ()):
            return super().adam(p, g, slots, control, settings)
        beta1, beta2, epsilon, weight_decay = (*settings, 0.0)[:4]
        advance_adam_control(control, beta1, beta2)
        m, v, *largest = ([slot] for slot in slots)
        # contiguous(): the call assumes that all strides are those of p.
        fused_step(
            [p], [g.contiguous()], m, v, *(largest or [[]]), [control[UPDATES][0]], lr=control[RATE][0],
            beta1=beta1, beta2=beta2, weight_decay=weight_decay, eps=epsilon, amsgrad=bool(largest),
            maximize=False,
        )  # fmt: skip
        for slot in slots[2:]:  # the call's own maximum is not NaN where v is, at the end of a vector
            torch.maximum(slot, slots[1], out=slot)
        for slot in slots:
            self._flush(slot, control[UPDATES])
