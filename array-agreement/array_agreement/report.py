"""The results of a test run as JSON and as text for a pull request."""

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from array_agreement.check import Agreement
from array_agreement.watched import tree_map

Results = Iterable[tuple[str, Agreement]]
"""Pairs (name of a test, its agreement)."""


def test_row(test: str) -> str:
    """Return the name of a test without its file and seed."""
    return re.sub(r"(?<=\[)seed\d+-?", "", test.rpartition("::")[2]).removesuffix("[]")


def to_json(results: Results, mutants: Mapping[str, Iterable[str]]) -> str:
    """Return the results as JSON. Infinity and NaN become null, since JSON lacks them."""
    tests = []
    for test, agreement in results:
        verdicts = [{**asdict(v), "kind": v.kind} for v in agreement.verdicts]
        tests.append({"test": test, **asdict(agreement), "verdicts": verdicts})
    report = {"tests": tests, "mutants": {mutant: sorted(found) for mutant, found in mutants.items()}}
    finite = tree_map(lambda x: None if isinstance(x, float) and not math.isfinite(x) else x, report)
    return json.dumps(finite, indent=1, allow_nan=False)


def to_markdown(results: Results) -> str:
    """Return a Markdown text for a pull request: a table of the largest error / bound, failures, skips.

    >>> print(to_markdown([]).splitlines()[0])
    Largest error / bound of each test; up to 1 the target agrees.
    """
    results = list(results)
    verdicts = [(test_row(test), verdict) for test, agreement in results for verdict in agreement.verdicts]
    targets = list(dict.fromkeys(verdict.backend for _, verdict in verdicts))
    cells = dict[tuple[str, str], tuple[float, str]]()
    for row, v in verdicts:
        text = f"{v.ratio:.2g}" + f" ({v.kind})" * (not v.agrees)
        key = (row, v.backend)
        cells[key] = max(cells.get(key, (-1.0, "")), (v.ratio + 1e9 * (not v.agrees), text))
    lines = ["Largest error / bound of each test; up to 1 the target agrees.", ""]
    lines += [f"| test | {' | '.join(targets)} |", "|---|" + "---|" * len(targets)]
    for row in dict.fromkeys(row for row, _ in verdicts):
        found = " | ".join(cells.get((row, target), (0, "-"))[1] for target in targets)
        lines.append(f"| {row} | {found} |")
    failures = [f"- {row}: {v}" for row, v in verdicts if not v.agrees]
    skipped = {f"- {name} skipped: {why}" for _, a in results for name, why in a.skipped.items()}
    versions = [f"{name} {version}" for name, version in library_versions(targets).items()]
    return "\n".join(
        [*lines, "", *failures, *sorted(skipped), *(["- " + ", ".join(versions)] * bool(versions)), ""]
    )


def library_versions(targets: Iterable[str]) -> dict[str, Any]:
    """Return the versions of array_agreement and the libraries of these targets."""
    libraries = [name.partition(":")[0].replace("strict", "array_api_strict") for name in targets]
    modules = {name: sys.modules.get(name) for name in (__package__, *libraries)}
    return {
        name: version for name, module in modules.items() if (version := getattr(module, "__version__", ""))
    }
