"""The bounds of L0 to L2 are near those that ``array_agreement`` derives for any function.

The reference kernels run in float64 over a namespace that perturbs every call by random float32 roundings.
Each perturbed run is a contender, so each comparison measures its error. The derived bound is the mean of
these errors plus Student's quantile times their standard deviation, and at least one rounding.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from array_agreement.bounds import FALSE_ALARM_PROBABILITY, t_quantile
from array_agreement.calls import Array, unwrap
from array_agreement.rounding import MIN_NORMAL, Rounding
from array_agreement.watched import WatchedNamespace
from backends import Backend
from dnn.agreement import QUICK, make_oracle
from dnn.agreement.bounds import U
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.level0_activations import activation_level
from dnn.agreement.level1_layers import layer_level
from dnn.agreement.level2_networks import network_level
from dnn.agreement.setup import Setup

MAX_FACTOR = 10.0
"""Largest allowed ratio of the two bounds, in either direction."""


class RandomWalk(Rounding):
    """Rounding for sums with terms in random order. In general partial sums may grow to sum|x|; here they are
    a random walk with drift to the result r: u sqrt(k / 3 (r^2 + 1.5 sum x^2)).
    """

    def sum_error(self, call, r):
        most = super().sum_error(call, r)
        if call.name in ("var", "std"):
            return most

        def total(power):  # sum |x|^power
            return call.compute(lambda a: np.abs(a.value) ** power if isinstance(a, Array) else a)

        k = call.arrays[0].size / np.size(r) if call.name == "mean" else 1.0
        walk = np.sqrt(r * r + 1.5 * total(2) / k)
        return most * np.minimum(1.0, walk / np.maximum(total(1), MIN_NORMAL))


class DisturbedBackend(Backend):
    """The reference kernels over a watched namespace; ``to_host`` keeps float64."""

    def to_host(self, array):
        return np.asarray(unwrap(array))


def disturbed_run(seed, number):
    """Return a contender with its own random perturbations."""

    def open_backend(dtype):
        space = WatchedNamespace(wide=True)
        space.hook = RandomWalk(np.random.default_rng([seed, number]))
        return DisturbedBackend("disturbed", space, "cpu", dtype, fused=False)

    return BackendContender(f"disturbed {number}", open_backend)


def bound_pairs(records):
    """Return (level, case, tensor) -> (our bound, derived bound), from the records of perturbed runs."""
    largest = {}
    groups = {}
    for r in records:
        # The fourth batch of a normalisation has a large mean. The bound holds for a library that computes
        # the variance in one pass, but the reference corrects it. Evaluation uses the running averages.
        last = " 4", "running_mean", "y in evaluation"
        normalisations = "BatchNormalization", "LayerNormalization"
        if not (r.case.startswith(normalisations) and r.tensor.endswith(last)):
            groups.setdefault((r.level, r.case, r.tensor, r.note), []).append(r)
    for (level, case, tensor, _), group in groups.items():
        errors = np.asarray([r.measured for r in group])
        analytic = max(r.bound for r in group)
        least = U if analytic < 0.1 else 0.5  # errors in ULPs
        if not analytic and not errors.any():
            least = 0.0
        spread = t_quantile(len(errors), FALSE_ALARM_PROBABILITY) * float(np.std(errors, ddof=1))
        pair = analytic, max(least, float(np.mean(errors)) + spread)
        key = level, case, tensor
        largest[key] = max(pair, largest.get(key, pair), key=lambda pair: pair[1])
    return largest


def distant_pairs(pairs):
    """Return the pairs with a ratio beyond MAX_FACTOR. Two bounds of 0 are equal."""
    return {
        key: (analytic, derived)
        for key, (analytic, derived) in pairs.items()
        if derived and not 1.0 / MAX_FACTOR <= analytic / derived <= MAX_FACTOR
    }


@pytest.mark.slow
@pytest.mark.parametrize("part", [activation_level, layer_level, network_level])
def test_bounds_are_near_the_derived_ones(data, monkeypatch, part):
    """L0's calls are left out: they have one bound for inputs of all sizes, and mostly exact inputs."""
    monkeypatch.setattr("backends.reference.arithmetic.BLOCK_ROWS", sys.maxsize)  # bounds hold for any order
    disturbed = [disturbed_run(0, number) for number in range(16)]
    with np.errstate(all="ignore"):
        setup = Setup("", disturbed, make_oracle(), data, replace(QUICK, batches=1), 0)
        pairs = bound_pairs(part(setup))
    assert len(pairs) > 20
    assert distant_pairs(pairs) == {}
