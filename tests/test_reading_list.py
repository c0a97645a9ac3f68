"""docs/architecture.md: its lists of files and of modules are those of the code."""

import pkgutil
import re

from documents import PROJECT, ROOT, text_of

PAGE = text_of("docs/architecture.md")


def section_of(heading):
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


RANKS = [set(rank.split(" : ")) for rank in PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]]
"""The modules of dnn as import-linter orders them, the highest first."""


def modules_of(package):
    return {module.name for module in pkgutil.iter_modules([ROOT / package])}


def listed_in(package):
    """Return the modules that head the lines of the package's list."""
    lines = re.findall("^- (.*?): ", section_of(package), re.MULTILINE)
    return [name.removesuffix(".py").rstrip("/") for line in lines for name in re.findall("`(.*?)`", line)]


def test_the_lists_name_every_module():
    listed = listed_in("dnn")
    assert sorted(listed) == sorted(set().union(*RANKS)) == sorted(modules_of("dnn"))
    from_the_lowest = sorted(listed, key=lambda name: [name in rank for rank in RANKS])
    assert listed == from_the_lowest
    assert {*listed_in("backends"), "strict"} == modules_of("backends")
