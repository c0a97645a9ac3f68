"""Mistakes in optimizers, penalties and clipping. A step's arguments: p, g, slots, control, settings."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends.reference.control import BIAS_1, BIAS_2, RATE, UPDATES
from backends.reference.signatures import Array, Arrays, Numbers
from dnn.agreement.mutants.changes import (
    Function,
    after,
    around,
    before,
    late,
    on_calls,
    restore,
    with_argument,
)
from dnn.agreement.mutants.mutant import Mutant
from dnn.optimizers import OPTIMIZERS

STEPS = tuple(OPTIMIZERS)
ADAMS = ("adam", "adamw")


def adam_epsilon(
    step: Function, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers
) -> None:
    beta1, beta2, epsilon = settings
    root = np.sqrt(beta2 * control[BIAS_2] + 1.0 - beta2)
    step(p, g, slots, control, (beta1, beta2, epsilon / root))


def epsilon_under_the_root(
    step: Function, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers
) -> None:
    m, v, *_ = slots
    _, _, epsilon, *decay = settings
    decayed = p * (1.0 - control[RATE] * decay[0]) if decay else p.copy()
    step(p, g, slots, control, settings)
    p[...] = decayed - control[RATE] / control[BIAS_1] * m / np.sqrt(v / control[BIAS_2] + epsilon)


def correction_of_the_update_before(
    step: Function, p: Array, g: Array, slots: Arrays, control: Array, *rest: Any
) -> None:
    old = p.copy()
    bias = control[BIAS_1].copy()
    step(p, g, slots, control, *rest)
    if control[UPDATES] > 1:
        p[...] = old + (p - old) * (control[BIAS_1] / bias)


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


OPTIMIZER_MUTANTS: Mapping[str, Mutant] = {
    "adam-epsilon": Mutant(
        "Adam's epsilon beside sqrt(v) before the bias correction, as in Keras", "L3",
        {"adam": around(adam_epsilon)},
    ),
    "epsilon-under-the-root": Mutant(
        "Adam's epsilon within the square root", "L3",
        dict.fromkeys(ADAMS, around(epsilon_under_the_root)),
    ),
    "epsilon-built-in": Mutant(
        "Adam's epsilon is 1e-8, whatever was asked for", "L3",
        dict.fromkeys(ADAMS, with_argument(4, lambda s: (*s[:2], 1e-8, *s[3:]))),
    ),
    "fixed-beta": Mutant(
        "Adam's beta1 is 0.9, whatever was asked for", "L3",
        {"adam": with_argument(4, lambda s: (0.9, *s[1:]))},
    ),
    "weight-decay-built-in": Mutant(
        "AdamW's weight decay is 0.01, whatever was asked for", "L3",
        {"adamw": with_argument(4, lambda s: (*s[:3], 0.01))},
    ),
    "late-bias": Mutant(
        "Adam without its second bias correction from update 1000 on", "L3",
        {"adam": before(lambda p, g, slots, c, s: np.copyto(c[BIAS_2], 1.0, where=c[UPDATES] >= 1000))},
    ),
    "correction-of-the-update-before": Mutant(
        "Adam's first bias correction of the update before", "L3",
        dict.fromkeys(ADAMS, around(correction_of_the_update_before)),
    ),
    "second-block-forgotten": Mutant(
        "Adam's second moments of the second block of a long vector stay as they are", "L3",
        dict.fromkeys(ADAMS, restore(lambda p, g, slots, *_: slots[1][24576:])),
    ),
    "stale-momentum": Mutant(
        "the first moment is that of the update before", "L3",
        {name: restore(lambda p, g, slots, *_: slots[0]) for name in STEPS if OPTIMIZERS[name].slots},
    ),
    "moments-stand-where-gradients-are-0": Mutant(
        "moments do not fade where the gradient is 0", "L3",
        dict.fromkeys(("adam", "sgd", "rmsprop"), around(keep_moments)),
    ),
    "negative-variance": Mutant(
        "centred RMSprop with the absolute value of a variance that rounding left below 0", "L0",
        {"rmsprop_centered": around(negative_variance)},
    ),
    "late-calls": Mutant(
        "gradients 0.1 % too short after 1000 updates in one program", "L3",
        dict.fromkeys(STEPS, late(with_argument(1, lambda g: g * g.dtype.type(0.999)))),
    ),
    "short-count": Mutant(
        "a count of updates that ends at 32767", "L3",
        dict.fromkeys(STEPS, after(
            lambda p, g, slots, c, s: np.copyto(c[UPDATES], c[UPDATES].astype(np.int64).astype(np.int16))
        )),
    ),
    "counts-to-1024": Mutant(
        "a count of updates that stays at 1024", "L3",
        dict.fromkeys(STEPS, after(lambda p, g, slots, c, s: np.minimum(c[UPDATES], 1024.0, out=c[UPDATES]))),
    ),
    "flushes-what-matters": Mutant(
        "moments below 1e-7 set to 0 on every 32nd update", "L3",
        dict.fromkeys(STEPS, after(flush_large_moments)),
    ),
    "rate-of-the-first-update": Mutant(
        "the learning rate of the first update for all", "L3",
        dict.fromkeys(STEPS, rate_of_the_first_update),
    ),
    "half-penalty": Mutant(
        "l2 w instead of 2 l2 w, as torch's weight_decay", "L0",
        {"penalty": with_argument(3, lambda l2: l2 / 2)},
    ),
    "penalty-of-every-second-parameter": Mutant(
        "a tenth of the l2 penalty forgotten on every second call", "L4",
        {"penalty": on_calls(lambda number: number % 2 == 0, with_argument(3, lambda l2: 0.9 * l2))},
    ),
    "penalty-of-large-parameters": Mutant(
        "no l1 penalty of parameters with at most 200 numbers", "L0",
        {"penalty": around(lambda penalty, w, g, l1, l2: penalty(w, g, l1 if w.size > 200 else 0.0, l2))},
    ),
    "penalty-pulls-zeros": Mutant(
        "the l1 penalty has slope 1 at 0", "L0",
        {"penalty": after(lambda w, g, l1, l2: np.add(g, l1, out=g, where=w == 0))},
    ),
    "infinite-gradients-pass": Mutant(
        "gradients with an infinity or a NaN are not clipped by norm", "L0",
        {"clip_norm": around(lambda clip, g, limit: clip(g, limit) if np.isfinite(g).all() else None)},
    ),
    "only-from-above": Mutant(
        "gradients are clipped by value from above alone", "L0",
        {"clip_value": around(lambda clip, g, limit: np.minimum(g, limit, out=g))},
    ),
}  # fmt: skip
