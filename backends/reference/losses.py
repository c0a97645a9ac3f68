"""Losses: one kernel computes each example's loss and the gradient of their mean."""

from typing import Any

from backends.reference.activations import sigmoid
from backends.reference.arithmetic import quotient, sign
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array


def one_hot(xp: Any, targets: Array, like: Array) -> Array:
    """Return targets as (B, C), the dtype of ``like`` (B, C); class numbers (B,) become one-hot rows."""
    if targets.ndim == 2:
        return targets
    classes = xp.arange(like.shape[1], dtype=targets.dtype, device=like.device)
    return xp.astype(targets[:, None] == classes[None, :], like.dtype)


class LossKernels(KernelBase):
    """Losses; targets are class numbers (B,) int64, or one value per output (B, C)."""

    @kernel(writes=("losses", "dlogits"))
    def softmax_cross_entropy(self, logits: Array, targets: Array, losses: Array, dlogits: Array) -> None:
        """``losses_i = -sum_c t_ic log softmax(logits_i)_c`` and the gradient of their mean.

        With p = softmax(logits): dlogits = (p sum_c t_c - t) / B, and sum_c t_c is 1 for class numbers.
        Reads logits (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dlogits (B, C).
        """
        xp = self.xp
        t = one_hot(xp, targets, logits)
        shifted = logits - xp.max(logits, axis=1, keepdims=True)
        e = xp.exp(shifted)
        total = xp.sum(e, axis=1, keepdims=True)
        # where(): a class with target 0 adds 0 even if its logit is -inf; 0 * inf would be NaN.
        terms = t * (xp.log(total) - shifted)
        losses[...] = xp.sum(xp.where(t == 0, xp.zeros_like(terms), terms), axis=1)
        dlogits[...] = quotient(xp, e / total * xp.sum(t, axis=1, keepdims=True) - t, logits.shape[0])

    @kernel(writes=("losses", "dy"))
    def mean_squared_error(self, y: Array, targets: Array, losses: Array, dy: Array) -> None:
        """``losses_i = mean_c (y_ic - t_ic)^2`` and the gradient of their mean, ``2 (y - t) / (B C)``.

        Reads y (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dy (B, C).
        """
        difference = y - one_hot(self.xp, targets, y)
        losses[...] = self.xp.mean(difference * difference, axis=1)
        dy[...] = difference * (2.0 / (y.shape[0] * y.shape[1]))

    @kernel(writes=("losses", "dy"))
    def mean_absolute_error(self, y: Array, targets: Array, losses: Array, dy: Array) -> None:
        """``losses_i = mean_c |y_ic - t_ic|`` and the gradient of their mean, ``sign(y - t) / (B C)``.

        sign(0) = 0. Reads y (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dy (B, C).
        """
        xp = self.xp
        difference = y - one_hot(xp, targets, y)
        losses[...] = xp.mean(xp.abs(difference), axis=1)
        dy[...] = quotient(xp, sign(xp, difference), y.shape[0] * y.shape[1])

    @kernel(writes=("losses", "dlogits"))
    def sigmoid_cross_entropy(self, logits: Array, targets: Array, losses: Array, dlogits: Array) -> None:
        """``losses_i = mean_c -(t_ic log p_ic + (1 - t_ic) log(1 - p_ic))``, p = sigmoid(logits).

        Computed as max(z, 0) - z t + log(1 + exp(-|z|)), which does not overflow and has no log(0). The
        gradient of their mean is (p - t) / (B C).

        Reads logits (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dlogits (B, C).
        """
        xp = self.xp
        z = logits
        t = one_hot(xp, targets, logits)
        weight = xp.where(z < 0, -t, 1.0 - t)
        linear = xp.where(
            weight == 0, xp.zeros_like(z), z * weight
        )  # max(z, 0) - z t; NaN comes back through the logarithm
        losses[...] = xp.mean(linear + xp.log1p(xp.exp(-xp.abs(z))), axis=1)
        dlogits[...] = quotient(xp, sigmoid(xp, z) - t, z.shape[0] * z.shape[1])

    @kernel(writes=("losses", "dy"))
    def hinge(self, y: Array, targets: Array, losses: Array, dy: Array) -> None:
        """``losses_i = mean_c max(0, 1 - s_ic y_ic)``: s is 1 where the target is above 0, else -1.

        Each output is a binary classifier, one class against the rest. As Keras's Hinge; targets are -1 and
        1, or 0 and 1. The gradient of their mean is -s / (B C) where 1 - s y > 0, else 0.

        Reads y (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dy (B, C).
        """
        xp = self.xp
        t = one_hot(xp, targets, y)
        s = xp.where(t > 0, xp.ones_like(y), -xp.ones_like(y))
        margin = 1.0 - s * y
        zeros = xp.zeros_like(y)
        losses[...] = xp.mean(xp.where(margin < 0, zeros, margin), axis=1)  # NaN stays NaN
        dy[...] = quotient(xp, xp.where(margin <= 0, zeros, -s), y.shape[0] * y.shape[1])
