"""The oracle: NumPy in float64 with the reference kernels, and the rows on which it is beyond doubt.

Its inputs and weights are the float32 numbers that everyone gets, so its own error is 2^29 times smaller
than what is measured with it.
"""

from collections.abc import Callable, Mapping

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Case
from dnn.agreement.contender import Contender, Network
from dnn.agreement.ours import BackendContender
from dnn.layers import Layer
from dnn.losses import get_loss
from dnn.validation.objects import layer_from_config


def make_oracle() -> BackendContender:
    """The contender that all others are compared with, in float64 in every dtype."""
    return BackendContender("oracle", lambda _: get_backend("numpy", dtype="float64", fused=False))


def pre_activation(
    oracle: Contender, make: Callable[[], Layer], shape: tuple[int, ...],
    values: Mapping[str, np.ndarray], x: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """z of a layer that ends in an activation: the y of one that does not."""
    layer = make()
    plain = layer_from_config(type(layer), {**layer.config(), "activation": "linear"})
    dy = np.zeros((len(x), *plain.shape_after(shape)), np.float32)
    return oracle.use(plain, shape, values, [(x, dy)])["y"]


def safe_rows(case: Case, network: Network, x: np.ndarray, y: np.ndarray, n_wanted: int) -> np.ndarray:
    """The first ``n_wanted`` rows of x and y on which no kink is near, by the oracle.

    A unit whose z is within rounding of 0 is on in one library and off in another: a jump of the
    gradient that no bound on rounding can cover, and not an error of either.
    """
    kink = get_loss(case.loss).kink
    jumps = ACTIVATIONS[case.activation].kink  # there the sign of z must not be in doubt
    if not jumps and kink is None:
        return np.arange(min(n_wanted, len(x)))
    found = network.compute(x, y)
    z = [values for name, values in found.items() if name.startswith("z ")]
    # L2's bound is on the norm. An element's error has the size of the rms error, times a few for the worst
    # of 1e5; the bound itself is about ten times what is measured, so 4 times it is ample.
    margin = [4.0 * bounds.forward(case.inner, i) * np.sqrt(np.mean(v**2)) for i, v in enumerate(z)]
    safe = np.ones(len(x), dtype=bool)
    for i, values in enumerate(z[:-1] if jumps else ()):  # the last layer's outputs have no kink
        safe &= np.min(np.abs(values), axis=1) > margin[i]
    if kink is not None:
        distance = kink(found["outputs"], np.eye(case.classes)[y])
        safe &= np.min(np.abs(distance), axis=1) > margin[-1]
    return np.flatnonzero(safe)[:n_wanted]
