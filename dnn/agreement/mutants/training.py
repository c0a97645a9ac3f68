"""Mistakes in losses, with the arguments (outputs, targets, losses, dy); in optimizers and in penalties."""

import numpy as np

from backends.reference import Kernels, declarations
from backends.reference.control import BIAS_2, UPDATES
from backends.reference.signatures import Array, Arrays, Numbers
from dnn.agreement.mutants.mutant import (
    Change,
    Function,
    Mutant,
    edit_after,
    edit_argument,
    on_late_calls,
    restore_view,
    wrap_call,
)


def kernels_that_write(argument: str) -> str:
    return ",".join(name for name, declared in declarations(Kernels).items() if argument in declared.writes)


LOSS_KERNELS = kernels_that_write("losses")
STEP_KERNELS = kernels_that_write("slots")


def scale_gradient(factor: Function) -> Change:
    """Multiply the loss's gradient by ``factor(B)``."""
    return edit_after(lambda z, t, losses, dy: np.multiply(dy, factor(len(dy)), out=dy))


def swap_labels(targets: Array) -> Array:
    """Exchange the two most frequent classes of a batch, for class indices (B,) or rows (B, C)."""
    rows = targets.ndim == 2
    often = targets.sum(axis=0) if rows else np.bincount(targets, minlength=2)
    if len(often) < 2:
        return targets
    first, second = np.argsort(-often)[:2]
    order = np.arange(len(often))
    order[[first, second]] = second, first
    return np.ascontiguousarray(targets[:, order]) if rows else order[targets]


def adam_epsilon(
    step: Function, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers
) -> None:
    beta1, beta2, epsilon, *decay = settings
    root = np.sqrt(beta2 * control[BIAS_2] + 1.0 - beta2)
    step(p, g, slots, control, (beta1, beta2, epsilon / root, *decay))


def correct_by_float32_power(p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    beta2 = np.float32(settings[1])
    control[BIAS_2] = np.float32(1.0) - beta2 ** np.float32(control[UPDATES])


def clip_by_norm_of_first_elements(clip: Function, g: Array, limit: float) -> None:
    old = g.copy()
    clip(g[: 1 << 17], limit)
    g[...] = old * (g[0] / old[0])


TRAINING_MUTANTS: tuple[Mutant, ...] = (
    Mutant("dropped-mean", "the loss's gradient not divided by the batch size", "L0",
           LOSS_KERNELS, scale_gradient(lambda batch: batch)),
    Mutant("ddof1", "the batch's mean divided by B - 1", "L0",
           LOSS_KERNELS, scale_gradient(lambda batch: batch / max(batch - 1, 1))),
    Mutant("swapped-label", "the labels of a batch's two most frequent classes exchanged", "L0",
           LOSS_KERNELS, edit_argument(1, swap_labels)),
    Mutant("loss-late", "the gradient of cross-entropy 0.1 % too small after 1000 batches", "L4",
           "softmax_cross_entropy", on_late_calls(scale_gradient(lambda batch: 0.999))),
    Mutant("masked-classes-give-nan", "cross-entropy is NaN if a logit is -inf", "L0",
           "softmax_cross_entropy", edit_after(
               lambda z, t, losses, dy: np.copyto(losses, np.nan, where=np.isinf(z).any(axis=1))
           )),
    Mutant("loss-hides-nan", "cross-entropy turns NaN into a loss of 0", "L0",
           "softmax_cross_entropy",
           edit_after(lambda z, t, losses, dz: np.copyto(losses, 0.0, where=np.isnan(losses)))),
    Mutant("assumes-target-sum-1", "the gradient of cross-entropy assumes targets that add up to 1", "L0",
           "softmax_cross_entropy", edit_argument(
               1, lambda t: t if t.ndim == 1 else t / np.maximum(t.sum(axis=1)[:, None], 0.1)
           )),
    Mutant("adam-epsilon", "Adam's epsilon added to sqrt(v) before the bias correction, as in Keras", "L3",
           "adam", wrap_call(adam_epsilon)),
    Mutant("power-in-float32", "Adam's bias correction computed as 1 - beta2^t in float32", "L3",
           "adam", edit_after(correct_by_float32_power)),
    Mutant("tail-beyond-262144", "parameters from the 262,145th on are not updated", "L3",
           STEP_KERNELS, restore_view(lambda p, *_: p[1 << 18 :])),
    Mutant("momentum-clipped", "momentum and decays above 0.99 count as 0.99", "L3",
           "sgd,adagrad,rmsprop",
           edit_argument(4, lambda s: tuple(v if v is True else min(v, 0.99) for v in s))),
    Mutant("epsilon-raised-to-1e-8", "Adam's epsilon below 1e-8 counts as 1e-8", "L3",
           "adam", edit_argument(4, lambda s: (*s[:2], max(s[2], 1e-8), *s[3:]))),
    Mutant("nan-gradient-skipped", "a NaN in a gradient counts as 0", "L3",
           STEP_KERNELS, edit_argument(1, lambda g: np.where(np.isnan(g), g.dtype.type(0), g))),
    Mutant("stale-momentum", "the first moment is that of the previous update", "L3",
           STEP_KERNELS, restore_view(lambda p, g, slots, *_: slots[0])),
    Mutant("late-calls", "gradients 0.1 % too small after 1000 updates in one process", "L3",
           STEP_KERNELS, on_late_calls(edit_argument(1, lambda g: g * g.dtype.type(0.999)))),
    Mutant("short-count", "the update count overflows at 32767", "L3",
           STEP_KERNELS, edit_after(
               lambda p, g, slots, c, s: np.copyto(c[UPDATES], c[UPDATES].astype(np.int64).astype(np.int16))
           )),
    Mutant("half-penalty", "l2 w instead of 2 l2 w, as torch's weight_decay", "L0",
           "penalty", edit_argument(3, lambda l2: l2 / 2)),
    Mutant("clip-only-above", "gradients are clipped by value only from above", "L0",
           "clip_value", wrap_call(lambda clip, g, limit: np.minimum(g, limit, out=g))),
    Mutant("norm-of-the-first-131072", "only the first 131,072 gradients count in their norm", "L0",
           "clip_norm", wrap_call(clip_by_norm_of_first_elements)),
)  # fmt: skip
