"""The reading list of docs/architecture.md: its order, its length, and that it is complete."""

from __future__ import annotations

import ast

import pytest
from documents import ROOT, reading_list

SPINE_LINES = 2300
NEED_NOT_BE_OPENED = {
    "backends": "gives its names only",
    "backends.processor": "names the processor, and says whether there is a GPU's driver",
    "backends.smoke_test": "tries a backend out",
    "backends.errors": "two exceptions and the form of their messages",
    "backends.numpy.blas": "how many threads NumPy's products have",
    "backends.numpy.products": "x @ W",
    "backends.plan": "an update as data",
    "backends.table": "a mapping",
    "backends.threads": "number of threads of a product",
    "backends.reference": "the kernels by name",
    "backends.reference.control": "names of the elements of the control array",
    "backends.reference.declaration": "what a kernel writes, for the checks",
    "backends.reference.quotient": "a / b",
    "backends.reference.signatures": "names of types",
    "backends.reproducible": "the same bits on every backend, if asked for",
    "dnn.io.": "saving",
    "dnn.callbacks.progress_bar": "what fit prints",
    "dnn.copies": "copies of a model",
    "dnn.hints": "warnings, and a table of the layers",
    "dnn.keras_names": "says what to use instead of a name of Keras",
    "dnn.training.sparse": "sparse batches, taken as they are by the first Dense layer",
    "dnn.layers": "gives its names only",
    "dnn.layers.buffers": "arrays that are made once",
    "dnn.layers.containers": "calls layers one after another, and backward in the opposite order",
    "dnn.layers.activated": "f after z, and f' before the gradients",
    "dnn.layers.initializers": "the weights at the start",
    "dnn.layers.input": "the shape of an example",
    "dnn.layers.model_part": "the error of a layer without a model",
    "dnn.losses": "a loss's kernel and the activation in it",
    "dnn.metrics": "counts right predictions",
    "dnn.optimizers": "gives its names only",
    "dnn.optimizers.regularizers": "adds the price of large weights to the gradients",
    "dnn.optimizers.schedules": "a table of rates",
    "dnn.random": "random numbers by key",
    "dnn.training": "gives its names only",
    "dnn.training.runners": "chooses how updates run",
    "dnn.training.callback": "watches",
    "dnn.training.evaluation": "forward and loss, without training",
    "dnn.training.history": "lists of numbers",
    "dnn.training.planning": "the same updates as data, for a backend that is faster so",
    "dnn.training.state": "saving",
    "dnn.training.totals": "adds up losses",
    "dnn.training.stream": "batches from an iterable",
    "dnn.validation.": "refuses what does not fit",
    "dnn.distributed.": "processes that share a batch",
}
"""Modules outside of the reading list that a file in it imports, and what is enough to know about each.

A name with a dot at its end stands for all modules of that package.
"""


def test_reading_list_order():
    files = reading_list()
    assert files[:2] == ["scripts/examples/from_scratch.py", "docs/one-update.md"]
    assert files[-2:] == ["backends/registry.py", "backends/dispatch.py"]
    stops = ("dense_layer", "losses", "optimizer", "layer", "dense", "network", "step", "loop")
    names = [file.rpartition("/")[2].removesuffix(".py") for file in files]
    assert [name for name in names if name in stops] == list(stops)
    assert len(files) == len(set(files))
    library = [ROOT / file for file in files[2:]]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in library) <= SPINE_LINES


@pytest.mark.parametrize("name", [name for name in reading_list() if name.endswith(".py")])
def test_reading_list_is_self_contained(name):
    """The imports of its files are in the list, or are known not to be needed."""
    inside = {file.removesuffix(".py").replace("/", ".") for file in reading_list()}
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    for module in (node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        if module.split(".")[0] in ("backends", "dnn") and module not in inside:
            assert {module, f"{module.rpartition('.')[0]}."} & NEED_NOT_BE_OPENED.keys(), module
