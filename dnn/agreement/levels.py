"""The levels L0 to L4 by name, and ``check``, which runs them."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from backends.claims import finally_call, nested
from backends.numpy.soundness import find_faults
from dnn.agreement.cases import Data
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.contenders.oracle import make_oracle
from dnn.agreement.level0_activations import activation_level
from dnn.agreement.level0_kernels import initializer_level, kernel_level
from dnn.agreement.level1_layers import layer_level
from dnn.agreement.level2_networks import network_level
from dnn.agreement.level4_fits import fit_level
from dnn.agreement.level4_trajectories import trajectory_level
from dnn.agreement.mutants import MutantContender
from dnn.agreement.records import Record
from dnn.agreement.setup import FULL, Setup, Sizes
from dnn.settings.checks import look_up, require, require_instances, require_kind

Level = Callable[[Setup], Iterator[Record]]

LEVELS: Mapping[str, tuple[Level, ...]] = {
    "L0": (activation_level, initializer_level, kernel_level),
    "L1": (layer_level,),
    "L2": (network_level,),
    "L3": (kernel_level,),
    "L4": (fit_level, trajectory_level),
}  # fmt: skip
"""Levels that compare with the oracle, each in parts. L5 (``accuracy_level``) needs a test set."""


def check(
    contenders: Sequence[Contender],
    data: Data,
    *,
    levels: Sequence[str] = tuple(LEVELS),
    sizes: Sizes = FULL,
    seed: int = 0,
) -> list[Record]:
    """Run levels on contenders and return all records.

    Raises InputError: an unknown level, no contender, an argument of another type, or NumPy's float64
    arithmetic is wrong.
    """
    require_instances("contenders", contenders, Contender)
    require(len(contenders) > 0, "contenders", contenders, "at least one")
    require_kind("data", data, Data)
    for name in levels:
        look_up("level", name, LEVELS)
    for fault in find_faults():
        raise fault
    return list(run_levels(Setup("", contenders, make_oracle(), data, sizes, seed), levels))


def run_levels(setup: Setup, levels: Sequence[str]) -> Iterator[Record]:
    """Yield the records of these levels, one after another."""
    # Overflow in a wrong program needs no warning: its record is broken, since NaN never holds.
    mistakes = [c.shared_mistake() for c in setup.contenders if isinstance(c, MutantContender)]
    log = finally_call(partial(logging.disable, logging.NOTSET))
    with np.errstate(all="ignore"), nested(mistakes), log, setup.in_threads(several=False):
        logging.disable(logging.WARNING)  # settings that people should avoid are compared, too
        for name in levels:
            for part in LEVELS[name]:
                yield from part(replace(setup, level=name))
