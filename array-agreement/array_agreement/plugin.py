"""The pytest plugin: fixture and marker ``agree``, options --agree-*.

It imports no array library but NumPy.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from array_agreement.check import DEFAULT_BACKENDS, Agreement, Disagreement, check_agreement
from array_agreement.mutants import OUTCOMES, mutants
from array_agreement.oracle import Oracle
from array_agreement.picture import draw

RESULTS = pytest.StashKey[Any]()
"""A list of (test, Agreement), and a dict of mutant -> set of outcomes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("agree", "comparison of array backends").addoption
    add("--agree-backends", metavar="A,B", help="compare these backends instead of the tests' own")
    add("--agree-seeds", metavar="N", type=int, default=1, help="number of seeds for each test (default: 1)")
    add("--agree-report", metavar="FILE", help="write all verdicts as JSON, and a plot (.png)")
    add("--agree-mutants", action="store_true", help="list the wrong operations that no test detects")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "agree(backends=[...]): backends that the fixture agree compares")
    config.stash[RESULTS] = [], defaultdict(set)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    seeds = metafunc.config.getoption("--agree-seeds")
    if "agree" in metafunc.fixturenames and seeds > 1:
        metafunc.parametrize("agree", range(seeds), indirect=True, ids="seed{}".format)


@pytest.fixture
def agree(request: pytest.FixtureRequest) -> Callable[..., Agreement]:
    """``agree(f, *arrays, **options)`` fails if backends disagree, with check_agreement's options.

    ``agree.rng`` generates inputs.
    """
    config = request.config
    seed = getattr(request, "param", 0)
    marker = request.node.get_closest_marker("agree")
    option = config.getoption("--agree-backends")
    marked = marker.kwargs["backends"] if marker else DEFAULT_BACKENDS
    results, mutant_outcomes = config.stash[RESULTS]

    def check(f: Callable[..., Any], *arrays: Any, backends: Any = marked, **options: Any) -> Agreement:
        __tracebackhide__ = True
        backends = option.split(",") if option else backends
        try:
            agreement = check_agreement(f, *arrays, backends=backends, seed=seed, **options)
        except Disagreement as error:
            results.append((request.node.nodeid, error.args[0]))
            raise
        results.append((request.node.nodeid, agreement))
        if config.getoption("--agree-mutants"):
            settings = {name: options[name] for name in ("kwargs", "dtype") if name in options}
            for mutant, outcome in mutants(Oracle(f, arrays, seed=seed, **settings)).items():
                mutant_outcomes[f"{agreement.function}: {', '.join(mutant)}"].add(outcome)
        if not agreement.verdicts:
            pytest.skip("; ".join(f"{name}: {why}" for name, why in agreement.skipped.items()))
        return agreement

    check.rng = np.random.default_rng(seed)  # type: ignore[attr-defined]
    return check


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    write_line = terminalreporter.write_line
    results, mutant_outcomes = config.stash[RESULTS]
    for name, why in sorted({pair for _, agreement in results for pair in agreement.skipped.items()}):
        write_line(f"agree: {name} was not compared: {why}")
    best = [min(outcomes, key=OUTCOMES.index) for outcomes in mutant_outcomes.values()]
    if mutant_outcomes:
        write_line("agree: mutants: " + ", ".join(f"{best.count(outcome)} {outcome}" for outcome in OUTCOMES))
    for mutant, outcome in zip(mutant_outcomes, best, strict=True):
        if outcome == "survived":
            write_line(f"agree: not noticed: {mutant}")
    if file := config.getoption("--agree-report"):
        report = {
            "tests": [{"test": test, **asdict(agreement)} for test, agreement in results],
            "mutants": {mutant: sorted(outcomes) for mutant, outcomes in mutant_outcomes.items()},
        }
        with open(file, "w", encoding="utf-8") as out:
            json.dump(report, out, indent=1)
        try:
            draw(results, file.removesuffix(".json") + ".png")
        except ImportError as error:
            write_line(f"agree: no picture of the report: {error}; pip install matplotlib")
