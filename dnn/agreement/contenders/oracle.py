"""The oracle: NumPy in float64 with the reference kernels, and rows on which no kink makes it ambiguous.

It gets the same float32 inputs and weights as the contenders, so its own error is 2^29 times smaller than the
errors that it measures.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS
from backends.reference.declaration import Kernel
from dnn.agreement import bounds
from dnn.agreement.calls.call import declaration_of, map_arrays
from dnn.agreement.cases import Case
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.contenders.ours import BackendContender
from dnn.losses import get_loss
from dnn.typing import HostArrays

DISTURBANCE = 2.0**-30
"""Relative change of numbers, by which the condition of layers and networks is measured."""


def make_oracle() -> BackendContender:
    """Return the contender that all others are compared with. It computes in float64 for every dtype."""
    return BackendContender("oracle", lambda _: get_backend("numpy", dtype="float64", fused=False))


def disturb(rng: np.random.Generator, a: np.ndarray, size: float = DISTURBANCE) -> np.ndarray:
    """Return the numbers in float64, each moved up or down by ``size``, relative to itself."""
    return np.asarray(a * rng.choice([1.0 - size, 1.0 + size], a.shape))


def make_disturbed_oracle(
    seed: int, size: float = DISTURBANCE, exact: str = "displacements"
) -> BackendContender:
    """Return an oracle that simulates rounding: each number that a kernel reads is moved up or down by
    ``size``, relative to itself.

    Args:
        exact: the kernel that reads exact numbers. "displacements" rounds sums of integers to integers.
    """
    rng = np.random.default_rng(seed)

    def move(a: np.ndarray) -> np.ndarray:
        return disturb(rng, a, size) if a.dtype.kind == "f" else a

    def wrap(name: str, kernel: Kernel) -> Kernel:
        if name == exact:
            return kernel
        declared = declaration_of(name)
        written = [argument in declared.writes for argument in declared.arguments]

        def call_disturbed(*arguments: Any) -> None:
            kernel(*(a if out else map_arrays(move, a) for a, out in zip(arguments, written, strict=True)))

        return call_disturbed

    return BackendContender("disturbed", lambda dtype: make_oracle().backend.with_wrapper(wrap))


def measure_condition(disturbed: Iterable[HostArrays], expected: HostArrays) -> dict[str, float]:
    """Return tensor -> the largest relative change of its finite numbers, in units of DISTURBANCE."""
    found = dict.fromkeys(expected, 0.0)
    for tensors in disturbed:
        for name, moved in tensors.items():
            finite = np.isfinite(expected[name]) & np.isfinite(moved)
            change = bounds.eta(moved[finite], expected[name][finite])
            found[name] = max(found[name], change / DISTURBANCE)
    return found


def safe_rows(case: Case, oracle: Contender, x: np.ndarray, y: np.ndarray, n_wanted: int) -> np.ndarray:
    """Return the first ``n_wanted`` rows of x and y on which the oracle is not near a kink.

    If z of a relu unit is 0 up to rounding, one library may switch the unit on and another off. The gradient
    then jumps, which no bound on rounding covers, and neither library is wrong.
    """
    found = oracle.compute(case, x, y)
    distances = []
    if ACTIVATIONS[case.activation].kink:  # the sign of z must be certain in the hidden layers
        distances += [found[f"z {name}"] for name in list(case.products)[:-1]]
    kink = get_loss(case.loss).kink
    if kink is not None:
        distances.append(kink(found["outputs"], np.eye(case.classes)[y]))
    # L2 bounds the norm. The largest of 1e5 elements has a few times the rms error, and measured errors are
    # about a tenth of the bound, so 4 times the bound is ample.
    margin = 4.0 * bounds.forward(case.inner)
    safe = np.ones(len(x), dtype=bool)
    for distance in distances:
        safe &= np.min(np.abs(distance), axis=1) > margin * np.sqrt(np.mean(distance**2))
    return np.flatnonzero(safe)[:n_wanted]
