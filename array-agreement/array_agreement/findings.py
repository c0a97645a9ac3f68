"""Findings as programs, and the report of a sweep as JSON and Markdown."""

import json
import os
import platform
import re
from collections import Counter, defaultdict
from contextlib import suppress
from fnmatch import fnmatch
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from array_agreement.adjudicate import describe_result
from array_agreement.alarms import LAYOUTS, Alarm
from array_agreement.functions import Expression
from array_agreement.report import library_versions, report_stem, write_report
from array_agreement.targets import InputError, Target, shorten

KINDS = ["agrees", "missing", "not judged", "undecided", "type", "raises", "wrong"]
"""Verdicts by rank: of several inputs, the last one counts."""
PARAGRAPH = """\
## {function}, {dtype}, {class}: {kind}

Known: {known}. Error in ulp: {ulps}.
Result {value}, correct {correct}.

```python
{program}
```
"""


def array_literal(x: np.ndarray) -> str:
    """Return Python code for an array. Equal neighbours are short in a long one."""
    items = x if np.all(np.isfinite(x)) else x.astype(str)  # NumPy reads "nan+infj", Python does not
    if x.size < 30:
        return f'np.asarray({items.tolist()}, "{x.dtype}")'
    runs = (f"*[{value!r}] * {len([*group])}" for value, group in groupby(items.ravel().tolist()))
    return f'np.asarray([{", ".join(runs)}], "{x.dtype}").reshape{x.shape}'


def describe(target: Target, expression: Expression, alarm: Alarm) -> dict[str, Any]:
    """Return a finding as an entry of the report.

    Its program has at most six lines. It shows the library's result and the correct one.
    """
    value, correct = (shorten(describe_result(x), 300) for x in (alarm.value, alarm.correct))
    if alarm.kind == "type":
        value = f"{alarm.value.dtype} of shape {alarm.value.shape}"
        correct = f"{alarm.bound.dtype} of shape {alarm.bound.exact.shape}"
    module = target.xp.__name__
    lines = ["import numpy as np", f"import {module} as xp"]
    if module == "jax.numpy":
        lines = ["import jax, jax.numpy as xp, numpy as np", 'jax.config.update("jax_enable_x64", True)']
    put = "xp.asarray(" if target.device is None else f"xp.asarray(device={str(target.device)!r}, obj="
    for name, x in alarm.arrays.items():
        lines.append(f"{name} = {LAYOUTS[alarm.layout].format(array_literal(x)).replace('put(', put)}")
    is_array = getattr(alarm.bound, "name", "result") == "result"
    result = f"np.asarray({expression.text}).tolist()" if is_array else expression.text
    lines += [f'print("result: ", {result})', f'print("correct:", {correct!r})']
    return {
        "kind": alarm.kind, "expression": expression.text, "layout": alarm.layout, "value": value,
        "correct": correct, "ulps": alarm.ulps, "program": "\n".join(lines),
    }  # fmt: skip


class Report:
    """Verdicts of a sweep.

    Args:
        target: the library
        known: a JSON file of expected findings, or None
        name: of its files, or None
        resume: read the cases of NAME.jsonl

    Attributes:
        cases: the cases that ended, each as in run_case
        unfinished: the case that NAME.jsonl has the beginning of, but not the end: the process died
        interrupted: by Ctrl-C
        n_left: number of cases that were not tried
    """

    def __init__(self, target: Target, known: Any, name: Any, resume: bool):
        self.target = target
        self.known = _read_known(known)
        self.stem = report_stem(name)
        self.path = Path(f"{self.stem}.jsonl" if name else os.devnull)
        self.cases = dict[str, Any]()
        self.unfinished = ""
        self.interrupted = False
        self.n_left = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+" if resume else "w+", encoding="utf-8") as file:
            file.seek(0)
            for line in file:
                with suppress(json.JSONDecodeError):  # a line that was cut is no case
                    key, *case = json.loads(line)
                    self.unfinished = "" if case else key
                    self.cases.update({key: case} if case else {})

    def log(self, *entry: Any) -> None:
        """Write a case as it begins, by its name, and as it ends."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(entry))

    @cached_property
    def versions(self) -> dict[str, str]:
        """Return name -> version of the libraries, the processor and BLAS."""
        config: Any = np.show_config(mode="dicts")
        extensions = config["SIMD Extensions"]
        processor = [platform.machine(), *extensions.get("found", extensions["baseline"])[-1:]]
        return {
            **dict(library_versions()),
            "python": platform.python_version(),
            "processor": " ".join(processor),
            "NumPy's BLAS": "{name} {version}".format_map(config["Build Dependencies"]["blas"]),
        }

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """Return one verdict for each function, dtype and class: the worst, with the shortest program."""
        groups = defaultdict[Any, list[dict[str, Any]]](list)
        for function, dtype, classes in self.cases.values():
            for cls, verdict in classes.items():
                groups[function, dtype, cls].append(verdict)
        found = []
        for (function, dtype, cls), verdicts in groups.items():
            worst = max(verdicts, key=lambda v: (KINDS.index(v["kind"]), -len(v.get("program", ""))))
            refuted = sum(v.get("refuted", 0) for v in verdicts)
            found.append({"function": function, "dtype": dtype, "class": cls, **worst, "refuted": refuted})
            found[-1]["known"] = self._reason(found[-1])
        return sorted(found, key=lambda v: (-KINDS.index(v["kind"]), v["function"], v["dtype"], v["class"]))

    @property
    def new(self) -> list[dict[str, Any]]:
        """Return the findings that are decided and not known."""
        return [v for v in self.verdicts if v["kind"] in KINDS[4:] and not v["known"]]

    def _reason(self, verdict: dict[str, Any]) -> str:
        """Return why a finding is expected, or ""."""
        library = self.target.xp.__name__.removeprefix("array_api_compat.").partition(".")[0]
        version = _version(self.versions.get(library, ""))
        for entry in self.known:
            names = all(fnmatch(verdict[key], entry.get(key, "*")) for key in ("function", "dtype", "class"))
            if names and _version(entry.get("from", "")) <= version < _version(entry.get("below", "999999")):
                return str(entry["reason"])
        return ""

    def write(self) -> None:
        """Write NAME.json and NAME.md."""
        facts = {"target": self.target.name, "versions": self.versions, "cases": len(self.cases)}
        report = {**facts, "cases left": self.n_left, "verdicts": self.verdicts}
        write_report(self.stem, report, self.to_markdown())

    def to_markdown(self) -> str:
        """Return a page with a paragraph and a program for each finding."""
        verdicts = self.verdicts
        counts = Counter(v["kind"] for v in verdicts)
        refuted = sum(v["refuted"] for v in verdicts)
        lines = [f"# Sweep of {self.target.name}", ""]
        lines += [f"- {name} {version}" for name, version in self.versions.items()]
        lines += [f"- {len(self.cases)} cases, {self.n_left} left, {refuted} alarms refuted"]
        lines += ["- verdicts: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()), ""]
        paragraphs = (PARAGRAPH.format_map(v) for v in verdicts if "program" in v)
        return "\n".join([*lines, *paragraphs])


def _version(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def _read_known(path: Any) -> list[dict[str, str]]:
    """Return the entries of a file of known findings. Raises InputError: it is no list of such entries."""
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8")) if path else []
        return [{"reason": entry["reason"], **entry} for entry in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        expected = "expected [{'function': ..., 'reason': ...}]"
        raise InputError(f"{path} cannot be read: {error!r}, {expected}") from None
