"""Mutants: each is first rejected at its level, and changes only the functions that it names."""

from __future__ import annotations

from pkgutil import resolve_name

import numpy as np
import pytest
from helpers import others_slow
from sklearn.datasets import load_digits

from backends import get_backend
from backends.reference import Kernels, declarations
from dnn.agreement import (
    LEVELS,
    MUTANTS,
    QUICK,
    Data,
    bits_level,
    check,
    get_mutant,
    make_oracle,
    worst_record,
)
from dnn.agreement.fits import fit_level
from dnn.agreement.mutants.mutant import Mutant, MutantContender
from dnn.agreement.mutants.plans import edit_plan
from dnn.agreement.setup import Setup
from dnn.layers import Activation

QUICK_MUTANTS = [
    *(name for name, mutant in MUTANTS.items() if mutant.level == "L0"), "tf32", "dropped-mean",
    "flipped-kernel", "swapped-label",
]  # fmt: skip


@pytest.mark.parametrize("name", others_slow(MUTANTS, QUICK_MUTANTS))
def test_each_mutant_is_first_rejected_at_its_level(name):
    x, y = load_digits(return_X_y=True)
    data = Data((x / 16).astype(np.float32), y.astype(np.int64), 10)
    level = MUTANTS[name].level
    earlier = [other for other in LEVELS if other < level]
    assert all(r.holds for r in check([get_mutant(name)], data, levels=earlier, sizes=QUICK))
    # The worst violation is far beyond the bound, so rejection does not depend on rounding.
    mutant = [get_mutant(name)]
    if level == "bits":
        records = list(bits_level(mutant, data, quick=True))
    else:
        records = check(mutant, data, levels=[level], sizes=QUICK)
    assert worst_record(records).ratio > 100


# --------------------------------------------------------------------------- what is changed


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_changes_only_its_functions(name):
    mutant = MUTANTS[name]
    backend = get_backend("numpy")
    wrong = mutant.mutate(backend)
    found = {f"xp.{k}" for k, v in vars(wrong.xp).items() if v is not vars(backend.xp)[k]}
    found |= {f"backend.{k}" for k in set(vars(wrong)) - set(vars(backend.with_wrapper(wrong.wrap)))}
    found |= {kernel for kernel in declarations(Kernels) if wrong.wrap(kernel, print) is not print}
    shared = {part for part in mutant.changes if part.startswith("dnn.")}
    right = {part: resolve_name(part) for part in shared}
    with get_mutant(name).shared_mistake():
        assert all(resolve_name(part) is not right[part] for part in shared)
    assert all(resolve_name(part) is right[part] for part in shared)
    assert found | shared == set(mutant.changes)


def test_get_mutant_returns_the_named_mutant():
    mutant = get_mutant("softmax-of-64")
    assert mutant.name == "numpy!softmax-of-64"
    z = np.zeros((1, 65))
    found = mutant.run_layer(Activation("softmax"), (65,), {}, [(z, z)])["y"]
    np.testing.assert_allclose(found, 1 / 64, rtol=1e-6)
    np.testing.assert_array_equal(mutant.run_layer(Activation("relu"), (65,), {}, [(z, z)])["y"], z)


def test_a_plan_without_a_mistake_is_within_bounds():
    """The mutants of plans start from a correct program."""
    x, y = load_digits(return_X_y=True)
    data = Data((x / 16).astype(np.float32), y.astype(np.int64), 10)
    right = MutantContender(Mutant("right", "", "", "backend.compile_plan", edit_plan(lambda plan: plan)))
    records = list(fit_level(Setup("L4", [right], make_oracle(), data, QUICK, 0)))
    assert [r.tensor for r in records if not r.holds] == []
