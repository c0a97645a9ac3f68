"""docs/architecture.md: its lists of files and of modules are those of the code."""

import pkgutil
import re
import traceback

from command_lines import run_here
from documents import PROJECT, ROOT

from backends.numpy import dense
from backends.numpy.products import product

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SPINE_LINES = 2400
TOPS = "backends", "dnn", "scripts"


def section_of(heading):
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def listed_files(heading):
    """Return the files of the numbered list in a section, in order."""
    return re.findall(r"^\d+\. [\[`]([\w/.-]+)", section_of(heading), re.MULTILINE)


WAY = listed_files("From train.py to a matrix product")


def test_the_reading_list_is_short():
    files = listed_files("Read it in an evening")
    assert len(files) == len(set(files)) > 10
    n_lines = sum(len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in files[2:])
    assert n_lines <= SPINE_LINES


def test_the_calls_between_train_py_and_a_product_are_on_the_way(monkeypatch, tmp_path):
    calls = []

    def traced_product(*arrays):
        calls.append([frame.f_code for frame, _ in traceback.walk_stack(None)])
        return product(*arrays)

    monkeypatch.setattr(dense, "product", traced_product)
    small = ("--dataset", "digits", "--backend", "numpy", "--limit", 20, "--epochs", 1)
    assert run_here("train", *small, "--run-dir", tmp_path / "run").returncode == 0
    (first, *_) = (stack for stack in calls if "loss_of" in {code.co_name for code in stack})
    ours = [code for code in first if any(f"{ROOT}/{top}/" in code.co_filename for top in TOPS)]
    on_the_stack = {code.co_filename for code in ours if code.co_name != "check_and_call"}
    assert on_the_stack <= {str(ROOT / name) for name in WAY}
    assert 10 <= len(on_the_stack) <= len(WAY) <= 20


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
