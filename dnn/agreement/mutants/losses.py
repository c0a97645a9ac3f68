"""Mistakes in losses, whose arguments are outputs, targets, losses, dy."""

from collections.abc import Mapping

import numpy as np

from backends.reference.signatures import Array
from dnn.agreement.mutants.changes import Change, Function, after, after_with_largest, late, with_argument
from dnn.agreement.mutants.mutant import Mutant
from dnn.losses import LOSSES

KERNELS = tuple(loss.kernel for loss in LOSSES.values())


def scale_gradient(factor: Function) -> Change:
    """The gradient times ``factor(B)``."""
    return after(lambda z, t, losses, dy: np.multiply(dy, factor(len(dy)), out=dy))


def swap_labels(targets: Array) -> Array:
    """The two classes that the batch holds most of exchanged, for class numbers (B,) or rows (B, C)."""
    rows = targets.ndim == 2
    often = targets.sum(axis=0) if rows else np.bincount(targets, minlength=2)
    first, second = np.argsort(-often)[:2]
    order = np.arange(len(often))
    order[[first, second]] = second, first
    return np.ascontiguousarray(targets[:, order]) if rows else order[targets]


def pull_at_corner(outputs: Array, targets: Array, losses: Array, dy: Array) -> None:
    t = np.eye(outputs.shape[1])[targets] if targets.ndim == 1 else targets
    sign = np.where(t > 0, 1.0, -1.0)
    corner = sign * outputs == 1
    dy[corner] = -sign[corner] / dy.size


LOSS_MUTANTS: Mapping[str, Mutant] = {
    "dropped-mean": Mutant(
        "the loss's gradient not divided by the batch size", "L1",
        dict.fromkeys(KERNELS, scale_gradient(lambda batch: batch)),
    ),
    "ddof1": Mutant(
        "the batch's mean divided by B - 1", "L1",
        dict.fromkeys(KERNELS, scale_gradient(lambda batch: batch / max(batch - 1, 1))),
    ),
    "short-batch": Mutant(
        "the gradient of a short batch divided by the size of the others", "L4",
        dict.fromkeys(KERNELS, after_with_largest(
            lambda most, z, t, losses, dy: np.multiply(dy, len(dy) / most, out=dy)
        )),
    ),
    "swapped-label": Mutant(
        "two classes' labels exchanged: the two that the batch holds most of", "L1",
        dict.fromkeys(KERNELS, with_argument(1, swap_labels)),
    ),
    "unshifted": Mutant(
        "e^z without the largest z taken off, in cross-entropy of class numbers", "L1",
        {"softmax_cross_entropy integer": after(
            lambda z, t, losses, dy:
            np.copyto(losses, np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), t])
        )},
    ),
    "loss-clipped-at-1e-7": Mutant(
        "probabilities at least 1e-7 in cross-entropy, as in Keras", "L1",
        {"softmax_cross_entropy": after(lambda z, t, losses, dy: np.minimum(losses, 16.118, out=losses))},
    ),
    "rows-far-below-0-underflow": Mutant(
        "cross-entropy 0 where all z are below -500", "L1",
        {"softmax_cross_entropy": after(
            lambda z, t, losses, dy: np.copyto(losses, 0.0, where=z.max(axis=1) < -500)
        )},
    ),
    "loss-late": Mutant(
        "the gradient of cross-entropy 0.1 % too short after 1000 batches", "L4",
        {"softmax_cross_entropy": late(scale_gradient(lambda batch: 0.999))},
    ),
    "logits-clipped-at-30": Mutant(
        "logits of binary cross-entropy cut at -30 and 30", "L1",
        {"sigmoid_cross_entropy": with_argument(0, lambda z: np.clip(z, -30, 30))},
    ),
    "sign-of-zero": Mutant(
        "sign(0) = 1 in the absolute error", "L1",
        {"mean_absolute_error": after(lambda y, t, losses, dy: np.copyto(dy, 1.0 / dy.size, where=dy == 0))},
    ),
    "hinge-pulls-at-its-corner": Mutant(
        "the hinge loss has its slope at the corner, too", "L1",
        {"hinge": after(pull_at_corner)},
    ),
}  # fmt: skip
