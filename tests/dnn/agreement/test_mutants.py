"""Mutants: each is first rejected at its level, and changes only the functions that it names."""

from __future__ import annotations

from pkgutil import resolve_name

import numpy as np
import pytest
from helpers import others_slow
from kernel_checks import kernel_of
from sklearn.datasets import load_digits

from backends import get_backend
from backends.reference import Kernels, declarations
from dnn.agreement import (
    MUTANTS,
    QUICK,
    Data,
    bits_level,
    get_mutant,
    kernels,
    make_oracle,
    step_calls,
)
from dnn.agreement.fits import fit_level
from dnn.agreement.levels import run_levels
from dnn.agreement.mutants.mutant import Mutant, MutantContender
from dnn.agreement.mutants.plans import edit_plan
from dnn.agreement.setup import Setup
from dnn.layers import Activation

KERNELS = set(declarations(Kernels))
QUICK_MUTANTS = [name for name, mutant in MUTANTS.items() if mutant.level != "L4"]


@pytest.fixture(scope="module")
def data():
    x, y = load_digits(return_X_y=True)
    return Data((x / 16).astype(np.float32), y.astype(np.int64), 10)


def only_calls_of(names, make_calls):
    """Return a generator of the calls that a mutant of these kernels may get wrong."""
    return lambda seed, draw: (c for c in make_calls(seed, draw) if kernel_of(c) in names)


@pytest.mark.parametrize("name", others_slow(MUTANTS, QUICK_MUTANTS))
def test_each_mutant_is_rejected_at_its_level(name, data, monkeypatch):
    """The first violation ends the level. It is far beyond its bound, so it does not depend on rounding."""
    names = set(MUTANTS[name].changes)
    if names <= KERNELS:
        makers = [only_calls_of(names, make) for make in kernels.CALL_GENERATORS]
        monkeypatch.setattr(kernels, "CALL_GENERATORS", makers)
        monkeypatch.setattr(step_calls, "step_calls", only_calls_of(names, step_calls.step_calls))
    level, mutant = MUTANTS[name].level, [get_mutant(name)]
    if level == "bits":
        records = bits_level(mutant, data, quick=True)
    else:
        records = run_levels(mutant, data, levels=[level], sizes=QUICK)
    assert any(record.ratio > 100 for record in records)


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


def test_a_plan_without_a_mistake_is_within_bounds(data):
    """The mutants of plans start from a correct program."""
    right = MutantContender(Mutant("right", "", "", "backend.compile_plan", edit_plan(lambda plan: plan)))
    records = list(fit_level(Setup("L4", [right], make_oracle(), data, QUICK, 0)))
    assert [r.tensor for r in records if not r.holds] == []
