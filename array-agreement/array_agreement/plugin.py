"""The pytest plugin: fixture and marker ``agree``, options --agree-*.

It imports no array library but NumPy. A test's results travel on the report of its teardown, which also comes
from the workers of pytest-xdist, and not from a run that is repeated.
"""

import functools
import os
import pickle
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from array_agreement.check import DEFAULT_BACKENDS, Agreement, Disagreement, NothingCompared, check_agreement
from array_agreement.mutants import OUTCOMES, mutants
from array_agreement.oracle import Oracle
from array_agreement.report import library_versions, report_stem, to_json, to_markdown, write_report
from array_agreement.targets import Function

RESULTS = pytest.StashKey[Any]()
"""Of one test: a list of (test, Agreement), and one of (mutant, outcome)."""


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("agree", "comparison of array backends").addoption
    add("--agree-backends", metavar="A,B", help="compare these backends instead of the tests' own")
    add("--agree-seeds", metavar="N", type=int, default=1, help="number of seeds for each test (default: 1)")
    add("--agree-report", metavar="NAME", help="write all verdicts to NAME.json, and as a text to NAME.md")
    add("--agree-baseline", metavar="FILE", help="expect the disagreements of FILE, or write it")
    add("--agree-mutants", action="store_true", help="list the wrong operations that no test detects")


def pytest_configure(config: pytest.Config) -> None:
    options = "options of the fixture agree, such as backends=[...], skip={...}, xfail={...}"
    config.addinivalue_line("markers", f"agree(...): {options}; each test with the fixture has the marker")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that use the fixture, for ``-m agree``, and those that may disagree."""
    baseline = Path(config.getoption("--agree-baseline") or os.devnull)
    known = baseline.read_text(encoding="utf-8").splitlines() if baseline.exists() else []
    for item in items:
        if short_name(item.nodeid) in known:
            item.add_marker(pytest.mark.xfail(raises=Disagreement, strict=False, reason=f"in {baseline}"))
        if "agree" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("agree"):
            item.add_marker("agree")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    seeds = metafunc.config.getoption("--agree-seeds")
    if "agree" in metafunc.fixturenames and seeds > 1:
        metafunc.parametrize("agree", range(seeds), indirect=True, ids="seed{}".format)


def short_name(test: str) -> str:
    """Return the id of a test without the folders of its file."""
    file, _, name = test.partition("::")
    return f"{Path(file).name}::{name}"


@pytest.fixture
def agree(request: pytest.FixtureRequest) -> Iterator[Function]:
    """``agree(f, *arrays, **options)`` fails if backends disagree, with check_agreement's options.

    ``agree.rng`` generates inputs. ``agree.wrap(f, **options)`` returns a function that compares f on its
    arguments and then returns f's result, for the functions that existing tests call. ``agree.patch(owner,
    names, **options)`` does so with attributes of a module, until the test ends.
    """
    config = request.config
    seed = getattr(request, "param", 0)
    option = config.getoption("--agree-backends")
    marked = {"backends": DEFAULT_BACKENDS}
    for marker in reversed(list(request.node.iter_markers("agree"))):  # the closest one last
        marked.update(marker.kwargs)
    results, outcomes = request.node.stash[RESULTS] = [], []

    def check(f: Function, *arrays: Any, **options: Any) -> Agreement:
        __tracebackhide__ = True
        options = {**marked, **options}
        if option and all(isinstance(backend, str) for backend in options["backends"]):
            options["backends"] = option.split(",")
        try:
            agreement = check_agreement(f, *arrays, seed=seed, **options)
        except Disagreement as error:
            results.append((request.node.nodeid, error.args[0]))
            raise
        except NothingCompared as error:
            agreement = error.args[0]
        results.append((request.node.nodeid, agreement))
        if config.getoption("--agree-mutants"):
            oracle = Oracle(f, arrays, seed=seed, kwargs=options.get("kwargs"), dtype=options.get("dtype"))
            for mutant, outcome in mutants(oracle).items():
                outcomes.append((f"{agreement.function}: {', '.join(mutant)}", outcome))
        if not agreement.verdicts:
            pytest.skip("; ".join(map(": ".join, agreement.skipped.items())))
        if agreement.xfails.keys() == {verdict.backend for verdict in agreement.verdicts}:
            pytest.xfail("; ".join(map(": ".join, agreement.xfails.items())))
        return agreement

    def wrap(f: Function, **options: Any) -> Function:
        @functools.wraps(f)
        def compare(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            check(f, *args, kwargs=kwargs, **options)
            return f(*args, **kwargs)

        return compare

    def patch(owner: Any, names: Iterable[str], **options: Any) -> None:
        for name in names:
            monkeypatch.setattr(owner, name, wrap(getattr(owner, name), **options))

    check.__dict__.update(wrap=wrap, patch=patch, rng=np.random.default_rng(seed))
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield check


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    report = yield
    if call.when == "teardown" and (RESULTS in item.stash or item.config.getoption("--agree-report")):
        found = *item.stash.get(RESULTS, ([], [])), library_versions()
        report.agree = pickle.dumps(found).hex()  # any plugin can send or store a string
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    write_line = terminalreporter.write_line
    totals: Any = [], [], []
    for report in chain(*terminalreporter.stats.values()):
        if hasattr(report, "agree"):
            for total, found in zip(totals, pickle.loads(bytes.fromhex(report.agree)), strict=True):
                total += found
    results, outcomes, versions = totals
    best = dict[str, str]()
    for mutant, outcome in outcomes:
        best[mutant] = min(best.get(mutant, outcome), outcome, key=OUTCOMES.index)
    for attribute, text in (("skipped", "was not compared"), ("xfails", "disagrees as expected")):
        pairs = {pair for _, agreement in results for pair in getattr(agreement, attribute).items()}
        for name, why in sorted(pairs):
            write_line(f"agree: {name} {text}: {why}")
    if best:
        counts = Counter(best.values())
        write_line("agree: mutants: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES))
    for mutant, outcome in best.items():
        if outcome == "survived":
            write_line(f"agree: not noticed: {mutant}")
    if not versions:  # no test ended: keep earlier files
        return
    baseline = config.getoption("--agree-baseline")
    if baseline and not Path(baseline).exists():
        known = {short_name(test) for test, agreement in results if not agreement.holds}
        Path(baseline).write_text("\n".join(sorted(known)), encoding="utf-8")
    name = config.getoption("--agree-report")
    if name:
        try:
            write_report(report_stem(name), to_json(results, best), to_markdown(results, versions))
        except OSError as error:
            pytest.exit(f"--agree-report={name}: {error}", returncode=1)
