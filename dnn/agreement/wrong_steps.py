"""Steps of optimizers with one thing wrong, of which mutants are made: the right kernel -> the wrong one."""

from typing import Any

import numpy as np

from backends.dispatch import Kernel
from backends.reference.control import BIAS_1, BIAS_2, RATE, UPDATES
from backends.reference.signatures import Array, Arrays, Numbers


def adam_epsilon(kernel: Kernel) -> Kernel:
    def adam(p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        (m, v), (beta1, beta2, epsilon) = slots, settings
        control[BIAS_1] = beta1 * control[BIAS_1] + (1.0 - beta1)
        control[BIAS_2] = beta2 * control[BIAS_2] + (1.0 - beta2)
        control[UPDATES] += 1.0
        m[...] = beta1 * m + (1.0 - beta1) * g
        v[...] = beta2 * v + (1.0 - beta2) * g * g
        p -= control[RATE] * np.sqrt(control[BIAS_2]) / control[BIAS_1] * m / (np.sqrt(v) + epsilon)

    return adam


def stale_momentum(kernel: Kernel) -> Kernel:
    def step(p: Array, g: Array, slots: Arrays, *rest: Any) -> None:
        old = slots[0].copy()
        kernel(p, g, slots, *rest)
        slots[0][...] = old

    return step


def late_bias(kernel: Kernel) -> Kernel:
    def adam(p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if control[UPDATES] >= 1000:
            control[BIAS_2] = 1.0
        kernel(p, g, slots, control, settings)

    return adam


def short_count(kernel: Kernel) -> Kernel:
    def step(p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        kernel(p, g, slots, control, settings)
        control[UPDATES] = control[UPDATES].astype(np.int64).astype(np.int16)

    return step


def negative_variance(kernel: Kernel) -> Kernel:
    def step(p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        (v, velocity, mean), (decay, epsilon, momentum) = slots, settings
        control[UPDATES] += 1.0
        v[...] = decay * v + (1.0 - decay) * g * g
        mean[...] = decay * mean + (1.0 - decay) * g
        velocity[...] = momentum * velocity + g / (np.sqrt(np.abs(v - mean * mean)) + epsilon)
        p -= control[RATE] * velocity

    return step
