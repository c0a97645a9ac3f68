"""L1: compare forward and backward of every layer with a random dL/dy."""

from collections.abc import Callable, Iterator

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.contender import Batches, Contender
from dnn.agreement.oracle import pre_activation
from dnn.agreement.propagation import Function
from dnn.agreement.records import Record
from dnn.agreement.samples import condition, evaluation_conditions, samples, sum_lengths
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named
from dnn.layers import BatchNormalization, Layer
from dnn.layers.normalization import Normalization

LATER_BATCH_SIZES = (37, 5, 37)
"""Sizes of the batches after the first."""
KINK_DISTANCE = 1e-4
"""Distance from a kink, for z, below which dL/dy is set to 0; larger with TF32."""


def layer_level(setup: Setup) -> Iterator[Record]:
    """Compare y, dx, parameter gradients and buffers of every sample layer."""
    for name, make, shape in samples():
        yield from _judge_layer(setup, name, make, shape)


def _batches(setup: Setup, probe: Layer) -> Batches:
    """Return a batch of the usual size and those of LATER_BATCH_SIZES, as (x, dy).

    A sum of few numbers that cancels says nothing about a library. So dy is mostly positive in the later
    batches, and in all of them if the layer has few outputs. For softmax only the first column is positive,
    since its derivative subtracts the mean.
    """
    batch = setup.sizes.batch
    cuts = np.cumsum([batch, *LATER_BATCH_SIZES])
    x = setup.normal("layer x", (int(cuts[-1]), *probe.input_shape))
    if probe.n_categories is not None:  # x holds row indices
        x = np.floor(abs(8.0 * x)) % probe.n_categories
    dy = setup.normal("layer dy", (len(x), *probe.output_shape))
    if isinstance(probe, Normalization):
        x[cuts[-2] :] += 1000.0  # E[x^2] - E[x]^2 has no correct digits here
    else:
        is_narrow = probe.output_shape[-1] < 24
        first = probe.activation == "softmax"
        dy[0 if is_narrow else batch :, ..., : 1 if first else None] += 3.0 if first or is_narrow else 1.0
    return list(zip(np.split(x, cuts[:-1]), np.split(dy, cuts[:-1]), strict=True))


def _judge_layer(
    setup: Setup, name: str, make: Callable[[], Layer], shape: tuple[int, ...]
) -> Iterator[Record]:
    probe = make()
    probe.build(shape, get_backend("numpy"), "layer", first=probe.must_precede_trained)
    values = {
        short: (setup.normal(f"values {short}", form) / np.float32(np.sqrt(form[0])))
        for short, form in probe.parameter_shapes().items()
    }
    batches = _batches(setup, probe)

    def pre_activations(x: np.ndarray) -> np.ndarray:
        return pre_activation(setup.oracle, make, shape, values, x)

    if ACTIVATIONS[probe.activation].kink:
        # dL/dy = 0 where the oracle's z is near the kink, so that its sign does not matter.
        near = max([KINK_DISTANCE, *(32.0 * c.unit for c in setup.contenders if c.unit > bounds.U)])
        batches = [(x, np.where(np.abs(pre_activations(x)) < near, np.float32(0.0), dy)) for x, dy in batches]
    relative_slope = 1.0  # factor by which f scales a relative error of z
    if probe.activation not in ("linear", "softmax"):
        f = Function(probe.activation, pre_activations(batches[0][0]))
        relative_slope = bounds.norm(f.slope(f.z)) / bounds.norm(f.y)

    def ask(c: Contender) -> Named:
        return c.run_layer(make(), shape, values, batches)

    expected = ask(setup.oracle)
    yield from setup.judge(
        name, ask, _layer_bound(probe, batches, expected, relative_slope), expected=expected
    )


def _layer_bound(
    probe: Layer, batches: Batches, expected: Named, relative_slope: float
) -> Callable[[str, float], float]:
    """Return a function (tensor of ``Contender.run_layer``, unit roundoff) -> bound.

    Args:
        probe: the built layer. expected: the oracle's tensors.
        relative_slope: factor by which the activation scales a relative error of z.
    """
    inner = [sum_lengths(probe, len(x)) for x, _ in batches]
    magnified = [condition(probe, x) for x, _ in batches]

    def running(tensor: str, unit: float) -> float:
        """Return the bound of a running average. The share of its initial value is exact."""
        assert isinstance(probe, BatchNormalization)
        start = (1.0 - probe.momentum) ** len(batches) if tensor == "running_variance" else 0.0
        share = bounds.norm(expected[tensor] - start) / bounds.norm(expected[tensor])
        return bounds.layer(inner[0][2], unit, share)

    def bound(tensor: str, unit: float) -> float:
        short, _, number = tensor.partition(" ")
        i = int(number) - 1 if number.isdecimal() else -1 if number else 0  # "y in evaluation": the last
        forward, back, over = inner[i]
        k = {"y": forward, "dx": back}.get(short, over)
        magnification = magnified[i] * (relative_slope if short == "y" else 1.0)
        if tensor == "y in evaluation" and probe.must_precede_trained:  # copies x, or rows of a table
            magnification = 1.0
        if short.startswith("running"):
            return running(tensor, unit)
        if tensor == "y in evaluation" and isinstance(probe, BatchNormalization):
            far, magnification = evaluation_conditions(probe, batches[-1][0], expected)
            averages = far * running("running_mean", unit) + running("running_variance", unit) / 2.0
            return bounds.layer(1, unit, magnification) + averages
        if short == "dgamma" and not probe.uses_batch_statistics:
            # Each row has its own mean, so the condition applies to x^ and not to the sum over rows.
            return bounds.layer(probe.input_shape[-1], unit, magnification) + bounds.layer(over, unit)
        if short == "dbeta":  # sum dy
            magnification = 1.0
        elif short == "dx" and probe.uses_batch_statistics:  # x^ enters times a mean of dy x^ over all rows
            magnification = max(1.0, magnification * min(1.0, 4.0 / np.sqrt(over)))
        elif short == "dgamma":
            # dgamma = sum dy x^. An error common to all x^ of a column is multiplied by sum dy = dbeta.
            sums = bounds.norm(expected[tensor.replace("gamma", "beta")])
            magnification *= max(1.0, sums / bounds.norm(expected[tensor]))
        return bounds.layer(k, unit, magnification, 4.0 if short in ("y", "dx") else 5.0)

    return bound
