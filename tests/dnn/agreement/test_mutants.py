"""Mutants: each is first rejected at its level, and changes only the functions that it names."""

from __future__ import annotations

from functools import cache, partial
from inspect import getsource
from pkgutil import resolve_name
from textwrap import dedent

import numpy as np
import pytest
from helpers import others_slow
from kernel_checks import kernel_of

from backends import get_backend
from backends.reference import Kernels, declarations
from dnn.agreement import (
    MUTANTS,
    QUICK,
    bits_level,
    get_mutant,
    level0_kernels,
    make_oracle,
)
from dnn.agreement.calls.call import make_draw
from dnn.agreement.level4_fits import fit_level
from dnn.agreement.levels import run_levels
from dnn.agreement.mutants import helpers
from dnn.agreement.mutants.mutant import Mutant, MutantContender
from dnn.agreement.setup import Setup

NUMPY = get_backend("numpy")
KERNELS = set(declarations(Kernels))
QUICK_MUTANTS = [name for name, mutant in MUTANTS.items() if mutant.level != "L4"]


@cache
@np.errstate(all="ignore")
def kernels_of(make_calls):
    return {kernel_of(call) for call in make_calls(make_draw(0))}


def only_calls_of(names, make_calls):
    """Return a generator of the calls that a mutant of these kernels may get wrong."""
    return lambda draw: (c for c in make_calls(draw) if kernel_of(c) in names)


@pytest.mark.parametrize("name", others_slow(MUTANTS, QUICK_MUTANTS))
def test_each_mutant_is_rejected_at_its_level(name, data, monkeypatch):
    """The first violation ends the level: a wrong number, no exception.

    It is far beyond its bound, so it does not depend on rounding.
    """
    assert get_mutant(name).name == f"numpy!{name}"
    names = set(MUTANTS[name].names)
    if names <= KERNELS:
        makers = {
            level: [only_calls_of(names, m) for m in generators if names & kernels_of(m)]
            for level, generators in level0_kernels.CALL_GENERATORS.items()
        }
        monkeypatch.setattr(level0_kernels, "CALL_GENERATORS", makers)
    level, mutant = MUTANTS[name].level, [get_mutant(name)]
    if level == "bits":
        records = bits_level(mutant, data, quick=True)
    else:
        records = run_levels(Setup("", mutant, make_oracle(), data, QUICK, 0), [level])
    first = next(record for record in records if record.ratio > 100)
    assert not first.tensor.endswith("Error"), first.note


# --------------------------------------------------------------------------- what is changed


def codes(backend, names):
    """Return the code of each kernel, of the plan, and of the functions with these dotted names."""
    functions = {name: getattr(backend.kernels, name) for name in KERNELS}
    functions |= {"run_plan": backend.compile_plan}
    functions |= {name: resolve_name(name) for name in names if "." in name}
    return {name: getattr(f, "func", f).__code__ for name, f in functions.items()}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_changes_only_its_functions(name):
    mutant = MUTANTS[name]
    right, wrong = (partial(codes, backend, mutant.names) for backend in (NUMPY, mutant.mutate(NUMPY)))
    before = right()
    with get_mutant(name).shared_mistake():
        assert {name for name, code in wrong().items() if code is not before[name]} == set(mutant.names)
    assert all(code is before[name] for name, code in right().items())


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_replaces_each_of_its_texts(name):
    mutant = MUTANTS[name]
    right = {kernel: getattr(NUMPY.kernels, kernel) for kernel in KERNELS} | {"run_plan": helpers.run_plan}
    sources = [dedent(getsource(right.get(n) or resolve_name(n))) for n in mutant.names]
    assert all(any(text in source for text in mutant.edits) for source in sources)
    assert all(any(text in source for source in sources) for text in mutant.edits)


@pytest.mark.slow  # as the mutants of plans
def test_a_plan_without_a_mistake_is_within_bounds(data):
    """The mutants of plans start from a correct program."""
    right = MutantContender(Mutant("right", "run_plan", {"range(n)": "range(+n)"}))
    records = list(fit_level(Setup("L4", [right], make_oracle(), data, QUICK, 0)))
    assert [r.tensor for r in records if not r.holds] == []
