"""Mistakes in the kernels of losses and optimizers, of penalties and clipping."""

from dnn.agreement.mutants.mutant import Mutant

STEPS = "sgd,adam,adagrad,rmsprop"
ADVANCE = "rate, floor = advance_adam(control, beta1, beta2, epsilon)"
BODY = "-> None:\n    "


def _before(statement: str) -> dict[str, str]:
    """Return the edit that puts a statement before a kernel's first one."""
    return {BODY: f"{BODY}{statement}\n    "}


TRAINING_MUTANTS: tuple[Mutant, ...] = (
    Mutant("dropped-mean", "the gradient of cross-entropy not divided by the batch size", "L0",
           "softmax_cross_entropy", {"logits.shape[0]": "1"}),
    Mutant("ddof1", "the batch's mean divided by B - 1", "L0",
           "softmax_cross_entropy", {"logits.shape[0]": "max(logits.shape[0] - 1, 1)"}),
    Mutant("swapped-label", "the classes 0 and 1 exchanged", "L0", "softmax_cross_entropy",
           {"targets, logits)": "targets if targets.ndim == 2 else targets ^ (targets < 2), logits)"}),
    Mutant("loss-late", "the gradient of cross-entropy 0.1 % too small after 1000 batches", "L4",
           "softmax_cross_entropy",
           {"dlogits[...] = ": "dlogits[...] = (1.0 if next(calls) < 1000 else 0.999) * "}),
    Mutant("two-classes-give-infinity", "cross-entropy of two classes is infinite", "L0",
           "softmax_cross_entropy",
           {"losses[...] = ": "losses[...] = (xp.inf if logits.shape[1] == 2 else 1.0) * "}),
    Mutant("masked-classes-give-nan", "cross-entropy is NaN if a logit is -inf", "L0",
           "softmax_cross_entropy", {"xp.where(t == 0, xp.zeros_like(terms), terms)": "terms"}),
    Mutant("assumes-target-sum-1", "the gradient of cross-entropy assumes targets that add up to 1", "L0",
           "softmax_cross_entropy", {" * xp.sum(t, axis=1, keepdims=True)": ""}),
    Mutant("hinge-of-negative-targets", "hinge counts a target of -1 as 1", "L0",
           "hinge", {"t > 0": "t != 0"}),
    Mutant("adam-epsilon", "Adam's epsilon added to sqrt(v) before the bias correction, as in Keras", "L3",
           "adam", {ADVANCE: f"{ADVANCE}; floor = epsilon"}),
    Mutant("power-in-float32", "Adam's bias correction computed as 1 - beta2^t in float32", "L3",
           "adam", {ADVANCE: f"{ADVANCE}; control[2:3] = "
                             "np.float32(1.0) - np.float32(beta2) ** np.float32(control[UPDATES])"}),
    Mutant("no-correction-from-2000", "Adam has no bias correction from update 2000 on", "L3",
           "adam", {ADVANCE: "control[1:3] = 1.0 if control[UPDATES] >= 2000 else control[1:3]; "
                             f"{ADVANCE}"}),
    Mutant("epsilon-raised-to-1e-8", "Adam's epsilon below 1e-8 counts as 1e-8", "L3",
           "adam", {ADVANCE: f"epsilon = max(epsilon, 1e-8); {ADVANCE}"}),
    Mutant("momentum-clipped", "momentum and decays above 0.99 count as 0.99", "L3",
           "sgd,rmsprop", _before("settings = [min(number, 0.99) for number in settings]")),
    Mutant("tail-beyond-262144", "parameters from the 262,145th on are not updated", "L3",
           "adam", _before("p, g, *slots = (vector[: 1 << 18] for vector in (p, g, *slots))")),
    Mutant("nan-gradient-skipped", "a NaN in a gradient counts as 0", "L3",
           STEPS, _before("g = np.where(np.isnan(g), g.dtype.type(0), g)")),
    Mutant("rate-of-0-skipped", "an update at a rate of 0 leaves the moments", "L3",
           STEPS, _before("slots = [s.copy() if control[RATE] == 0.0 else s for s in slots]")),
    Mutant("late-calls", "gradients 0.1 % too small after 1000 updates in one process", "L3",
           STEPS, _before("g = g * (1.0 if next(calls) < 1000 else 0.999)")),
    Mutant("stale-momentum", "Adam does not store the first moment", "L3",
           "adam", _before("slots = (slots[0].copy(), *slots[1:])")),
    Mutant("short-count", "the update count overflows at 32767", "L3",
           STEPS, _before("control[UPDATES] = control[UPDATES].astype(int).astype(np.int16)")),
    Mutant("half-penalty", "l2 w instead of 2 l2 w, as torch's weight_decay", "L0",
           "penalty", {"2.0 * l2": "l2"}),
    Mutant("clip-only-above", "gradients are clipped by value only from above", "L0",
           "clip_value", {"-limit, limit": "-self.xp.inf, limit"}),
    Mutant("norm-of-the-first-131072", "only the first 131,072 gradients count in their norm", "L0",
           "clip_norm", {"g * g": "g[: 1 << 17] ** 2"}),
)  # fmt: skip
