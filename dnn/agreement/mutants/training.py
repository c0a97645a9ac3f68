"""Mistakes in the kernels of losses and optimizers, of penalties and clipping."""

from dnn.agreement.mutants.mutant import Mutant

STEPS = "sgd,adam,adagrad,rmsprop"
ADVANCE = "rate, floor = advance_adam(control, beta1, beta2, epsilon)"
BODY = "-> None:\n    "


def _before(statement: str) -> dict[str, str]:
    """Return the edit that puts a statement before a kernel's first one."""
    return {BODY: f"{BODY}{statement}\n    "}


TRAINING_MUTANTS: tuple[Mutant, ...] = (
    # The gradient of cross-entropy not divided by the batch size.
    Mutant("dropped-mean",
           "softmax_cross_entropy", {"logits.shape[0]": "1"}),
    # The batch's mean divided by B - 1.
    Mutant("ddof1",
           "softmax_cross_entropy", {"logits.shape[0]": "max(logits.shape[0] - 1, 1)"}),
    # The classes 0 and 1 exchanged.
    Mutant("swapped-label", "softmax_cross_entropy",
           {"targets, logits)": "targets if targets.ndim == 2 else targets ^ (targets < 2), logits)"}),
    # Cross-entropy is NaN if a logit is -inf.
    Mutant("masked-classes-give-nan",
           "softmax_cross_entropy", {"xp.where(t == 0, xp.zeros_like(terms), terms)": "terms"}),
    # The gradient of cross-entropy assumes targets that add up to 1.
    Mutant("assumes-target-sum-1",
           "softmax_cross_entropy", {" * xp.sum(t, axis=1, keepdims=True)": ""}),
    # Hinge counts a target of -1 as 1.
    Mutant("hinge-of-negative-targets",
           "hinge", {"t > 0": "t != 0"}),
    # Adam's epsilon added to sqrt(v) before the bias correction, as in Keras.
    Mutant("adam-epsilon",
           "adam", {ADVANCE: f"{ADVANCE}; floor = epsilon"}, "L3"),
    # A NaN in a gradient counts as 0.
    Mutant("nan-gradient-skipped",
           STEPS, _before("g = np.where(np.isnan(g), g.dtype.type(0), g)"), "L3"),
    # Gradients 0.1 % too small after 1000 updates in one process.
    Mutant("late-calls",
           STEPS, _before("g = g * (1.0 if next(calls) < 1000 else 0.999)"), "L3"),
    # Adam does not store the first moment.
    Mutant("stale-momentum",
           "adam", _before("slots = (slots[0].copy(), *slots[1:])"), "L3"),
    # The update count overflows at 32767.
    Mutant("short-count",
           STEPS, _before("control[UPDATES] = control[UPDATES].astype(int).astype(np.int16)"), "L3"),
    # l2 w instead of 2 l2 w, as torch's weight_decay.
    Mutant("half-penalty",
           "penalty", {"2.0 * l2": "l2"}),
    # Gradients are clipped by value only from above.
    Mutant("clip-only-above",
           "clip_value", {"-limit, limit": "-self.xp.inf, limit"}),
    # Only the first 131,072 gradients count in their norm.
    Mutant("norm-of-the-first-131072",
           "clip_norm", {"g * g": "g[: 1 << 17] ** 2"}),
)  # fmt: skip
