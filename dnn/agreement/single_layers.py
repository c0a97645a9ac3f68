"""L1: one forward and backward of every layer with a random cotangent."""

from collections.abc import Callable, Iterator
from math import prod

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.contender import Batches, Contender
from dnn.agreement.oracle import pre_activation
from dnn.agreement.propagation import Function
from dnn.agreement.records import Record, count_different
from dnn.agreement.samples import condition, evaluation_conditions, inner_dimensions, samples
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named
from dnn.layers import BatchNormalization, Layer
from dnn.layers.normalization import Normalization

SHORT = (37, 5, 37)
"""Batches after the first: a shorter one, one shorter still, and again the first of these."""
NEAR = 1e-4
"""Of a kink; farther where a contender rounds the factors of its products."""
LARGE = 1025
EXACT = ("Dense", "MaxPooling2D", "Flatten", "Reshape", "Activation", "Embedding", "RandomTranslation")
"""Layers that only add, multiply and choose. (Convolution may go through fractions, as Winograd's does.)"""


def layer_level(setup: Setup) -> Iterator[Record]:
    """y, dx and the parameter gradients within u (sqrt(k) + 10)."""
    for name, make, shape in samples():
        yield from _layer(setup, name, make, shape)


def _batches(setup: Setup, probe: Layer) -> Batches:
    """A batch and those of SHORT; dy is mostly positive where a sum of few may cancel, which says nothing (of
    softmax only the first, since its derivative takes the mean away)."""
    batch = setup.sizes.batch
    cuts = np.cumsum([batch, *SHORT])
    x = setup.normal("layer x", (int(cuts[-1]), *probe.input_shape))
    if probe.n_categories is not None:  # x are numbers of rows
        x = np.floor(abs(8.0 * x)) % probe.n_categories
    dy = setup.normal("layer dy", (len(x), *probe.output_shape))
    if isinstance(probe, Normalization):
        x[cuts[-2] :] += 1000.0  # where the mean of squares and the square of the mean have no digits left
    else:
        few = probe.output_shape[-1] < 24
        first = probe.activation == "softmax"
        dy[0 if few else batch :, ..., : 1 if first else None] += 3.0 if first or few else 1.0
    return list(zip(np.split(x, cuts[:-1]), np.split(dy, cuts[:-1]), strict=True))


def _layer(setup: Setup, name: str, make: Callable[[], Layer], shape: tuple[int, ...]) -> Iterator[Record]:
    probe = make()
    probe.build(shape, get_backend("numpy"), "layer", first=probe.must_precede_trained)
    values = {
        short: (setup.normal(f"values {short}", form) / np.float32(np.sqrt(form[0])))
        for short, form in probe.parameter_shapes().items()
    }
    batches = _batches(setup, probe)
    if type(probe).__name__ in EXACT and probe.activation in ("linear", "relu"):
        yield from _exact(setup, name, make, probe, values, batches)

    def pre_activations(x: np.ndarray) -> np.ndarray:
        return pre_activation(setup.oracle, make, shape, values, x)

    if ACTIVATIONS[probe.activation].kink:
        # Units whose oracle z is near the kink get no cotangent, so their side does not matter.
        near = max([NEAR, *(32.0 * c.unit for c in setup.contenders if c.unit > bounds.U)])
        batches = [(x, np.where(np.abs(pre_activations(x)) < near, np.float32(0.0), dy)) for x, dy in batches]
    flat = 1.0  # what f makes of a relative error of z
    if probe.activation not in ("linear", "softmax"):
        f = Function(probe.activation, pre_activations(batches[0][0]))
        flat = bounds.norm(f.slope(f.z)) / bounds.norm(f.y)

    def ask(c: Contender) -> Named:
        return c.use(make(), shape, values, batches)

    wanted = ask(setup.oracle)
    yield from setup.judge(name, ask, _bound(probe, batches, wanted, flat), wanted=wanted)


def _bound(probe: Layer, batches: Batches, wanted: Named, flat: float) -> Callable[[str, float], float]:
    """The bound for a tensor of ``Contender.use``, and a unit."""
    inner = [inner_dimensions(probe, len(x)) for x, _ in batches]
    magnified = [condition(probe, x) for x, _ in batches]

    def running(tensor: str, unit: float) -> float:
        """Of an average, of which what is left of its start is exact."""
        assert isinstance(probe, BatchNormalization)
        start = (1.0 - probe.momentum) ** len(batches) if tensor == "running_variance" else 0.0
        share = bounds.norm(wanted[tensor] - start) / bounds.norm(wanted[tensor])
        return bounds.layer(inner[0][2], unit, share)

    def bound(tensor: str, unit: float) -> float:
        short, _, number = tensor.partition(" ")
        i = int(number) - 1 if number.isdecimal() else -1 if number else 0  # "y in evaluation": the last
        forward, back, over = inner[i]
        k = {"y": forward, "dx": back}.get(short, over)
        worst = magnified[i] * (flat if short == "y" else 1.0)
        if tensor == "y in evaluation" and probe.must_precede_trained:  # x, or rows of a table
            worst = 1.0
        if short.startswith("running"):
            return running(tensor, unit)
        if tensor == "y in evaluation" and isinstance(probe, BatchNormalization):
            far, worst = evaluation_conditions(probe, batches[-1][0], wanted)
            averages = far * running("running_mean", unit) + running("running_variance", unit) / 2.0
            return bounds.layer(1, unit, worst) + averages
        if short == "dgamma" and not probe.uses_batch_statistics:
            # Each row has a mean of its own: x^ is magnified, not the sum over the rows.
            return bounds.layer(probe.input_shape[-1], unit, worst) + bounds.layer(over, unit)
        if short == "dbeta":  # sum dy
            worst = 1.0
        elif short == "dx" and probe.uses_batch_statistics:  # x^ is in it times a mean of dy x^ over all rows
            worst = max(1.0, worst * min(1.0, 4.0 / np.sqrt(over)))
        elif short == "dgamma":
            # sum dy x^: where all x^ of a column are off by as much, so is it, times sum dy
            sums = bounds.norm(wanted[tensor.replace("gamma", "beta")])
            worst *= max(1.0, sums / bounds.norm(wanted[tensor]))
        return bounds.layer(k, unit, worst, 4.0 if short in ("y", "dx") else 5.0)

    return bound


def _exact(
    setup: Setup, name: str, make: Callable[[], Layer], probe: Layer, values: Named, batches: Batches
) -> list[Record]:
    """Sums of integers below 2^24 are exact in any order: results are equal, at ties and kinks too."""
    shape = probe.input_shape
    size = 2.0 if probe.n_categories is None else 1.0
    integers = [(np.rint(size * x), np.rint(2.0 * dy)) for x, dy in batches]
    if prod(shape) < 24:
        x, dy = (
            setup.normal("large x", (LARGE, *shape)),
            setup.normal("large dy", (LARGE, *probe.output_shape)),
        )
        integers.append((np.rint(x), np.rint(dy)))
    weights = {short: np.rint(8.0 * v) for short, v in values.items()}

    def ask(c: Contender) -> Named:
        return c.use(make(), shape, weights, integers)

    return setup.judge(f"{name} of integers", ask, 0.0, count_different)
