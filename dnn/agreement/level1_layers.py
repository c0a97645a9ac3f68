"""L1: compare forward and backward of every layer with a random dL/dy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.contenders.contender import Batches, build_layer
from dnn.agreement.contenders.oracle import disturb, make_disturbed_oracle, measure_condition
from dnn.agreement.records import Record
from dnn.agreement.samples import samples, sum_lengths
from dnn.agreement.setup import Setup
from dnn.layers import Layer
from dnn.layers.augmentation import Warp
from dnn.layers.normalization import Normalization

LATER_BATCH_SIZES = (37, 5, 37)
"""Sizes of the batches after the first."""
KINK_DISTANCE = 2.0**-5
"""Distance from a kink, for z, below which dL/dy is set to 0; large enough for TF32."""


def layer_level(setup: Setup) -> Iterator[Record]:
    """Compare y, dx, parameter gradients and buffers of every sample layer; a quarter has several threads."""
    for number, (name, make, shape) in enumerate(samples()):
        with setup.in_threads(several=number % 4 == 3):
            yield from _judge_layer(setup, name, make, shape)


def _batches(setup: Setup, probe: Layer) -> Batches:
    """Return a batch of the usual size and those of LATER_BATCH_SIZES, as (x, dy).

    A sum of few numbers that cancels says nothing about a library, so dy is mostly positive. For softmax only
    the first column is positive, since its derivative subtracts the mean.
    """
    cuts = np.cumsum([setup.sizes.batch, *LATER_BATCH_SIZES])
    x = setup.normal("layer x", (int(cuts[-1]), *probe.input_shape))
    if probe.n_categories is not None:  # x holds row indices
        x = np.floor(abs(8.0 * x)) % probe.n_categories
    dy = setup.normal("layer dy", (len(x), *probe.output_shape))
    if isinstance(probe, Normalization):
        x[cuts[-2] :] += 1000.0  # E[x^2] - E[x]^2 has no correct digits here
    else:
        dy[..., : 1 if probe.activation == "softmax" else None] += 3.0
    return list(zip(np.split(x, cuts[:-1]), np.split(dy, cuts[:-1]), strict=True))


def _judge_layer(
    setup: Setup, name: str, make: Callable[..., Layer], shape: tuple[int, ...]
) -> Iterator[Record]:
    probe = make()
    shapes = build_layer(probe, shape, get_backend("numpy")).shapes
    values = {
        short: (setup.normal(f"values {short}", form) / np.float32(np.sqrt(form[0])))
        for short, form in shapes.items()
    }
    batches = _batches(setup, probe)

    if ACTIVATIONS[probe.activation].kink:
        # dL/dy = 0 where the oracle's z, the y of a linear layer, is near the kink: its sign does not matter.
        plain = setup.oracle.run_layer(make(activation="linear"), shape, values, batches)
        z = [array for name, array in plain.items() if name.startswith("y") and name != "y in evaluation"]
        batches = [
            (x, np.where(np.abs(near_z) < KINK_DISTANCE, np.float32(0.0), dy))
            for near_z, (x, dy) in zip(z, batches, strict=True)
        ]
    expected = setup.oracle.run_layer(make(), shape, values, batches)
    oracle, moved = setup.oracle, batches
    if isinstance(probe, (Normalization, Warp)):
        # Their kernels read a mean or a matrix, whose rounding moves all rows alike.
        oracle = make_disturbed_oracle(setup.seed)
    else:
        rng = np.random.default_rng(setup.seed)
        moved = [
            (x if probe.n_categories is not None else disturb(rng, x), disturb(rng, dy)) for x, dy in batches
        ]
    condition = measure_condition([oracle.run_layer(make(), shape, values, moved)], expected)
    bound = partial(_layer_bound, probe, [len(x) for x, _ in batches], condition)
    yield from setup.compare(
        name, lambda c: c.run_layer(make(), shape, values, batches), bound, expected=expected
    )


def _layer_bound(
    probe: Layer, sizes: Sequence[int], condition: Mapping[str, float], tensor: str, unit: float
) -> float:
    """Return the bound of a tensor of ``Contender.run_layer``.

    Args:
        probe: the built layer. sizes: of the batches. unit: unit roundoff.
        condition: factor by which the layer magnifies a relative error of x and dL/dy, for each tensor. A
            normalisation magnifies the rounding of the mean that it subtracts, an activation that of z.
    """
    short, _, number = tensor.partition(" ")
    is_average = short != "y" and not short.startswith("d")  # a running average: a mean
    last = is_average or bool(number)
    forward, back, over = sum_lengths(probe, sizes[int(number) - 1 if number.isdecimal() else -last])
    k = {"y": forward, "dx": back}.get(short, over)
    return bounds.layer(k, unit, 1.0 if is_average else max(1.0, condition[tensor]), 4.0)
