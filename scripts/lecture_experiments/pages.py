"""The lecture's pages: their tables and pictures, and the results that each number and claim follows from.

A paragraph that tells results ends in a comment with what they follow from, separated by semicolons:

    With Adam it reached 97.62 %, less than 97.86 %. <!-- results: mse-adam; lecture; lecture > mse-adam -->

A term is a number of the paragraph, in the order of the text, and replaces it:

    NAME.FIELD       the mean over the seeds; FIELD is the accuracy if it is left out
    NAME.value       what the search found
    12.5             a number that is no result

A claim is true or false:

    A > B            the means differ by more than twice the standard error of their difference
    A ~ B            they differ by less
    A > 90 in 3 seeds  so many seeds, and no more, are above the number
"""

import re
import shutil
from collections.abc import Iterator
from math import hypot, sqrt
from pathlib import Path
from statistics import mean

from _pages import write_table

from backends import InputError
from dnn.commands.command_line import write_json
from dnn.io.atomic_files import write_atomically
from lecture_experiments.tables import Results, make_grids, spread

PAGES = {
    "lecture.md": "these results as curves",
    "lecture.zh.md": "上表的结果",
}
"""Page -> the text that stands for a picture."""
COMMENT = re.compile(r"<!--\s+results:\s(.*?)\s-->", re.DOTALL)
CLAIM = re.compile(r"(.+) ([>~]) (.+?)(?: in (\d+) seeds)?")
NUMBER = re.compile(r"(?<![\w.-])\d+\.\d+(?:e[-+]\d+)?(?![\w.]*\d)")
SKIPPED = re.compile(r"```.*?```|`[^`]*`|^\|[^\n]*$|\]\([^)]*\)|<!--.*?-->", re.DOTALL | re.MULTILINE)


def samples_of(results: Results, term: str) -> list[float]:
    """Return the numbers of a term, one per seed. Raises InputError: the term names no result."""
    if NUMBER.fullmatch(term) or term.isdigit():
        return [float(term)]
    for name, result in results.items():
        for field, values in {"value": [result["value"]], **result["samples"]}.items():
            if term in (f"{name}.{field}", name if field == "accuracy" else ""):
                return [float(value) for value in values]
    raise InputError(f"a page names the result {term!r}", "a setting, and its field after a point")


def holds(results: Results, claim: str) -> bool:
    """Return whether a claim is true."""
    parts = CLAIM.fullmatch(claim)
    if parts is None:
        raise InputError(f"a page has the claim {claim!r}", "A > B or A ~ B")
    left, sign, right, count = parts.groups()
    a = samples_of(results, left)
    b = samples_of(results, right)
    if count is not None:
        return sum(value > b[0] for value in a) == int(count)
    error = hypot(*(spread(values) / sqrt(len(values)) for values in (a, b)))
    difference = mean(a) - mean(b)
    return difference > 2 * error if sign == ">" else abs(difference) <= 2 * error


def statements(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield start and end of each text that tells results, and the items of its comment."""
    for found in COMMENT.finditer(text):
        start = max(text.rfind("\n\n", 0, found.start()), text.rfind("-->", 0, found.start()), 0)
        yield start, found.start(), " ".join(found[1].split()).split("; ")


def numbers(text: str, start: int, end: int) -> list[re.Match[str]]:
    """Return the decimal numbers of a part of a page, without those in tables, code and links."""
    skipped = [found.span() for found in SKIPPED.finditer(text)]
    return [
        found
        for found in NUMBER.finditer(text, start, end)
        if not any(first <= found.start() < last for first, last in skipped)
    ]


def find_faults(text: str, results: Results) -> list[str]:
    """Return what in a page does not follow from the results: false claims, and numbers without a term."""
    faults = []
    told = 0
    for start, end, items in statements(text):
        claims = [item for item in items if CLAIM.fullmatch(item)]
        faults += [claim for claim in claims if not holds(results, claim)]
        found = numbers(text, start, end)
        told += len(found)
        if len(found) != len(items) - len(claims):
            faults.append(f"{len(found)} numbers in: {text[start:end]}")
    if told != len(numbers(text, 0, len(text))):
        faults.append("a number without a comment that tells its result")
    if fill(text, results) != text:
        faults.append("a number differs from its result")
    return faults


def fill(text: str, results: Results) -> str:
    """Return a page with the numbers of its terms, rounded to as many digits as the page has."""
    for start, end, items in reversed([*statements(text)]):
        terms = [item for item in items if not CLAIM.fullmatch(item)]
        for found, term in reversed([*zip(numbers(text, start, end), terms, strict=False)]):
            old = found[0]
            form = ".1e" if "e" in old else f".{len(old.partition('.')[2])}f"
            text = text[: found.start()] + format(mean(samples_of(results, term)), form) + text[found.end() :]
    return text


def publish(results: Results, folder: Path, pages: Path) -> None:
    """Write the results, and the tables and numbers of lecture.md and lecture.zh.md; copy the pictures.

    A table with a picture of its name gets it below.
    """
    write_json(pages / "lecture.json", results)
    for page, about in PAGES.items():
        for name, grid in make_grids(results).items():
            picture = f"lecture-{name}{page.removeprefix('lecture').replace('.md', '.png')}"
            note = f"![{about}]({picture})" if (folder / picture).exists() else ""
            write_table(pages / page, name, grid, note)
        text = fill((pages / page).read_text(encoding="utf-8"), results)
        write_atomically(pages / page, text.encode())
    for path in folder.glob("lecture-*.png"):
        shutil.copy(path, pages)
