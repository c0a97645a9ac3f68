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
    Mutant("dropped-mean", "L0",
           "softmax_cross_entropy", {"logits.shape[0]": "1"}),
    # The batch's mean divided by B - 1.
    Mutant("ddof1", "L0",
           "softmax_cross_entropy", {"logits.shape[0]": "max(logits.shape[0] - 1, 1)"}),
    # The classes 0 and 1 exchanged.
    Mutant("swapped-label", "L0", "softmax_cross_entropy",
           {"targets, logits)": "targets if targets.ndim == 2 else targets ^ (targets < 2), logits)"}),
    # The gradient of cross-entropy 0.1 % too small after 1000 batches.
    Mutant("loss-late", "L4",
           "softmax_cross_entropy",
           {"dlogits[...] = ": "dlogits[...] = (1.0 if next(calls) < 1000 else 0.999) * "}),
    # Cross-entropy of two classes is infinite.
    Mutant("two-classes-give-infinity", "L0",
           "softmax_cross_entropy",
           {"losses[...] = ": "losses[...] = (xp.inf if logits.shape[1] == 2 else 1.0) * "}),
    # Cross-entropy is NaN if a logit is -inf.
    Mutant("masked-classes-give-nan", "L0",
           "softmax_cross_entropy", {"xp.where(t == 0, xp.zeros_like(terms), terms)": "terms"}),
    # The gradient of cross-entropy assumes targets that add up to 1.
    Mutant("assumes-target-sum-1", "L0",
           "softmax_cross_entropy", {" * xp.sum(t, axis=1, keepdims=True)": ""}),
    # Hinge counts a target of -1 as 1.
    Mutant("hinge-of-negative-targets", "L0",
           "hinge", {"t > 0": "t != 0"}),
    # Adam's epsilon added to sqrt(v) before the bias correction, as in Keras.
    Mutant("adam-epsilon", "L3",
           "adam", {ADVANCE: f"{ADVANCE}; floor = epsilon"}),
    # Adam's bias correction computed as 1 - beta2^t in float32.
    Mutant("power-in-float32", "L3",
           "adam", {ADVANCE: f"{ADVANCE}; control[2:3] = "
                             "np.float32(1.0) - np.float32(beta2) ** np.float32(control[UPDATES])"}),
    # Adam has no bias correction from update 2000 on.
    Mutant("no-correction-from-2000", "L3",
           "adam", {ADVANCE: "control[1:3] = 1.0 if control[UPDATES] >= 2000 else control[1:3]; "
                             f"{ADVANCE}"}),
    # Adam's epsilon below 1e-8 counts as 1e-8.
    Mutant("epsilon-raised-to-1e-8", "L3",
           "adam", {ADVANCE: f"epsilon = max(epsilon, 1e-8); {ADVANCE}"}),
    # Momentum and decays above 0.99 count as 0.99.
    Mutant("momentum-clipped", "L3",
           "sgd,rmsprop", _before("settings = [min(number, 0.99) for number in settings]")),
    # Parameters from the 262,145th on are not updated.
    Mutant("tail-beyond-262144", "L3",
           "adam", _before("p, g, *slots = (vector[: 1 << 18] for vector in (p, g, *slots))")),
    # A NaN in a gradient counts as 0.
    Mutant("nan-gradient-skipped", "L3",
           STEPS, _before("g = np.where(np.isnan(g), g.dtype.type(0), g)")),
    # An update at a rate of 0 does not change the moments.
    Mutant("rate-of-0-skipped", "L3",
           STEPS, _before("slots = [s.copy() if control[RATE] == 0.0 else s for s in slots]")),
    # Gradients 0.1 % too small after 1000 updates in one process.
    Mutant("late-calls", "L3",
           STEPS, _before("g = g * (1.0 if next(calls) < 1000 else 0.999)")),
    # Adam does not store the first moment.
    Mutant("stale-momentum", "L3",
           "adam", _before("slots = (slots[0].copy(), *slots[1:])")),
    # The update count overflows at 32767.
    Mutant("short-count", "L3",
           STEPS, _before("control[UPDATES] = control[UPDATES].astype(int).astype(np.int16)")),
    # l2 w instead of 2 l2 w, as torch's weight_decay.
    Mutant("half-penalty", "L0",
           "penalty", {"2.0 * l2": "l2"}),
    # Gradients are clipped by value only from above.
    Mutant("clip-only-above", "L0",
           "clip_value", {"-limit, limit": "-self.xp.inf, limit"}),
    # Only the first 131,072 gradients count in their norm.
    Mutant("norm-of-the-first-131072", "L0",
           "clip_norm", {"g * g": "g[: 1 << 17] ** 2"}),
)  # fmt: skip
