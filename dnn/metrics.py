"""Numbers that people read: how many predictions are right."""

from __future__ import annotations

from typing import Any

from backends import Backend

Array = Any


def count_correct(backend: Backend, outputs: Array, targets: Array) -> Array:
    """How many rows have their largest output at the target's class, as a 0-d array on the device.

    Args:
        outputs: (B, C), logits or probabilities.
        targets: (B,) class numbers or (B, C) rows, whose class is their largest entry.
    """
    xp = backend.xp
    classes = targets if targets.ndim == 1 else xp.argmax(targets, axis=1)
    return xp.sum(xp.astype(xp.argmax(outputs, axis=1) == classes, backend.dtype))
