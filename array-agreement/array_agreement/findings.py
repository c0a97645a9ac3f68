"""Findings as programs, and the report of a sweep as JSON and Markdown."""

import json
import math
import platform
import re
from collections import Counter, defaultdict
from contextlib import suppress
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from array_agreement.adjudicate import describe_result
from array_agreement.alarms import LAYOUTS, Finding
from array_agreement.functions import Expression
from array_agreement.report import library_versions
from array_agreement.targets import InputError, Target, shorten

KINDS = ("agrees", "missing", "not judged", "undecided", "type", "raises", "wrong")
"""Verdicts by rank: of several inputs, the last one counts."""
REPORTED = ("undecided", "type", "raises", "wrong")


def literal(x: Any) -> str:
    """Return Python code for a number, or for nested lists of numbers."""
    if isinstance(x, list):
        return f"[{', '.join(map(literal, x))}]"
    if isinstance(x, complex):
        return f"complex({literal(x.real)}, {literal(x.imag)})"
    return repr(x) if not isinstance(x, float) or math.isfinite(x) else f"np.{x}".replace("np.-", "-np.")


def array_literal(x: np.ndarray) -> str:
    """Return Python code for an array; one that is constant but for a few elements is short."""
    plain = f'np.asarray({literal(x.tolist())}, "{x.dtype}")'
    if x.size < 30:
        return plain
    fill = x.flat[0]
    others = np.flatnonzero(~((x == fill) | ((x != x) & (fill != fill))).ravel())
    full = f'np.full({x.shape}, {literal(fill.item())}, "{x.dtype}")'
    for i in others:
        full = f"np.where(np.arange({x.size}).reshape({x.shape}) == {i}, {literal(x.flat[i].item())}, {full})"
    return f'{full}.astype("{x.dtype}")' if len(others) < 4 else plain


def program(target: Target, expression: Expression, finding: Finding) -> str:
    """Return a program of at most six lines that shows the library's result and the correct one."""
    module = target.xp.__name__
    lines = ["import numpy as np", f"import {module} as xp"]
    if module == "jax.numpy":
        lines = ["import jax, jax.numpy as xp, numpy as np", 'jax.config.update("jax_enable_x64", True)']
    put = "xp.asarray(" if target.device is None else f"xp.asarray(device={str(target.device)!r}, obj="
    for name, x in finding.arrays.items():
        lines.append(f"{name} = {LAYOUTS[finding.layout].format(array_literal(x)).replace('put(', put)}")
    result = f"np.asarray({expression.text}).tolist()" if finding.is_array else expression.text
    lines.append(f'print("result: ", {result})')
    lines.append(f'print("correct:", {shorten(describe_result(finding.correct), 300)!r})')
    return "\n".join(lines)


def describe(target: Target, expression: Expression, finding: Finding) -> dict[str, Any]:
    """Return a finding as an entry of the report."""
    ulps = finding.ulps
    return {
        "kind": finding.kind,
        "expression": expression.text,
        "layout": finding.layout,
        "value": shorten(describe_result(finding.value), 300),
        "correct": shorten(describe_result(finding.correct), 300),
        "ulps": ulps if ulps is None or math.isfinite(ulps) else None,
        "program": program(target, expression, finding),
    }


class Report:
    """Verdicts of a sweep.

    Args:
        target: the library
        known: a JSON file of expected findings, or None

    Attributes:
        cases: the cases that ended, each as in run_case
        interrupted: by Ctrl-C
        n_left: number of cases that were not tried
    """

    def __init__(self, target: Target, known: str | Path | None = None):
        self.target = target
        self.known = _read_known(known) if known else []
        self.cases = dict[str, Any]()
        self.interrupted = False
        self.n_left = 0

    @cached_property
    def versions(self) -> dict[str, str]:
        """Return name -> version of the libraries, the processor and BLAS."""
        config: Any = np.show_config(mode="dicts")
        blas = config["Build Dependencies"]["blas"]
        extensions = config["SIMD Extensions"]
        processor = [platform.machine(), *extensions.get("found", extensions["baseline"])[-1:]]
        facts = {"python": platform.python_version(), "processor": " ".join(processor)}
        return {**dict(library_versions()), **facts, "NumPy's BLAS": f"{blas['name']} {blas['version']}"}

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """Return one verdict for each function, dtype and class: the worst, with the shortest program."""
        found = dict[tuple[str, str, str], dict[str, Any]]()
        for function, dtype, classes in self.cases.values():
            for cls, verdict in classes.items():
                entry = {"function": function, "dtype": dtype, "class": cls, "refuted": 0, **verdict}
                other = found.setdefault((function, dtype, cls), entry)
                best = max(entry, other, key=lambda v: (KINDS.index(v["kind"]), -len(v.get("program", ""))))
                if other is not entry:
                    sums = {name: entry[name] + other[name] for name in ("n", "unjudged", "refuted")}
                    found[function, dtype, cls] = {**best, **sums}
        for verdict in found.values():
            verdict["known"] = self._reason(verdict)
        return sorted(
            found.values(), key=lambda v: (-KINDS.index(v["kind"]), v["function"], v["dtype"], v["class"])
        )

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return the verdicts with an error, or with an alarm that is undecided."""
        return [verdict for verdict in self.verdicts if verdict["kind"] in REPORTED]

    @property
    def new(self) -> list[dict[str, Any]]:
        """Return the findings that are decided and not known."""
        return [v for v in self.findings if v["kind"] != "undecided" and not v["known"]]

    def _reason(self, verdict: dict[str, Any]) -> str:
        """Return why a finding is expected, or ""."""
        library = self.target.name.partition(":")[0].replace("strict", "array_api_strict").partition(".")[0]
        version = _version(self.versions.get(library, ""))
        for entry in self.known:
            names = all(fnmatch(verdict[key], entry.get(key, "*")) for key in ("function", "dtype", "class"))
            if names and _version(entry.get("from", "")) <= version < _version(entry.get("below", "999999")):
                return str(entry["reason"])
        return ""

    def load(self, log: Path) -> None:
        """Read the cases that an earlier sweep wrote; a last line that was cut is no case."""
        for line in log.read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                key, *case = json.loads(line)
                self.cases[key] = case

    def write(self, stem: str) -> None:
        """Write STEM.json and STEM.md."""
        report = {
            "target": self.target.name, "versions": self.versions, "cases": len(self.cases),
            "cases left": self.n_left, "verdicts": self.verdicts,
        }  # fmt: skip
        Path(f"{stem}.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        Path(f"{stem}.md").write_text(self.to_markdown(), encoding="utf-8")

    def to_markdown(self) -> str:
        """Return a page with a paragraph and a program for each function and class."""
        verdicts = self.verdicts
        counts = Counter(v["kind"] for v in verdicts)
        lines = [f"# Sweep of {self.target.name}", ""]
        lines += [f"- {name} {version}" for name, version in self.versions.items()]
        lines += [
            f"- {len(self.cases)} cases, {self.n_left} left, {sum(v['refuted'] for v in verdicts)} refuted"
        ]
        lines += ["- verdicts: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()), ""]
        groups = defaultdict[Any, list[dict[str, Any]]](list)
        for v in self.findings:
            groups[v["kind"], v["function"], v["class"], v["known"]].append(v)
        for (kind, function, cls, why), found in groups.items():
            worst = max(found, key=lambda v: v["ulps"] or 0)
            error = f" errs by {worst['ulps']:.3g} ulp," if worst["ulps"] else ""
            lines += [f"## {function}: {kind}" + f", known: {why}" * bool(why), ""]
            lines += [f"Class {cls}, {', '.join(v['dtype'] for v in found)}: {self.target.name}{error} gives"]
            lines += [
                f"{worst['value']}, correct {worst['correct']}.",
                "",
                "```python",
                worst["program"],
                "```",
                "",
            ]
        return "\n".join(lines)


def _version(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def _read_known(path: str | Path) -> list[dict[str, str]]:
    """Return the entries of a file of known findings. Raises InputError: it is no such list."""
    try:
        entries: list[dict[str, str]] = json.loads(Path(path).read_text(encoding="utf-8"))
        if all("reason" in entry for entry in entries):
            return entries
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    raise InputError(f"{path} has entries without a reason, expected [{{'function': ..., 'reason': ...}}]")
