"""Losses: each example's value, and the gradient of their mean, in one kernel."""

from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array

TARGET_FORMS = ("integer", "dense")  # forms: class numbers (B,) int64, or one value for each output (B, C)


def forms() -> tuple[str, ...]:
    """The kinds of every loss."""
    return TARGET_FORMS


def as_dense(xp: Any, kind: str, targets: Array, like: Array) -> Array:
    """Targets as (B, C) in the dtype of ``like`` (B, C): class numbers become one-hot rows."""
    if kind == "dense":
        return targets
    classes = xp.arange(like.shape[1], dtype=targets.dtype, device=like.device)
    return xp.astype(targets[:, None] == classes[None, :], like.dtype)


@kernel(writes=("losses", "dlogits"), kinds=forms)
def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    """``losses_i = -sum_c t_ic log softmax(logits_i)_c`` and the gradient of their mean.

    With p = softmax(logits): dlogits = (p sum_c t_c - t) / B, and sum_c t_c is 1 for class numbers.
    Reads logits (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dlogits (B, C).
    """
    t = as_dense(xp, kind, targets, logits)
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=1, keepdims=True)
    # where(): a class of target 0 adds 0 to the loss even if its logit is -inf (0 * inf is NaN).
    terms = t * (xp.log(total) - shifted)
    losses[...] = xp.sum(xp.where(t == 0, xp.zeros_like(terms), terms), axis=1)
    dlogits[...] = (e / total * xp.sum(t, axis=1, keepdims=True) - t) / logits.shape[0]


@kernel(writes=("losses", "dy"), kinds=forms)
def mean_squared_error(xp: Any, kind: str, y: Array, targets: Array, losses: Array, dy: Array) -> None:
    """``losses_i = mean_c (y_ic - t_ic)^2`` and the gradient of their mean, ``2 (y - t) / (B C)``.

    Reads y (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dy (B, C).
    """
    difference = y - as_dense(xp, kind, targets, y)
    losses[...] = xp.mean(difference * difference, axis=1)
    dy[...] = difference * (2.0 / (y.shape[0] * y.shape[1]))


@kernel(writes=("losses", "dy"), kinds=forms)
def mean_absolute_error(xp: Any, kind: str, y: Array, targets: Array, losses: Array, dy: Array) -> None:
    """``losses_i = mean_c |y_ic - t_ic|`` and the gradient of their mean, ``sign(y - t) / (B C)``.

    sign(0) = 0. Reads y (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dy (B, C).
    """
    difference = y - as_dense(xp, kind, targets, y)
    losses[...] = xp.mean(xp.abs(difference), axis=1)
    dy[...] = xp.sign(difference) / (y.shape[0] * y.shape[1])


@kernel(writes=("losses", "dlogits"), kinds=forms)
def sigmoid_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    """``losses_i = mean_c -(t_ic log p_ic + (1 - t_ic) log(1 - p_ic))``, p = sigmoid(logits).

    Written as max(z, 0) - z t + log(1 + exp(-|z|)), which neither overflows nor takes the log of 0; the
    gradient of their mean is (p - t) / (B C).
    Reads logits (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dlogits (B, C).
    """
    z = logits
    t = as_dense(xp, kind, targets, logits)
    e = xp.exp(-xp.abs(z))
    missed = xp.where(z < 0, -t, 1.0 - t)
    linear = xp.where(missed == 0, xp.zeros_like(z), z * missed)  # max(z, 0) - z t; a NaN stays in e
    losses[...] = xp.mean(linear + xp.log1p(e), axis=1)
    p = xp.where(z < 0, e, xp.ones_like(e)) / (1.0 + e)
    dlogits[...] = (p - t) / (z.shape[0] * z.shape[1])


@kernel(writes=("losses", "dy"), kinds=forms)
def hinge(xp: Any, kind: str, y: Array, targets: Array, losses: Array, dy: Array) -> None:
    """``losses_i = mean_c max(0, 1 - s_ic y_ic)``: s is 1 where the target is above 0, else -1.

    Each output is a two-class machine of its own, one class against the rest: Keras's Hinge, whose targets
    are -1 and 1 or 0 and 1. The gradient of their mean is -s / (B C) where 1 - s y > 0, else 0.
    Reads y (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dy (B, C).
    """
    t = as_dense(xp, kind, targets, y)
    s = xp.where(t > 0, xp.ones_like(y), -xp.ones_like(y))
    short = 1.0 - s * y
    zeros = xp.zeros_like(y)
    losses[...] = xp.mean(xp.where(short < 0, zeros, short), axis=1)  # a NaN stays
    dy[...] = xp.where(short <= 0, zeros, -s) / (y.shape[0] * y.shape[1])
