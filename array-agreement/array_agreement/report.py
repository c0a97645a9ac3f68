"""The results of a test run as JSON and as text for a pull request."""

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from array_agreement.bounds import Verdict
from array_agreement.check import Agreement
from array_agreement.targets import LIBRARIES
from array_agreement.values import tree_map

Results = Sequence[tuple[str, Agreement]]
"""Pairs (name of a test, its agreement)."""


def report_stem(name: str | Path) -> str:
    """Return the name of a report's files without a suffix.

    >>> report_stem("a/b.json"), report_stem("b.1")
    ('a/b', 'b.1')
    """
    return re.sub(r"\.(json|md)$", "", str(name))


def write_report(stem: str, report: Any, text: str) -> None:
    """Write STEM.json and STEM.md. Infinity and NaN become null, since JSON lacks them."""
    finite = tree_map(lambda x: None if isinstance(x, float) and not math.isfinite(x) else x, report)
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    Path(f"{stem}.json").write_text(json.dumps(finite, indent=1), encoding="utf-8")
    Path(f"{stem}.md").write_text(text, encoding="utf-8")


def to_json(results: Results, mutants: Mapping[str, str]) -> dict[str, Any]:
    """Return the results as nested dicts and lists, with the mutants in order."""
    tests = []
    for test, agreement in results:
        verdicts = [{**asdict(v), "kind": v.kind} for v in agreement.verdicts]
        tests.append({"test": test, **asdict(agreement), "verdicts": verdicts})
    return {"tests": tests, "mutants": dict(sorted(mutants.items()))}


def library_versions() -> list[tuple[str, str]]:
    """Return (name, version) of the array libraries, SciPy and scikit-learn, if they are imported."""
    names = sys.modules.keys() & (LIBRARIES | {"scipy", "sklearn"})
    return [(name, sys.modules[name].__version__) for name in names]


def to_markdown(results: Results, versions: Iterable[tuple[str, str]]) -> str:
    """Return a Markdown text for a pull request: the worst verdict of each test on each target, and skips.

    >>> print(to_markdown([], []).splitlines()[0])
    | test | target | error / bound | verdict |
    """
    worst = dict[tuple[str, str], Verdict]()
    """(backend, test) -> the verdict with the largest error / bound over all seeds."""
    for test, agreement in results:
        row = re.sub(r"(?<=\[)seed\d+-?", "", test.rpartition("::")[2]).removesuffix("[]")
        for v in agreement.verdicts:
            key = (v.backend + ", gradient" * (v.output == "gradient"), row)
            worst[key] = max(worst.get(key, v), v, key=lambda v: (not v.agrees, v.ratio))
    lines = ["| test | target | error / bound | verdict |", "|---|---|---|---|"]
    lines += [f"| {test} | {name} | {v.ratio:.2g} | {v.kind} |" for (name, test), v in worst.items()]
    lines += ["", *(f"- {test}: {v}" for (_, test), v in worst.items() if not v.agrees)]
    lines += sorted({f"- {name} skipped: {why}" for _, a in results for name, why in a.skipped.items()})
    lines += [f"- {name} {version}" for name, version in sorted(set(versions))]
    return "\n".join([*lines, ""])
