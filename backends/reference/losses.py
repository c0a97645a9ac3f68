"""Losses: each example's value, and the gradient of their mean, in one."""

from __future__ import annotations

from typing import Any

Array = Any


TARGETS = ("integer", "dense")
"""Forms of target: class numbers (B,) int64, or one value for each output (B, C)."""


def _as_dense(xp: Any, kind: str, targets: Array, like: Array) -> Array:
    """Targets as (B, C) in the dtype of ``like`` (B, C): class numbers become one-hot rows."""
    if kind == "dense":
        return targets
    classes = xp.arange(like.shape[1], dtype=targets.dtype, device=like.device)
    return xp.astype(targets[:, None] == classes[None, :], like.dtype)


def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    """``losses_i = -sum_c t_ic log softmax(logits_i)_c`` and the gradient of their mean.

    With p = softmax(logits): dlogits = (p sum_c t_c - t) / B, and sum_c t_c is 1 for class numbers.
    Reads logits (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dlogits (B, C).
    """
    t = _as_dense(xp, kind, targets, logits)
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=1, keepdims=True)
    # where(): a class of target 0 adds 0 to the loss even if its logit is -inf (0 * inf is NaN).
    terms = t * (xp.log(total) - shifted)
    losses[...] = xp.sum(xp.where(t == 0, xp.zeros_like(terms), terms), axis=1)
    dlogits[...] = (e / total * xp.sum(t, axis=1, keepdims=True) - t) / logits.shape[0]


def mean_squared_error(xp: Any, kind: str, y: Array, targets: Array, losses: Array, dy: Array) -> None:
    """``losses_i = mean_c (y_ic - t_ic)^2`` and the gradient of their mean, ``2 (y - t) / (B C)``.

    Reads y (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dy (B, C).
    """
    difference = y - _as_dense(xp, kind, targets, y)
    losses[...] = xp.mean(difference * difference, axis=1)
    dy[...] = difference * (2.0 / (y.shape[0] * y.shape[1]))
