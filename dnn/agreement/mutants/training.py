"""Mistakes in losses, with the arguments (outputs, targets, losses, dy); in optimizers and in penalties."""

from typing import Any

import numpy as np

from backends.reference.control import BIAS_2, RATE, UPDATES
from backends.reference.signatures import Array, Arrays, Numbers
from dnn.agreement.mutants.mutant import (
    Change,
    Function,
    Mutant,
    edit_after,
    edit_after_with_largest,
    edit_argument,
    on_calls,
    on_late_calls,
    restore_view,
    wrap_call,
)
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS

LOSS_KERNELS = ",".join(loss.kernel for loss in LOSSES.values())


def scale_gradient(factor: Function) -> Change:
    """Multiply the loss's gradient by ``factor(B)``."""
    return edit_after(lambda z, t, losses, dy: np.multiply(dy, factor(len(dy)), out=dy))


def swap_labels(targets: Array) -> Array:
    """Exchange the two most frequent classes of a batch, for class indices (B,) or rows (B, C)."""
    rows = targets.ndim == 2
    often = targets.sum(axis=0) if rows else np.bincount(targets, minlength=2)
    first, *_, second = np.argsort(-often)[:2]
    order = np.arange(len(often))
    order[[first, second]] = second, first
    return np.ascontiguousarray(targets[:, order]) if rows else order[targets]


def pull_at_corner(outputs: Array, targets: Array, losses: Array, dy: Array) -> None:
    t = np.eye(outputs.shape[1])[targets] if targets.ndim == 1 else targets
    sign = np.where(t > 0, 1.0, -1.0)
    corner = sign * outputs == 1
    dy[corner] = -sign[corner] / dy.size


STEP_KERNELS = ",".join(OPTIMIZERS)
SLOT_KERNELS = ",".join(name for name, optimizer in OPTIMIZERS.items() if optimizer.slots)


def adam_epsilon(
    step: Function, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers
) -> None:
    beta1, beta2, epsilon = settings
    root = np.sqrt(beta2 * control[BIAS_2] + 1.0 - beta2)
    step(p, g, slots, control, (beta1, beta2, epsilon / root))


def negative_variance(
    step: Function, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers
) -> None:
    v, velocity, mean = slots
    decay, epsilon, momentum = settings
    control[UPDATES] += 1.0
    v[...] = decay * v + (1.0 - decay) * g * g
    mean[...] = decay * mean + (1.0 - decay) * g
    velocity[...] = momentum * velocity + g / (np.sqrt(np.abs(v - mean * mean)) + epsilon)
    p -= control[RATE] * velocity


def rate_of_the_first_update(step: Function) -> Function:
    rates: list[Array] = []

    def wrong(p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        rates.append(control[RATE].copy())
        control[RATE] = rates[0]
        step(p, g, slots, control, settings)
        control[RATE] = rates[-1]

    return wrong


def keep_moments(step: Function, p: Array, g: Array, slots: Arrays, *rest: Any) -> None:
    old = [slot.copy() for slot in slots]
    step(p, g, slots, *rest)
    for slot, values in zip(slots, old, strict=True):
        slot[g == 0] = values[g == 0]


def flush_large_moments(p: Array, g: Array, slots: Arrays, control: Array, *rest: Any) -> None:
    for slot in slots if control[UPDATES] % 32 == 0 else ():
        slot[np.abs(slot) < 1e-7] = 0.0


def clip_by_the_first(clip: Function, g: Array, limit: float) -> None:
    old = g.copy()
    clip(g[: 1 << 17], limit)
    g[...] = old * (g[0] / old[0])


TRAINING_MUTANTS: tuple[Mutant, ...] = (
    Mutant("dropped-mean", "the loss's gradient not divided by the batch size", "L1",
           LOSS_KERNELS, scale_gradient(lambda batch: batch)),
    Mutant("ddof1", "the batch's mean divided by B - 1", "L1",
           LOSS_KERNELS, scale_gradient(lambda batch: batch / max(batch - 1, 1))),
    Mutant("short-batch", "the gradient of a short batch divided by the size of the others", "L4",
           LOSS_KERNELS, edit_after_with_largest(
               lambda largest, z, t, losses, dy: np.multiply(dy, len(dy) / largest, out=dy)
           )),
    Mutant("swapped-label", "the labels of a batch's two most frequent classes exchanged", "L1",
           LOSS_KERNELS, edit_argument(1, swap_labels)),
    Mutant("unshifted", "cross-entropy of class indices from e^z without subtracting the largest z", "L1",
           "softmax_cross_entropy integer", edit_after(
               lambda z, t, losses, dy:
               np.copyto(losses, np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), t])
           )),
    Mutant("loss-clipped-at-1e-7", "probabilities clipped at 1e-7 in cross-entropy, as in Keras", "L1",
           "softmax_cross_entropy",
           edit_after(lambda z, t, losses, dy: np.minimum(losses, 16.118, out=losses))),
    Mutant("rows-far-below-0-underflow", "cross-entropy 0 where all z are below -500", "L1",
           "softmax_cross_entropy", edit_after(
               lambda z, t, losses, dy: np.copyto(losses, 0.0, where=z.max(axis=1) < -500)
           )),
    Mutant("loss-late", "the gradient of cross-entropy 0.1 % too small after 1000 batches", "L4",
           "softmax_cross_entropy", on_late_calls(scale_gradient(lambda batch: 0.999))),
    Mutant("masked-classes-give-nan", "cross-entropy is NaN if a logit is -inf", "L0",
           "softmax_cross_entropy", edit_after(
               lambda z, t, losses, dy: np.copyto(losses, np.nan, where=np.isinf(z).any(axis=1))
           )),
    Mutant("rows-that-add-up-to-1", "the gradient of cross-entropy assumes targets that add up to 1", "L0",
           "softmax_cross_entropy dense",
           edit_argument(1, lambda t: t / np.maximum(t.sum(axis=1)[:, None], 0.1))),
    Mutant("no-negative-targets", "negative targets of cross-entropy count as 0", "L0",
           "softmax_cross_entropy dense", edit_argument(1, lambda t: np.maximum(t, 0.0))),
    Mutant("logits-clipped-at-30", "logits of binary cross-entropy clipped at -30 and 30", "L1",
           "sigmoid_cross_entropy", edit_argument(0, lambda z: np.clip(z, -30, 30))),
    Mutant("sign-of-zero", "sign(0) = 1 in the absolute error", "L1",
           "mean_absolute_error",
           edit_after(lambda y, t, losses, dy: np.copyto(dy, 1.0 / dy.size, where=dy == 0))),
    Mutant("hinge-pulls-at-its-corner", "the hinge loss has a nonzero gradient at its corner", "L1",
           "hinge", edit_after(pull_at_corner)),
    Mutant("adam-epsilon", "Adam's epsilon added to sqrt(v) before the bias correction, as in Keras", "L3",
           "adam", wrap_call(adam_epsilon)),
    Mutant("fixed-beta", "Adam's beta1 is always 0.9", "L3",
           "adam", edit_argument(4, lambda s: (0.9, *s[1:]))),
    Mutant("weight-decay-built-in", "AdamW's weight decay is always 0.01", "L3",
           "adamw", edit_argument(4, lambda s: (*s[:3], 0.01))),
    Mutant("late-bias", "Adam without its second bias correction from update 1000 on", "L3",
           "adam",
           edit_argument(3, lambda c: (np.copyto(c[BIAS_2], 1.0, where=c[UPDATES] >= 1000), c)[1])),
    Mutant("second-block-forgotten",
           "Adam's second moments are not updated in the second block of a long vector", "L3",
           "adam,adamw", restore_view(lambda p, g, slots, *_: slots[1][24576:])),
    Mutant("steps-beyond-65536", "parameters from the 65,537th on are not updated", "L0",
           STEP_KERNELS, restore_view(lambda p, *_: p[65536:])),
    Mutant("momentum-of-at-most-0.99", "momentum and decays above 0.99 count as 0.99", "L0",
           "sgd,adagrad,rmsprop",
           edit_argument(4, lambda s: tuple(v if v is True else min(v, 0.99) for v in s))),
    Mutant("epsilon-of-at-least-1e-8", "Adam's epsilon below 1e-8 counts as 1e-8", "L0",
           "adam,adamw", edit_argument(4, lambda s: (*s[:2], max(s[2], 1e-8), *s[3:]))),
    Mutant("nan-gradient-skipped", "a NaN in a gradient counts as 0", "L0",
           STEP_KERNELS, edit_argument(1, lambda g: np.where(np.isnan(g), g.dtype.type(0), g))),
    Mutant("stale-momentum", "the first moment is that of the previous update", "L3",
           SLOT_KERNELS, restore_view(lambda p, g, slots, *_: slots[0])),
    Mutant("moments-stand-where-gradients-are-0", "moments do not decay where the gradient is 0", "L3",
           "adam,sgd,rmsprop", wrap_call(keep_moments)),
    Mutant("negative-variance",
           "centred RMSprop takes the absolute value of a variance that is negative by rounding", "L0",
           "rmsprop_centered", wrap_call(negative_variance)),
    Mutant("late-calls", "gradients 0.1 % too small after 1000 updates in one process", "L3",
           STEP_KERNELS, on_late_calls(edit_argument(1, lambda g: g * g.dtype.type(0.999)))),
    Mutant("short-count", "the update count overflows at 32767", "L3",
           STEP_KERNELS, edit_after(
               lambda p, g, slots, c, s: np.copyto(c[UPDATES], c[UPDATES].astype(np.int64).astype(np.int16))
           )),
    Mutant("flushes-what-matters", "moments below 1e-7 set to 0 on every 32nd update", "L3",
           STEP_KERNELS, edit_after(flush_large_moments)),
    Mutant("rate-of-the-first-update", "every update uses the learning rate of the first one", "L3",
           STEP_KERNELS, rate_of_the_first_update),
    Mutant("half-penalty", "l2 w instead of 2 l2 w, as torch's weight_decay", "L0",
           "penalty", edit_argument(3, lambda l2: l2 / 2)),
    Mutant("penalty-of-every-second-parameter",
           "the l2 penalty 10 % too small on every second call", "L4",
           "penalty", on_calls(lambda number: number % 2 == 0, edit_argument(3, lambda l2: 0.9 * l2))),
    Mutant("penalty-pulls-zeros", "the l1 penalty has slope 1 at 0", "L0",
           "penalty", edit_after(lambda w, g, l1, l2: np.add(g, l1, out=g, where=w == 0))),
    Mutant("infinite-gradients-pass", "gradients with an infinity or a NaN are not clipped by norm", "L0",
           "clip_norm", wrap_call(lambda clip, g, limit: clip(g, limit) if np.isfinite(g).all() else None)),
    Mutant("norm-of-the-first-131072", "only the first 131,072 gradients count in their norm", "L0",
           "clip_norm", wrap_call(clip_by_the_first)),
    Mutant("penalty-beyond-65536", "weights from the 65,537th on have no penalty", "L0",
           "penalty", restore_view(lambda w, g, *_: g[65536:])),
    Mutant("infinite-weights-give-nan", "the l1 penalty divides w by its absolute value", "L0",
           "penalty", edit_after(lambda w, g, l1, l2: np.copyto(g, np.nan, where=np.isinf(w)))),
    Mutant("only-from-above", "gradients are clipped by value only from above", "L0",
           "clip_value", wrap_call(lambda clip, g, limit: np.minimum(g, limit, out=g))),
)  # fmt: skip
