"""docs/architecture.md: its reading list is complete; its diagram and lists name the existing modules."""

from __future__ import annotations

import ast
import re

import pytest
from documents import PROJECT, ROOT, reading_list

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SPINE_LINES = 2400
NEED_NOT_BE_OPENED = {
    "backends": "re-exports names",
    "backends.processor": "name of the processor, and whether a GPU driver is installed",
    "backends.smoke_test": "a first computation on a new backend",
    "backends.errors": "exceptions, and the form of their messages",
    "backends.numpy.blas": "number of threads of NumPy's products",
    "backends.numpy.products": "x @ W",
    "backends.plan": "an update as data",
    "backends.table": "a mapping",
    "backends.threads": "number of threads of a product",
    "backends.reference": "one class of all kernels",
    "backends.reference.control": "names of the elements of the control array",
    "backends.reference.declaration": "which arguments a kernel writes, for the checks; wrapped copies",
    "backends.reference.quotient": "a / b",
    "backends.reference.signatures": "names of types",
    "backends.reproducible": "the precision with equal bits on every backend",
    "dnn.io.": "saving",
    "dnn.callbacks.progress_bar": "the output of fit",
    "dnn.copies": "copies of a model",
    "dnn.hints": "warnings, and a table of the layers",
    "dnn.keras_names": "errors for names of Keras, with the replacement",
    "dnn.training.sparse": "sparse batches for a first Dense layer",
    "dnn.layers": "re-exports names",
    "dnn.layers.buffers": "arrays that are allocated once",
    "dnn.layers.containers": "calls layers one after another, and backward in the opposite order",
    "dnn.layers.activated": "activations after a layer: f in forward, f' in backward",
    "dnn.layers.initializers": "initial weights",
    "dnn.layers.input": "shape of an example",
    "dnn.layers.model_part": "the error of a layer without a model",
    "dnn.losses": "kernel of a loss, and the activation that it contains",
    "dnn.metrics": "metrics, such as the share of correct predictions",
    "dnn.optimizers": "re-exports names",
    "dnn.optimizers.regularizers": "gradients of the penalty on large weights",
    "dnn.optimizers.schedules": "tables of learning rates",
    "dnn.random": "keyed random streams",
    "dnn.training": "re-exports names",
    "dnn.training.runners": "chooses how updates run",
    "dnn.training.blocks": "an update on a batch that is cut into blocks",
    "dnn.training.callback": "callbacks",
    "dnn.training.evaluation": "forward and loss, without training",
    "dnn.training.history": "lists of numbers",
    "dnn.training.input_gradient": "gradients of examples, by a copy of the layers",
    "dnn.training.planning": "updates as data, for backends with faster planned updates",
    "dnn.training.state": "saving",
    "dnn.training.totals": "sums of losses and metrics",
    "dnn.training.stream": "batches from an iterable",
    "dnn.validation.": "rejects invalid input",
    "dnn.distributed.": "processes that share a batch",
}
"""Modules outside of the reading list that a file in it imports, and what is enough to know about each.

A name with a dot at its end stands for all modules of that package.
"""


def test_reading_list_order():
    files = reading_list()
    assert files[:2] == ["scripts/examples/from_scratch.py", "docs/one-update.md"]
    assert files[-2:] == ["backends/numpy/dense.py", "backends/registry.py"]
    stops = ("dense", "losses", "optimizer", "layer", "dense", "network", "step", "loop", "backend", "dense")
    names = [file.rpartition("/")[2].removesuffix(".py") for file in files]
    assert [name for name in names if name in stops] == list(stops)
    assert len(files) == len(set(files))
    library = [ROOT / file for file in files[2:]]
    n_lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in library)
    assert n_lines <= SPINE_LINES, (
        f"{n_lines} lines: change SPINE_LINES, and its number in docs/architecture.md"
    )
    assert f"fewer than {SPINE_LINES:,}\nlines" in PAGE


@pytest.mark.parametrize("name", [name for name in reading_list() if name.endswith(".py")])
def test_reading_list_is_self_contained(name):
    """The imports of its files are in the list, or are known not to be needed."""
    inside = {file.removesuffix(".py").replace("/", ".") for file in reading_list()}
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    for module in (node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        if module.split(".")[0] in ("backends", "dnn") and module not in inside:
            assert {module, f"{module.rpartition('.')[0]}."} & NEED_NOT_BE_OPENED.keys(), module


RANKS = [set(rank.split(" : ")) for rank in PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]]
"""The modules of dnn as import-linter orders them, the highest first."""


def modules_of(package):
    paths = (
        path for path in (ROOT / package).iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"
    )
    return {path.stem for path in paths} - {"__init__"}


def boxes_of(package):
    """Return the names in each box of the diagram, the highest box first."""
    part = PAGE.split(f'["{package}: ')[1].split("\n    end\n")[0]
    labels = dict(re.findall(r'(\w+)\["([\w, ]+)[^"]*"\]', part))
    nodes = dict.fromkeys(re.findall(r"\w+(?=(?:\[[^\]]*\])? -->)|(?<=--> )\w+", part))
    return [set(labels.get(node, node).split(", ")) for node in nodes]


def listed_in(package):
    """Return the modules that head the lines of the package's list."""
    lines = re.findall("^- (.*?): ", PAGE.split(f"\n## {package}\n")[1].split("\n## ")[0], re.MULTILINE)
    return [name.removesuffix(".py").rstrip("/") for line in lines for name in re.findall("`(.*?)`", line)]


def test_the_diagram_is_the_order_that_import_linter_checks():
    assert [{"__main__"}, *boxes_of("dnn")] == RANKS
    assert set().union(*RANKS) == modules_of("dnn")
    assert set().union(*boxes_of("backends")) <= modules_of("backends")


def test_the_lists_name_every_module():
    listed = listed_in("dnn")
    assert sorted(listed) == sorted(modules_of("dnn"))
    heights = [next(height for height, rank in enumerate(RANKS) if name in rank) for name in listed]
    assert heights == sorted(heights, reverse=True), "the list goes from the lowest to the highest"
    assert {*listed_in("backends"), "strict"} == modules_of("backends")
